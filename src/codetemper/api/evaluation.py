# SPDX-License-Identifier: Apache-2.0
"""The verbs that measure: ``evaluate``, ``judge_file``, ``compare``, ``gate``.

A run is a folder that holds everything a number rests on: configuration, completions, verdicts,
scorecard. It is named by its content, so the same evaluation made twice is one run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from codetemper.api.models import load_model
from codetemper.core.digests import digest_file, digest_folder, digest_json
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.journal import Journal
from codetemper.core.records import (
    Completion,
    Decision,
    Difference,
    OnEvent,
    Record,
    Sampling,
    Scorecard,
    Verdict,
    ignore_events,
)
from codetemper.core.workspace import Workspace, content_id, write_atomic
from codetemper.evaluate import gate as gating
from codetemper.evaluate import harness, suites
from codetemper.judges import JudgeOptions, judge_all, signature


@dataclass(frozen=True)
class Run:
    """A finished evaluation.

    Attributes:
        id: name of the run folder.
        folder: where it lies.
        scorecard: what it found.
    """

    id: str
    folder: Path
    scorecard: Scorecard


def evaluate(
    workspace: Workspace,
    model: str,
    suite_name: str,
    sampling: Sampling,
    *,
    limit: int | None = None,
    options: JudgeOptions | None = None,
    ks: Sequence[int] = (1,),
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> Run:
    """Let a model answer a suite, judge the answers, store and record the run.

    Args:
        workspace: gets the run and a ledger entry.
        model: model expression.
        suite_name: shipped name or ``FORMAT:PATH``.
        sampling: how completions are drawn.
        limit: evaluate this many cases, drawn with the sampling's seed.
        options: of the judges.
        ks: values of k to report beside those of the suite's card.
        device: torch device name.
        on_event: progress.
        loaded: a model handle for ``model`` that is loaded already.

    Raises:
        CannotKnowError: a judge cannot work here (no sandbox, no compiler).
    """
    options = options or JudgeOptions()
    suite = suites.load(suite_name, limit=limit, seed=sampling.seed)
    _signatures(suite)
    opened = load_model(workspace, model, device=device) if loaded is None else nullcontext(loaded)
    with opened as handle:
        digest = handle.digest
        journal = Journal(_journal(workspace, "completions", [digest, suite.digest]))
        completions = harness.complete(handle, suite, sampling, journal, on_event=on_event)
    asked = _Asked("eval", model, digest, suite, sampling, completions)
    return _finish(workspace, asked, options, ks, on_event)


def judge_file(
    workspace: Workspace,
    suite_name: str,
    path: Path,
    *,
    options: JudgeOptions | None = None,
    ks: Sequence[int] = (1,),
    on_event: OnEvent = ignore_events,
) -> Run:
    """Judge completions made elsewhere; no model is needed.

    Args:
        workspace: gets the run and a ledger entry.
        suite_name: shipped name or ``FORMAT:PATH``.
        path: JSONL, ``{"case" or "task_id", "completion"}`` a line; may be ``.gz``.
        options: of the judges.
        ks: values of k to report.
        on_event: progress.

    Raises:
        UsageError: an unreadable line, or a case the suite does not have.
    """
    options = options or JudgeOptions()
    suite = suites.load(suite_name)
    completions = _read_completions(suite, path)
    asked = {completion.case for completion in completions}
    part = suites.Suite(suite.card, tuple(case for case in suite.cases if case.id in asked))
    count = max(sum(c.case == case.id for c in completions) for case in part.cases)
    asked_for = _Asked(
        "judge", f"file:{path.name}", digest_file(path), part, Sampling(n=count), completions
    )
    return _finish(workspace, asked_for, options, ks, on_event)


def _read_completions(suite: suites.Suite, path: Path) -> list[Completion]:
    known = {case.id for case in suite.cases}
    counts: dict[str, int] = {}
    found = []
    for number, line in enumerate(suites.read_lines(path), 1):
        try:
            row = json.loads(line)
            case, text = row.get("case", row.get("task_id")), row["completion"]
        except (ValueError, KeyError, AttributeError) as error:
            raise UsageError(
                f"line {number} of {path} is not a completion",
                why=f"{type(error).__name__}: {error}",
                mend='write {"case": "...", "completion": "..."} on each line',
            ) from error
        if case not in known or not isinstance(text, str):
            raise UsageError(
                f"line {number} of {path} does not fit the suite '{suite.card.name}'",
                why=f"it has no case named {case!r}, or the completion is not a text",
                mend="check that the file was made for this suite",
            )
        index = counts[case] = counts.get(case, -1) + 1
        found.append(Completion(case=case, index=index, text=text))
    if not found:
        raise UsageError(f"{path} holds no completions", why="it has no lines", mend="fill it")
    return found


def _journal(workspace: Workspace, kind: str, parts: Sequence[str]) -> Path:
    folder = workspace.cache / "journals"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{kind}-{digest_json(list(parts))[:24]}.jsonl"


@dataclass(frozen=True)
class _Asked:
    """What was asked and answered, before it is judged.

    Attributes:
        verb: ``eval`` or ``judge``.
        model: expression, or where the completions come from.
        model_digest: of the weights, or of the completions' file.
        suite: the cases.
        sampling: how completions were drawn.
        completions: what was written.
    """

    verb: str
    model: str
    model_digest: str
    suite: suites.Suite
    sampling: Sampling
    completions: list[Completion]


def _finish(
    workspace: Workspace,
    asked: _Asked,
    options: JudgeOptions,
    ks: Sequence[int],
    on_event: OnEvent,
) -> Run:
    """Judge, sum up, store and record."""
    start = time.monotonic()
    suite = asked.suite
    salt = digest_json([_signatures(suite), options.model_dump(mode="json", exclude={"workers"})])
    journal = Journal(_journal(workspace, "verdicts", [suite.digest, salt]))

    def judge(items: Any, *, on_event: OnEvent) -> list[Verdict]:
        return judge_all(items, options=options, on_event=on_event)

    verdicts = harness.decide(
        suite, asked.completions, judge, journal, salt=salt, on_event=on_event
    )
    card = harness.scorecard(
        suite,
        verdicts,
        model=asked.model,
        model_digest=asked.model_digest,
        sampling=asked.sampling,
        sandbox=options.sandbox,
        ks=ks,
    )
    run = _store(workspace, asked, options, verdicts, card, time.monotonic() - start)
    workspace.ledger.append(
        asked.verb,
        inputs={
            "model": asked.model,
            "model_digest": asked.model_digest,
            "suite": suite.card.name,
            "suite_digest": suite.digest,
        },
        outputs={f"run:{run.id}": digest_folder(run.folder)},
        note="" if options.sandbox == "bwrap" else f"sandbox: {options.sandbox}",
    )
    return run


def _store(
    workspace: Workspace,
    asked: _Asked,
    options: JudgeOptions,
    verdicts: Sequence[Verdict],
    card: Scorecard,
    seconds: float,
) -> Run:
    """Write the run folder and settle it under its content id."""
    config = {
        "verb": asked.verb,
        "model": asked.model,
        "suite": asked.suite.card.name,
        "judges": _signatures(asked.suite),
        "sampling": asked.sampling.model_dump(mode="json"),
        "options": options.model_dump(mode="json"),
    }
    rows: dict[str, Sequence[Record]] = {
        "cases": asked.suite.cases,
        "completions": asked.completions,
        "verdicts": verdicts,
    }
    facts = {
        # The seconds a verdict took are no part of what was found.
        name: digest_json([r.model_dump(mode="json", exclude={"seconds"}) for r in records])
        for name, records in rows.items()
    }
    id = content_id(asked.verb, {}, facts | {"card": card.digest()})
    with workspace.staged("runs") as folder:
        write_atomic(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False).encode())
        for name, records in rows.items():
            _write_rows(folder / f"{name}.parquet", records)
        write_atomic(folder / "scorecard.json", card.model_dump_json(indent=1).encode())
        event = {"stage": asked.verb, "done": len(verdicts), "seconds": round(seconds, 3)}
        write_atomic(folder / "events.jsonl", (json.dumps(event) + "\n").encode())
        home = workspace.settle(folder, "runs", id)
    return Run(id, home, card)


def _signatures(suite: suites.Suite) -> dict[str, str]:
    """Return name and version of every judge the suite's cases name."""
    return {name: signature(name) for name in sorted({case.judge for case in suite.cases})}


def _write_rows(path: Path, rows: Sequence[Record]) -> None:
    """Write records as Parquet: flat columns as they are, nested ones as JSON text."""
    plain = [
        {
            key: json.dumps(value) if isinstance(value, dict | list) else value
            for key, value in row.model_dump(mode="json").items()
        }
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(plain), path)


def read_rows(path: Path, kind: type[Record]) -> list[Any]:
    """Read back what ``evaluate`` wrote: ``Case``, ``Completion`` or ``Verdict`` records.

    Raises:
        IntegrityError: the file is missing or is not what was written.
    """
    nested = {
        name
        for name, field in kind.model_fields.items()
        if any(word in str(field.annotation) for word in ("tuple", "dict"))
    }
    try:
        rows = pq.read_table(path).to_pylist()
        return [
            kind.model_validate({k: json.loads(v) if k in nested else v for k, v in row.items()})
            for row in rows
        ]
    except (OSError, ValueError, ValidationError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{path} cannot be read", why=str(error).splitlines()[0], mend="codetemper verify"
        ) from error


def find_scorecards(workspace: Workspace, name: str) -> dict[str, Run]:
    """Return the newest runs that a name means, by suite.

    Args:
        workspace: where to look.
        name: a run id (or the beginning of one), or a model expression: then the newest run of
            every suite that this model was evaluated on.

    Raises:
        UsageError: nothing was run under that name.
    """
    by_model: dict[str, Run] = {}
    for entry in workspace.ledger.entries():
        for output in entry.outputs:
            kind, _, id = output.partition(":")
            if kind == "run" and entry.inputs.get("model") == name:
                run = read_run(workspace.runs / id)
                by_model[run.scorecard.suite] = run
    if by_model:
        return by_model
    try:
        run = read_run(workspace.resolve("runs", name))
    except UsageError as error:
        raise UsageError(
            f"nothing was evaluated under the name '{name}'",
            why="the ledger has no run of that model, and no run id begins so",
            mend="codetemper ls runs shows what there is",
        ) from error
    return {run.scorecard.suite: run}


def read_run(folder: Path) -> Run:
    """Read a finished run's scorecard.

    Raises:
        IntegrityError: it is missing or damaged.
    """
    try:
        card = Scorecard.from_json((folder / "scorecard.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise IntegrityError(
            f"the run {folder.name} cannot be read",
            why=str(error).splitlines()[0],
            mend="codetemper verify",
        ) from error
    return Run(folder.name, folder, card)


def compare(workspace: Workspace, before: str, after: str) -> dict[str, Difference]:
    """Return the paired differences of every suite both names were evaluated on."""
    return {
        f"{b.suite}/{metric}": difference
        for b, a in _pairs(workspace, before, after)
        for metric, difference in gating.compare(b, a).items()
    }


def gate(
    workspace: Workspace, before: str, after: str, thresholds: gating.Thresholds | None = None
) -> Decision:
    """Decide whether ``after`` is accepted over ``before``, and record the decision."""
    pairs = _pairs(workspace, before, after)
    decision = gating.decide(pairs, thresholds)
    workspace.ledger.append(
        "gate",
        inputs={"before": before, "after": after},
        outputs={"decision": decision.digest()},
        note=f"{decision.decision}: {'; '.join(decision.reasons)}",
    )
    return decision


def _pairs(workspace: Workspace, before: str, after: str) -> list[tuple[Scorecard, Scorecard]]:
    first, second = find_scorecards(workspace, before), find_scorecards(workspace, after)
    shared = [suite for suite in first if suite in second]
    if not shared:
        raise UsageError(
            f"'{before}' and '{after}' were not evaluated on the same suite",
            why=f"suites: {', '.join(first)} against {', '.join(second)}",
            mend="evaluate both on the same suites first",
        )
    return [(first[suite].scorecard, second[suite].scorecard) for suite in shared]
