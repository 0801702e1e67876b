# SPDX-License-Identifier: Apache-2.0
"""``repair`` itself: from failures to a ``rows`` patch, by whichever method.

    made = repair(model, failures, Config(), folder, reference=[("prompt", "text"), ...])

The model has the weights it had, bit for bit, when this ends, also after an exception. The patch
holds, beside the new weights, the failures it repairs (``failures.json``), so that several patches
can be solved again together. This file measures nothing but the repair itself.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from codetemper.core.digests import canonical_json, digest_json
from codetemper.core.disk import mendable, write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.records import OnEvent, ignore_events
from codetemper.core.repairs import FAILURES, Failure, Repair
from codetemper.harden import TechniqueCard
from codetemper.harden.repair.deltas import Delta, Edit
from codetemper.harden.repair.draft import as_change
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage, from_plain, refuse_twice, tokens_of
from codetemper.harden.repair.locate import chosen_columns
from codetemper.harden.repair.semantic import Semantic
from codetemper.harden.repair.settings import Config
from codetemper.harden.repair.statistics import Statistics
from codetemper.harden.repair.task import Task, reference_passages
from codetemper.harden.repair.watch import Watch
from codetemper.harden.repair.wear import Wear
from codetemper.models.anatomy import anatomy
from codetemper.models.attach import attached
from codetemper.models.factors import Factors, write_factors
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest
from codetemper.models.rows import Change, write_rows

#: Module of each method; it has ``solve(engine, task) -> Edit``.
METHODS = {
    "joint": "joint",
    "star": "star",
    "mint": "mint",
    "sgd": "sgd",
    "memit": "edit",
    "pmet": "edit",
    "alphaedit": "edit",
    "rome": "edit",
}

CARD = TechniqueCard(
    name="repair",
    summary="Puts single wrong answers right by a solved change of FFN output matrices.",
    paper="2503.12899",
    paper_title="Gu et al. 2025, STAR (semantic targeting for analytical repair)",
    differs="The default solves for all failing tokens of all failures and wordings at once, in "
    "closed form, in the metric of reference texts' keys, and looks again; STAR takes signed steps "
    "with an analytic prior. STAR, MINT (2312.05356), MEMIT, PMET, AlphaEdit and ROME are methods.",
    needs=("weights", "gradients"),
    data="Failure",
    patch="rows",
    cost="One forward over the failing answers a round, and systems as large as they have failing "
    "tokens; once a model a Gram matrix of its head, and one pass over the reference texts.",
)


def repair(
    model: LoadedModel,
    failures: Sequence[Failure],
    config: Config,
    folder: Path,
    *,
    reference: Sequence[tuple[str, str]] = (),
    frozen: Sequence[Path] = (),
    cache: Path | None = None,
    watch: Watch | None = None,
    on_event: OnEvent = ignore_events,
) -> Repair:
    """Solve for a patch that puts failures right, and write its tensors.

    Args:
        model: the base; its weights are the same afterwards, bit for bit.
        failures: what to put right, all together.
        config: settings.
        folder: an existing, empty folder; gets the tensors of the patch and ``failures.json``.
        reference: prompt and text (may be empty) of what is to stay as it is: key statistics are
            taken of them, and joint keeps their predictions. Without any, statistics are of the
            failures' own prompts, and nothing else is kept.
        frozen: patch folders that are active meanwhile: what the patch goes on top of.
        cache: folder to keep statistics and the head's Gram factor in.
        watch: looks on: chooses which failures are tried, and reads what the change moves before
            it is written.
        on_event: called with ``statistics``, ``repair`` events.

    Returns:
        What was done, with what the watch saw. Same model, failures, configuration and machine:
        same patch.

    Raises:
        UsageError: no failing token, failures that contradict each other, a tokenizer that does not
            fit, a model without FFN outputs to repair, values that are not numbers, or a change
            that rounds away in the weights' type.
        BudgetError: the watch finds that it moves more than it may.
        IntegrityError: a patch is damaged.
    """
    begun = time.monotonic()
    refuse_twice(failures)
    passages = tokens_of(model.tokenizer, failures)
    texts = _texts(model, reference, passages)
    _refuse_no_numbers(model)
    state = digest_json([model.digest, *(load_manifest(path).digest() for path in frozen)])
    parts = anatomy(model.module)
    with attached(model, *frozen):
        engine = Engine(model.module, parts, batch_size=config.batch_size)
        before = engine.observe(passages)
        failing = int(before.wrong.sum())
        if not failing:
            raise UsageError(
                "there is nothing to repair",
                why=f"every token of {len(failures)} answer(s) is predicted as it should be",
                mend="give prompts whose reference the model does not write",
            )
        statistics = Statistics.of(
            engine, texts, config, state=state, cache=cache, on_event=on_event
        )
        task = _task(engine, texts if reference else [], statistics, state, config, cache, on_event)
        if watch is not None:
            failures = watch.choose(
                engine,
                failures,
                lambda some: _probed(engine, task, some),
                lambda some: Wear(engine, task.semantic, statistics, some, margin=config.lead(1)),
            )
            passages = tokens_of(model.tokenizer, failures)
        edit = _solved(engine, task, passages, config)
        if watch is not None:
            edit = watch.check(engine, edit, passages)
        change = {n: _share(engine.written(n), delta) for n, delta in edit.deltas.items()}
        with engine.drafting() as draft:
            for layer, delta in edit.deltas.items():
                draft.put(layer, delta)
            after = engine.observe(passages)
    _write(model, engine, edit, failures, folder, frozen)
    outcome = _Outcome(failing, change, passages, after.right)
    made = _result(edit, failures, statistics, config, outcome, time.monotonic() - begun)
    return made if watch is None else watch.told(made)


@dataclass(frozen=True)
class _Outcome:
    """What was seen beside the edit.

    Attributes:
        failing: tokens that were predicted wrongly before.
        change: by layer, length of the change over that of the matrix.
        passages: what was repaired.
        right: of each passage, whether it is answered rightly now.
    """

    failing: int
    change: dict[int, float]
    passages: Sequence[Passage]
    right: Sequence[bool]


def _result(
    edit: Edit,
    failures: Sequence[Failure],
    statistics: Statistics,
    config: Config,
    outcome: _Outcome,
    seconds: float,
) -> Repair:
    hit = {failure.id: True for failure in failures}
    for passage, right in zip(outcome.passages, outcome.right, strict=True):
        hit[passage.failure] &= right
    return Repair(
        seconds=seconds,
        solve_seconds=edit.seconds,
        method=config.method,
        failures=len(failures),
        repaired=tuple(name for name, right in hit.items() if right),
        left=tuple(name for name, right in hit.items() if not right),
        failing_tokens=outcome.failing,
        parameters_changed=edit.parameters,
        layers=edit.layers,
        neurons=edit.neurons,
        rank=max((delta.rank for delta in edit.deltas.values()), default=0),
        weight_change=outcome.change,
        rounds=edit.rounds,
        gaps_before=edit.gaps_before,
        gaps_after=edit.gaps_after,
        reference_tokens=statistics.tokens,
        statistics=statistics.fingerprint,
        notes=edit.notes,
    )


def _task(
    engine: Engine,
    texts: Sequence[Passage],
    statistics: Statistics,
    state: str,
    config: Config,
    cache: Path | None,
    on_event: OnEvent,
) -> Task:
    """Return a task without passages yet; what it keeps is what the model predicts in texts."""
    guarded = config.guard and config.method == "joint"
    return Task(
        passages=(),
        reference=reference_passages(engine, texts if guarded else []),
        columns={},
        statistics=statistics,
        semantic=Semantic.of(engine, digest=state, cache=cache),
        config=config,
        on_event=on_event,
    )


def _refuse_no_numbers(model: LoadedModel) -> None:
    """Refuse logits that are not numbers: the parts of such a model cannot be told, either."""
    ids = torch.tensor([[0, 1, 2]], device=model.device)
    with torch.no_grad():
        logits = model.module(input_ids=ids).logits
    if not bool(torch.isfinite(logits).all()):
        raise UsageError(
            "the model cannot be repaired as it is",
            why="it computes values that are not numbers",
            mend="load it in float32, or check its weights",
        )


def _solved(engine: Engine, task: Task, passages: Sequence[Passage], config: Config) -> Edit:
    """Let the method solve a task for some passages."""
    method = importlib.import_module(f"codetemper.harden.repair.{METHODS[config.method]}")
    columns = chosen_columns(engine, passages, config)
    asked = replace(task, passages=tuple(passages), columns=columns, config=config)
    found: Edit = method.solve(engine, asked)
    return found


def _probed(engine: Engine, task: Task, passages: Sequence[Passage]) -> Edit:
    """Return one round of the closed form, without guard constraints or events."""
    once = Config(method="joint", rounds=1, margin=task.config.margin, ridge=task.config.ridge)
    quiet = replace(task, reference=(), on_event=ignore_events)
    return _solved(engine, quiet, passages, once)


def failures_of(folder: Path) -> list[Failure]:
    """Return the failures that a patch repairs.

    Raises:
        UsageError: it is no patch of a repair.
    """
    path = folder / FAILURES
    try:
        return [from_plain(row) for row in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{folder.name} is not a repair",
            why=f"{FAILURES} cannot be read: {error}",
            mend="give patches that 'codetemper repair' made",
        ) from error


def _texts(
    model: LoadedModel, reference: Sequence[tuple[str, str]], passages: Sequence[Passage]
) -> list[Passage]:
    """Return what statistics are taken of, as passages; of a bare text every token is one."""
    if not reference:
        return [_whole(passage.failure, passage.prompt) for passage in passages]
    named = [
        Failure(id=f"reference {n}", prompt=prompt, reference=text)
        for n, (prompt, text) in enumerate(reference)
    ]
    return [
        passage if failure.reference else _whole(failure.id, passage.prompt)
        for failure in named
        for passage in tokens_of(model.tokenizer, [failure])
    ]


def _whole(name: str, ids: tuple[int, ...]) -> Passage:
    return Passage(name, 0, ids[:1], ids[1:] or ids[:1])


def _share(weight: torch.Tensor, delta: Delta) -> float:
    return float(delta.dense().float().norm() / weight.float().norm().clamp_min(1e-30))


def _write(
    model: LoadedModel,
    engine: Engine,
    edit: Edit,
    failures: Sequence[Failure],
    folder: Path,
    frozen: Sequence[Path],
) -> None:
    """Write the patch against the weights that it replaces: the base's, with rows patches in."""
    rows = [path for path in frozen if load_manifest(path).kind == "rows"]
    with attached(model, *rows):
        changes, factors = [], []
        for layer, delta in edit.deltas.items():
            old = engine.matrix(layer).detach()
            change = as_change(old, delta, engine.sites[layer])
            if not torch.equal(_replaced(old, change), change.values):
                changes.append(change)
                weight = engine.sites[layer].weight
                factors.append(Factors(weight, delta.left, delta.right, delta.columns))
        if not changes:
            raise UsageError(
                "the repair changes nothing",
                why="the method found no change, or it rounds away in the weights' type",
                mend="use method=joint, more rounds, or a model in float32",
            )
        with mendable(folder):
            write_rows(folder, changes, model.module)
            if all(2 * delta.rank <= engine.hidden for delta in edit.deltas.values()):
                write_factors(folder, factors)
    write_atomic(
        folder / FAILURES, canonical_json([each.model_dump(mode="json") for each in failures])
    )


def _replaced(old: torch.Tensor, change: Change) -> torch.Tensor:
    if change.axis is None:
        return old
    return old.index_select(change.axis, torch.as_tensor(change.index, device=old.device))
