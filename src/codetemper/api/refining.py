# SPDX-License-Identifier: Apache-2.0
"""The verb ``refine``: rounds of sampling, judging, pairing and training, until the gain is spent.

    manifest = refine(workspace, "seedling", ["world-python"], Config(rounds=4))
    Refinement.model_validate(manifest.report).stop

A killed call goes on when it is given again (``refining_rounds``). Which cases are for what is
``refining_parts``', what a round learns ``harden.refine``'s, when rounds end ``evaluate.rounds``'.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codetemper.api.models import full_name, opened_base, patch_folders, refuse_required
from codetemper.api.refining_parts import ANSWERS, Material, gather, turned
from codetemper.api.refining_rounds import Rounds
from codetemper.api.review import human_choices
from codetemper.api.runs import Run, read_run
from codetemper.api.tuning import guards_named, settle_patch
from codetemper.core.accounts import PatchManifest
from codetemper.core.digests import digest_json
from codetemper.core.errors import UsageError
from codetemper.core.records import (
    Difference,
    Event,
    OnEvent,
    PreferencePair,
    ignore_events,
)
from codetemper.core.refinement import Refinement, Round
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import read_corpus
from codetemper.evaluate import gate, rounds
from codetemper.judges import JudgeOptions


@dataclass(frozen=True)
class _Done:
    """What ``settle_patch`` tells of a technique: here, of all rounds together."""

    seconds: float
    refinement: Refinement

    def report(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return self.refinement.model_dump(mode="json")


def plan_refining(
    workspace: Workspace,
    model: str,
    suites: Sequence[str],
    config: Any | None = None,
    *,
    validate_on: str | None = None,
    test_on: str | None = None,
    choices: str | None = None,
    guards: Sequence[str] = (),
    limit: int | None = None,
    cluster: gate.Cluster = "case",
) -> dict[str, Any]:
    """Return what ``refine`` would do with the same arguments; writes nothing.

    Raises:
        UsageError, IntegrityError: as ``refine``.
    """
    config = config or _default()
    material = gather(
        suites, validate_on=validate_on, test_on=test_on, limit=limit, seed=config.seed,
        security=config.security, cluster=cluster,
    )  # fmt: skip
    patch_folders(workspace, model)
    refuse_required(workspace, "refine")
    counts = material.counts
    return {
        "model": full_name(workspace, model),
        "train": {material.train.card.name: counts["train"]},
        "validation": {material.validation.card.name: counts["validation"]},
        "test": {suite.card.name: len(suite.cases) for suite in material.tests},
        "shared_out": material.shared,
        "left_out": material.dropped,
        "metric": material.metric,
        "samples_a_round": counts["train"] * config.samples,
        "answers_validated": counts["validation"] * ANSWERS,
        "choices": len(_choices(workspace, choices)),
        "guards": [guard.id for guard in guards_named(workspace, guards)],
        "config": config.model_dump(mode="json"),
    }


def refine(
    workspace: Workspace,
    model: str,
    suites: Sequence[str],
    config: Any | None = None,
    *,
    validate_on: str | None = None,
    test_on: str | None = None,
    choices: str | None = None,
    guards: Sequence[str] = (),
    limit: int | None = None,
    cluster: gate.Cluster = "case",
    options: JudgeOptions | None = None,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> PatchManifest:
    """Refine a model on what its own answers do; a killed call goes on where it was.

    Args:
        workspace: gets runs, corpora of pairs, a patch for each round, the patch that is kept, and
            their ledger entries.
        model: expression. Its patches are on and frozen all the time: the new one goes on top.
        suites: what to learn from, by shipped name or ``FORMAT:PATH``; their prompts are pooled.
        config: ``codetemper.harden.refine.Config``; its defaults where None.
        validate_on: suite that rounds are compared on; where None, a share of the cases of
            ``suites``, which is not learnt from.
        test_on: suite that is looked at once, at the end; where None, likewise.
        choices: id of a corpus of pairs that somebody chose, or its beginning; they go before what
            execution says.
        guards: ids of guards, or beginnings of ids: on while training, off otherwise.
        limit: learn from this many prompts, drawn with the seed.
        cluster: what intervals resample; ``family`` also shares families out as a whole.
        options: of the judges.
        device: torch device name.
        on_event: progress; ``stage="round"`` events tell of finished rounds.
        loaded: a handle of the bare base that is loaded already.

    Returns:
        The manifest of the kept round's patch; its report is a ``core.refinement.Refinement``.

    Raises:
        UsageError: suites that cannot be learnt from, nothing to learn in the first round, a full
            disk, the same refinement running elsewhere, or as the technique.
        CannotKnowError: a judge cannot work here, or broke down.
        IntegrityError: data or patches are not what they are recorded to be.
    """
    _refuse_crew()
    refuse_required(workspace, "refine")
    begun = time.monotonic()
    config = config or _default()
    model = full_name(workspace, model)
    material = gather(
        suites, validate_on=validate_on, test_on=test_on, limit=limit, seed=config.seed,
        security=config.security, cluster=cluster,
    )  # fmt: skip
    with opened_base(workspace, model, loaded, device=device) as handle:
        every = Rounds(
            workspace,
            handle,
            model,
            material,
            config,
            guards=guards_named(workspace, guards),
            choices=_choices(workspace, choices),
            options=options or JudgeOptions(),
            cluster=cluster,
            on_event=on_event,
        )
        with workspace.lock(f"refine-{every.key[:16]}", timeout_s=1.0):
            made, runs, stop = _rounds(every, material, config, on_event)
            if not made:
                raise _nothing(workspace, every, stop)
            refinement = _summed(every, material, made, runs, stop, cluster)
            seconds = max(time.monotonic() - begun, _seconds(made))
            manifest = _kept(workspace, every, refinement, config, seconds)
            for suite in material.tests:
                # The same answers, under the name that the patch goes by from now on.
                every.answered(manifest.id, suite)
            return manifest


def _rounds(
    every: Rounds, material: Material, config: Any, on_event: OnEvent
) -> tuple[list[Round], list[Run], str]:
    """Make rounds until they end; return them, all validation runs, and why they ended."""
    made: list[Round] = []
    runs = [every.validated(None)]
    metric = material.metric
    start = rounds.estimated(runs[0].scorecard, metric)
    _tell(on_event, 0, config.rounds, f"{metric} {_percent(start.value)} on the validation cases")
    stop = None
    while stop is None:
        done = every.made(len(made) + 1, made[-1].patch if made else None, runs[-1])
        if isinstance(done, str):
            stop = done
            break
        made.append(done)
        runs.append(read_run(every.run_folder(done.validation_run)))
        _tell(on_event, len(made), config.rounds, _line(done, metric))
        stop = rounds.ended([r.gain for r in made], epsilon=config.epsilon, rounds=config.rounds)
    return made, runs, stop


def _summed(
    every: Rounds,
    material: Material,
    made: Sequence[Round],
    runs: Sequence[Run],
    stop: str,
    cluster: gate.Cluster,
) -> Refinement:
    """Choose a round, test it, and say what all rounds did."""
    chosen = rounds.best([done.validation for done in made])
    patch = made[chosen - 1].patch
    test: dict[str, Difference] = {}
    for suite in material.tests:
        before, after = (every.answered(each, suite).scorecard for each in (None, patch))
        found = gate.compare(before, after, cluster=cluster)
        test |= {f"{suite.card.name}/{metric}": found[metric] for metric in found}
    return Refinement(
        suites=material.digests,
        metric=material.metric,
        shares=material.counts,
        rounds=tuple(made),
        start=rounds.estimated(runs[0].scorecard, material.metric, cluster),
        stop=stop,
        chosen_round=chosen,
        test=test,
        changed=turned(runs[0], runs[chosen], material.metric),
    )


def _kept(
    workspace: Workspace, every: Rounds, refinement: Refinement, config: Any, seconds: float
) -> PatchManifest:
    """Settle the patch of the chosen round as what the refinement made."""
    from codetemper.models.patch import MANIFEST

    chosen = refinement.rounds[refinement.chosen_round - 1]
    source = workspace.patches / chosen.patch
    corpus = workspace.corpora / chosen.pairs_corpus
    card = read_corpus(corpus)[0]
    facts = every.facts | {
        "rounds": config.rounds,
        "epsilon": config.epsilon,
        "chosen_round": refinement.chosen_round,
        "round_patch": chosen.patch,
        "validation": digest_json(refinement.suites),
    }
    with workspace.staged("patches") as staged:
        for path in sorted(source.iterdir()):
            if path.name != MANIFEST:
                shutil.copy(path, staged / path.name)
        return settle_patch(
            workspace,
            staged,
            _Done(seconds, refinement),
            verb="refine",
            inputs=every.inputs
            | {"corpus": card.id, "corpus_digest": card.data_digest}
            | {f"cases:{name}": digest for name, digest in refinement.suites.items()},
            facts=facts,
            seed=config.seed,
            note=f"round {refinement.chosen_round} of {len(refinement.rounds)}: {refinement.stop}",
        )


def _nothing(workspace: Workspace, every: Rounds, stop: str) -> UsageError:
    """Record that the first round had nothing to learn from; return what to say of it."""
    workspace.ledger.append("refine", inputs=every.inputs, note=f"no patch: {stop}")
    return UsageError(
        "there is nothing to refine on",
        why=stop,
        mend="draw more samples (-o samples=30, -o more_samples=20) or hotter ones "
        "(-o temperature=1.0), let known answers win (-o reference_wins=true), or take other "
        "prompts",
    )


def _choices(workspace: Workspace, corpus: str | None) -> list[PreferencePair]:
    """Return the pairs of a corpus that somebody chose; none where none is named."""
    return [] if corpus is None else human_choices(workspace, corpus)[1]


def _refuse_crew() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "refine runs in one process",
            why="accelerate or torchrun started several, and each would sample and judge",
            mend="codetemper refine MODEL --suite NAME --device cuda",
        )


def _seconds(made: Sequence[Round]) -> float:
    return sum(sum(done.seconds.values()) for done in made)


def _tell(on_event: OnEvent, done: int, total: int, note: str) -> None:
    on_event(Event(stage="round", done=done, total=total, unit="rounds", note=note))


def _line(done: Round, metric: str) -> str:
    """Say in a line what a round did."""
    gain = done.gain
    return (
        f"{sum(done.pairs.values())} pairs of {done.mixed} prompts; {metric} "
        f"{_percent(gain.before)} -> {_percent(gain.after)} "
        f"({100 * gain.difference:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}])"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _default() -> Any:
    from codetemper.harden.refine import Config

    return Config()
