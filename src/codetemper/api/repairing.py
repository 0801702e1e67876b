# SPDX-License-Identifier: Apache-2.0
"""The verbs ``repair`` and ``patch resolve``: single failures put right, as one patch.

    made = repair(workspace, "seedling", "failures.jsonl", reference="ours.jsonl")
    made = resolve(workspace, ["repair-3fa9", "repair-81c0"], reference="ours.jsonl")
    made.expression, made.manifest.report["monitor"]

How failures are solved, routed and watched is ``harden.repair``'s. Here data are gathered,
reference texts are shared out (what the monitor reads is used for nothing else), and what was made
becomes a patch with a ledger entry. Where new repairs undo earlier ones, all are solved again from
the model below them (``resolve``): patches piled up forget, solved together they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codetemper.api.failing import Failing, failing
from codetemper.api.greedy import greedy_verdicts
from codetemper.api.models import full_name, opened_base, patch_finder, patch_folders
from codetemper.api.tuning import fix_pairs, settle_patch
from codetemper.core.accounts import PatchManifest
from codetemper.core.digests import digest_json
from codetemper.core.errors import UsageError
from codetemper.core.records import Event, OnEvent, Sampling, ignore_events
from codetemper.core.repairs import FAILURES, Failure, FreeRuns
from codetemper.core.workspace import Workspace
from codetemper.evaluate import suites
from codetemper.judges import JudgeOptions
from codetemper.models.expression import parse

Texts = list[tuple[str, str]]
"""Prompt and what follows it."""


@dataclass(frozen=True)
class Repaired:
    """A patch, and the model that it makes.

    Attributes:
        manifest: of the patch.
        expression: the model with it.
        replaces: patches whose repairs it holds, too: they are not on that model.
    """

    manifest: PatchManifest
    expression: str
    replaces: tuple[str, ...] = ()


def repair(
    workspace: Workspace,
    model: str,
    data: str,
    config: Any | None = None,
    *,
    reference: str | None = None,
    limit: int | None = None,
    check_on: str | None = None,
    check_limit: int | None = None,
    options: JudgeOptions | None = None,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> Repaired:
    """Put failing answers right by a patch.

    Args:
        workspace: gets the patch and a ledger entry; its cache keeps key statistics.
        model: expression. Its patches are on; repairs among them are to stay repaired.
        data: file of failures, or id of a run with failing cases.
        config: ``codetemper.harden.repair.WatchedConfig``; its defaults where None.
        reference: file of texts, or corpus, that is to stay as it is.
        limit: take the first failures only.
        check_on: suite whose cases are answered freely and judged, before and under the patch.
        check_limit: use this many of its cases.
        options: of its judges.
        device: torch device name.
        on_event: progress.
        loaded: a handle of the bare base that is loaded already.

    Raises:
        UsageError: nothing to repair, failures that contradict each other, texts that are none.
        BudgetError, NotRepairedError: there is no patch; exit code 1.
    """
    from codetemper.harden.repair import UndoneError, WatchedConfig

    model = full_name(workspace, model)
    asked = _Asked(
        workspace, config or WatchedConfig(), _texts(workspace, reference), check_on, check_limit,
        options, device, on_event, loaded,
    )  # fmt: skip
    found = failing(workspace, data, limit=limit)
    earlier = _repairs(patch_folders(workspace, model))
    try:
        return _made(asked, model, found, earlier, ())
    except UndoneError as error:
        if not asked.config.resolve:
            raise
        broken = len(error.reading.broken)
    on_event(Event(stage="resolve", done=broken, total=broken, unit="repairs undone"))
    together = replace(found, failures=_together({**earlier, "": found.failures}))
    return _made(asked, _without(model, earlier), together, {}, tuple(earlier))


def resolve(
    workspace: Workspace,
    patches: Sequence[str],
    config: Any | None = None,
    *,
    reference: str | None = None,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> Repaired:
    """Solve the failures of several repairs together, from the model below them, as one patch.

    Args:
        workspace: holds the patches; gets the new one.
        patches: ids or their beginnings; none of them is changed or reverted.
        config: as ``repair``, and likewise all the others.
        reference: texts that are to stay as they are.
        device: torch device name.
        on_event: progress.
        loaded: a handle of the bare base that is loaded already.

    Raises:
        UsageError: patches that are no repairs, or not of one model; a reverted one; else as
            ``repair``.
    """
    from codetemper.harden.repair import WatchedConfig

    folders = list(dict.fromkeys(map(patch_finder(workspace), patches)))
    earlier = _repairs(folders)
    _refuse_others(folders, earlier)
    model = _common_base(folders, earlier)
    failures = _together(earlier)
    found = Failing("+".join(earlier), digest_json(sorted(earlier)), failures, {})
    asked = _Asked(
        workspace, config or WatchedConfig(), _texts(workspace, reference), None, None, None,
        device, on_event, loaded,
    )  # fmt: skip
    return _made(asked, model, found, {}, tuple(earlier))


def plan_repair(
    workspace: Workspace,
    model: str,
    data: str,
    config: Any,
    *,
    reference: str | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Return what ``repair`` would do; loads no model and writes nothing.

    Raises:
        UsageError: as ``repair``.
    """
    model = full_name(workspace, model)
    found = failing(workspace, data, limit=limit)
    texts = _texts(workspace, reference)
    kept, sealed = texts.shared(config.sealed_share, found.failures)
    return {
        "model": model,
        "data": found.name,
        "failures": len(found.failures),
        "left_out": found.left_out,
        "earlier": list(_repairs(patch_folders(workspace, model))),
        "reference": {"kept": len(kept), "sealed": len(sealed)},
        "config": config.model_dump(mode="json"),
    }


@dataclass(frozen=True)
class _References:
    """Texts that are to stay as they are.

    Attributes:
        name: of the file or corpus; empty without one.
        digest: of its rows.
        texts: prompt and what follows.
    """

    name: str = ""
    digest: str = ""
    texts: tuple[tuple[str, str], ...] = ()

    def shared(self, sealed: float, failures: Sequence[Failure]) -> tuple[Texts, Texts]:
        """Return what is kept as it is, and what only the monitor reads.

        Prompts that are repaired are in neither, equal texts in one of them only, once.
        """
        repaired = {prompt for failure in failures for prompt in failure.prompts}
        each = {text: digest_json(text) for text in self.texts if text[0] not in repaired}
        order = sorted(each, key=lambda text: each[text])
        count = round(sealed * len(order))
        return order[count:], order[:count]


@dataclass(frozen=True)
class _Asked:
    """What a repair is made with."""

    workspace: Workspace
    config: Any
    references: _References
    check_on: str | None
    check_limit: int | None
    options: JudgeOptions | None
    device: str
    on_event: OnEvent
    loaded: Any | None


def _made(
    asked: _Asked,
    model: str,
    found: Failing,
    earlier: Mapping[str, Sequence[Failure]],
    replaces: tuple[str, ...],
) -> Repaired:
    """Solve, watch, and settle the patch."""
    from codetemper.harden import repair as technique

    workspace, config, references = asked.workspace, asked.config, asked.references
    kept, sealed = references.shared(config.sealed_share, found.failures)
    with (
        opened_base(workspace, model, asked.loaded, device=asked.device) as handle,
        workspace.staged("patches") as staged,
    ):
        watch = technique.Watch(
            handle.loaded.tokenizer, sealed=sealed, compared=kept, earlier=earlier,
            budgets=config.budgets, probe=config.probe,
            attempt_all=config.attempt_all or bool(replaces), on_event=asked.on_event,
            write=_writer(handle), measure=_measure(handle, asked),
        )  # fmt: skip
        result = technique.repair(
            handle.loaded,
            found.failures,
            config,
            staged,
            reference=kept,
            frozen=patch_folders(workspace, model),
            cache=workspace.cache / "repair",
            watch=watch,
            on_event=asked.on_event,
        )
        result = result.model_copy(update={"left_out": found.left_out, "replaces": replaces})
        inputs = {
            "model": model,
            "model_digest": handle.loaded.digest,
            "corpus": found.name,
            "corpus_digest": found.digest,
        } | {f"replaces:{number}": patch for number, patch in enumerate(replaces)}
        facts = config.model_dump(mode="json")
        facts |= {"reference": references.name, "reference_digest": references.digest}
        if references.name:
            inputs |= {"reference": references.name, "reference_digest": references.digest}
        manifest = settle_patch(
            workspace,
            staged,
            result,
            verb="repair",
            inputs=inputs,
            facts=facts,
            seed=config.seed,
            note=f"{len(result.repaired)} of {len(found.failures)} failures by {config.method}",
        )
    return Repaired(manifest, f"{model}+{manifest.id}", replaces)


def _texts(workspace: Workspace, reference: str | None) -> _References:
    if reference is None:
        return _References()
    card, pairs = fix_pairs(workspace, reference)
    texts = tuple((p.context + p.after[: p.body_start], p.after[p.body_start :]) for p in pairs)
    return _References(card.id, card.data_digest, tuple(text for text in texts if text[1]))


def _writer(handle: Any) -> Callable[[Sequence[str], int], list[str]]:
    def write(prompts: Sequence[str], tokens: int) -> list[str]:
        sampling = Sampling(n=1, temperature=0.0, max_new_tokens=tokens)
        return [row[0].text for row in handle.generate(prompts, sampling)]

    return write


def _measure(handle: Any, asked: _Asked) -> Callable[[], FreeRuns] | None:
    """Return a function that answers a suite freely, one answer a case, and judges it."""
    if asked.check_on is None:
        return None
    suite = suites.load(asked.check_on, limit=asked.check_limit, seed=asked.config.seed)

    def measure() -> FreeRuns:
        verdicts = greedy_verdicts(handle, suite, asked.options)
        count = len(verdicts)
        return FreeRuns(
            suite=suite.card.name,
            cases=count,
            valid=sum(verdict.valid == "pass" for verdict in verdicts) / count,
            right=sum(verdict.function == "pass" for verdict in verdicts) / count,
            passed=tuple(verdict.case for verdict in verdicts if verdict.function == "pass"),
        )

    return measure


def _repairs(folders: Iterable[Path]) -> dict[str, list[Failure]]:
    """Return the failures of the repairs among patches, by patch."""
    from codetemper.harden.repair.run import failures_of

    return {folder.name: failures_of(folder) for folder in folders if (folder / FAILURES).is_file()}


def _together(parts: Mapping[str, Sequence[Failure]]) -> tuple[Failure, ...]:
    """Return failures of several patches, each prompt with its answer once, under unlike ids."""
    merged: dict[tuple[str, str], Failure] = {}
    for patch, failures in parts.items():
        taken = {failure.id for failure in merged.values()}
        for failure in failures:
            key = failure.prompt, failure.reference
            if key in merged:
                views = tuple(dict.fromkeys((*merged[key].views, *failure.views)))
                merged[key] = merged[key].model_copy(update={"views": views})
                continue
            name = f"{failure.id} ({patch or 'new'})" if failure.id in taken else failure.id
            merged[key] = failure.model_copy(update={"id": name})
    return tuple(merged.values())


def _without(model: str, patches: Iterable[str]) -> str:
    """Return an expression without some of its patches."""
    parsed, out = parse(model), set(patches)
    return str(replace(parsed, patches=tuple(p for p in parsed.patches if p not in out)))


def _refuse_others(folders: Sequence[Path], repairs: Mapping[str, object]) -> None:
    others = [folder.name for folder in folders if folder.name not in repairs]
    if others or not folders:
        raise UsageError(
            f"{others[0] if others else 'nothing'} cannot be solved again",
            why="only patches that repair made hold the failures that they repair",
            mend="name patches that 'codetemper repair' made",
        )


def _common_base(folders: Sequence[Path], repairs: Mapping[str, object]) -> str:
    """Return the model that patches go on top of, repairs among its own patches left out."""
    from codetemper.models.patch import load_manifest

    bases: dict[str, str] = {}
    for folder in folders:
        manifest = load_manifest(folder)
        bases.setdefault(_without(manifest.base, repairs), manifest.id)
    if len(bases) > 1:
        (one, first), (other, second) = list(bases.items())[:2]
        raise UsageError(
            f"{first} and {second} cannot be solved together",
            why=f"one was made for {one}, the other for {other}",
            mend="name patches of one model, and all repairs that they were made on top of",
        )
    return next(iter(bases))
