# SPDX-License-Identifier: Apache-2.0
"""The verbs that measure: ``evaluate``, ``judge_file``, ``compare``, ``gate``.

A run is a folder that holds everything a number rests on: configuration, completions, verdicts,
scorecard. It is named by its content, so the same evaluation made twice is one run.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from codetemper.api.evidence import Evidence, add_evidence, evidence_for
from codetemper.api.models import full_name, opened
from codetemper.api.runs import Run, RunWriter, look_at, pair_runs
from codetemper.api.settling import settle
from codetemper.core.digests import digest_file, digest_json
from codetemper.core.disk import mendable
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.journal import Journal
from codetemper.core.records import (
    Completion,
    Decision,
    Difference,
    OnEvent,
    Sampling,
    Verdict,
    ignore_events,
)
from codetemper.core.workspace import Workspace, content_id, write_atomic
from codetemper.evaluate import formats, harness, scorecards, suites
from codetemper.evaluate import gate as gating
from codetemper.judges import JudgeOptions, judge_all, signature

#: Libraries whose versions decide what a model writes; a run records them.
_VERSIONED = ("codetemper", "torch", "transformers", "peft")


def evaluate(
    workspace: Workspace,
    model: str,
    suite: str | suites.Suite,
    sampling: Sampling,
    *,
    limit: int | None = None,
    options: JudgeOptions | None = None,
    ks: Sequence[int] = (1,),
    cluster: gating.Cluster = "case",
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> Run:
    """Let a model answer a suite, judge the answers, store and record the run.

    Args:
        workspace: gets the run and a ledger entry.
        model: model expression.
        suite: shipped name or ``FORMAT:PATH``, or a suite itself, which is taken as it is.
        sampling: how completions are drawn.
        limit: evaluate this many cases of a suite by name, drawn with the sampling's seed.
        options: of the judges.
        ks: values of k to report beside those of the suite's card.
        cluster: what intervals resample, cases or families of cases.
        device: torch device name.
        on_event: progress.
        loaded: a model handle for ``model`` that is loaded already.

    Raises:
        CannotKnowError: a judge cannot work here (no sandbox, no compiler), or there are fewer
            samples than a k asks for.
    """
    options = options or JudgeOptions()
    model = full_name(workspace, model)
    _enough(sampling.n, ks)
    if isinstance(suite, str):
        suite = suites.load(suite, limit=limit, seed=sampling.seed)
    _signatures(suite)
    with opened(workspace, model, loaded, device=device) as handle:
        digest = handle.digest
        journal = Journal(_journal(workspace, "completions", [digest, suite.digest]))
        completions = harness.complete(handle, suite, sampling, journal, on_event=on_event)
    total = len(suite.cases) * sampling.n
    asked = _Asked("eval", model, digest, suite, sampling, completions, total)
    return _finish(workspace, asked, options, ks, cluster, on_event)


def judge_file(
    workspace: Workspace,
    suite_name: str,
    path: Path,
    *,
    options: JudgeOptions | None = None,
    ks: Sequence[int] = (1,),
    cluster: gating.Cluster = "case",
    on_event: OnEvent = ignore_events,
) -> Run:
    """Judge completions made elsewhere; no model is needed.

    Args:
        workspace: gets the run and a ledger entry.
        suite_name: shipped name or ``FORMAT:PATH``.
        path: JSONL, ``{"case" or "task_id", "completion" or "solution"}`` a line; may be ``.gz``.
            A solution is a whole program.
        options: of the judges.
        ks: values of k to report.
        cluster: as ``evaluate``.
        on_event: progress.

    Raises:
        UsageError: an unreadable line, or a case the suite does not have.
        CannotKnowError: as ``evaluate``.
    """
    options = options or JudgeOptions()
    suite = suites.load(suite_name)
    counts = _counted(suite, path)
    part = suites.Suite(suite.card, tuple(case for case in suite.cases if case.id in counts))
    _enough(min(counts.values()), ks)
    asked = _Asked(
        "judge", f"file:{path.name}", digest_file(path), part,
        Sampling(n=max(counts.values())), _read_completions(suite, path), counts.total(),
    )  # fmt: skip
    return _finish(workspace, asked, options, ks, cluster, on_event)


def plan_judging(suite_name: str, path: Path) -> dict[str, Any]:
    """Return what ``judge_file`` would judge, and with which judges; writes nothing.

    Raises:
        UsageError: as ``judge_file``.
    """
    suite = suites.load(suite_name)
    counts = _counted(suite, path)
    return {
        "suite": suite.card.name,
        "cases": len(counts),
        "completions": counts.total(),
        "judges": _signatures(suite),
    }


def _enough(samples: int, ks: Sequence[int]) -> None:
    if max(ks) > samples:
        raise CannotKnowError(
            f"{samples} sample(s) a case say nothing of k = {max(ks)}",
            why="the unbiased estimator of pass@k needs at least k samples of every case",
            mend=f"draw more with -n {max(ks)}, or ask for a smaller --k",
        )


def _counted(suite: suites.Suite, path: Path) -> Counter[str]:
    """Read a file of completions through; return how many there are of each case."""
    counts = Counter(completion.case for completion in _read_completions(suite, path))
    if not counts:
        raise UsageError(f"{path} holds no completions", why="it has no lines", mend="fill it")
    return counts


def _read_completions(suite: suites.Suite, path: Path) -> Iterator[Completion]:
    known = {case.id: case for case in suite.cases}
    # Numbers name a task where one case alone ends in them, as MBPP's do.
    short: dict[str, str | None] = {}
    for name in known:
        end = name.rsplit("/", 1)[-1]
        short[end] = None if end in short else name
    counts: dict[str, int] = {}
    for number, line in enumerate(formats.read_lines(path), 1):
        try:
            row = json.loads(line)
            given = row.get("case", row.get("task_id"))
            text = row["solution"] if "completion" not in row else row["completion"]
        except (ValueError, KeyError, AttributeError) as error:
            raise UsageError(
                f"line {number} of {path} is not a completion",
                why=f"{type(error).__name__}: {error}",
                mend='write {"case": "...", "completion": "..."} on each line, or "solution" for '
                "whole programs",
            ) from error
        name = str(given) if str(given) in known else short.get(str(given))
        if name is None or not isinstance(text, str):
            raise UsageError(
                f"line {number} of {path} does not fit the suite '{suite.card.name}'",
                why=f"it has no case named {given!r}, or the completion is not a text",
                mend="check that the file was made for this suite",
            )
        whole, prompt = "completion" not in row, known[name].prompt
        if whole and text.startswith(prompt):
            text, whole = text[len(prompt) :], False
        index = counts[name] = counts.get(name, -1) + 1
        yield Completion(case=name, index=index, text=text, whole=whole)


def _journal(workspace: Workspace, kind: str, parts: Sequence[str]) -> Path:
    folder = workspace.cache / "journals"
    with mendable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{kind}-{digest_json(list(parts))[:24]}.sqlite"


@dataclass(frozen=True)
class _Asked:
    """What was asked and answered, before it is judged.

    Attributes:
        verb: ``eval`` or ``judge``.
        model: expression, or where the completions come from.
        model_digest: of the weights, or of the completions' file.
        suite: the cases.
        sampling: how completions were drawn.
        completions: what was written; read once.
        total: how many completions there are.
    """

    verb: str
    model: str
    model_digest: str
    suite: suites.Suite
    sampling: Sampling
    completions: Iterable[Completion]
    total: int


def _finish(
    workspace: Workspace,
    asked: _Asked,
    options: JudgeOptions,
    ks: Sequence[int],
    cluster: gating.Cluster,
    on_event: OnEvent,
) -> Run:
    """Judge, sum up, store and record, holding one block of completions at a time."""
    start = time.monotonic()
    suite = asked.suite
    options = options.model_copy(update={"cache": workspace.cache / "scans"})
    evidence = evidence_for(suite, options)
    with workspace.staged("runs") as folder:
        with RunWriter(folder, suite) as writer:
            blocks = _blocks(workspace, asked, options, evidence, on_event)
            card = scorecards.scorecard(
                suite,
                writer.through(blocks),
                model=asked.model,
                model_digest=asked.model_digest,
                sampling=asked.sampling,
                sandbox=options.sandbox,
                ks=ks,
                cluster=cluster,
                unqualified=evidence.unqualified,
            )
        write_atomic(folder / "scorecard.json", card.model_dump_json(indent=1).encode())
        write_atomic(folder / "config.yaml", _configuration(asked, options, evidence))
        event = {"stage": asked.verb, "done": asked.total,
                 "seconds": round(time.monotonic() - start, 3)}  # fmt: skip
        write_atomic(folder / "events.jsonl", (json.dumps(event) + "\n").encode())
        id = content_id(asked.verb, {}, writer.facts() | {"card": card.digest()})
        inputs = {
            "model": asked.model,
            "model_digest": asked.model_digest,
            "suite": suite.card.name,
            "suite_digest": suite.digest,
        }
        note = "" if options.sandbox == "bwrap" else f"sandbox: {options.sandbox}"
        home = settle(workspace, folder, "runs", id, asked.verb, inputs=inputs, note=note)
    return Run(id, home, card)


def _blocks(
    workspace: Workspace,
    asked: _Asked,
    options: JudgeOptions,
    evidence: Evidence,
    on_event: OnEvent,
) -> Iterator[list[tuple[Completion, Verdict]]]:
    """Yield completions with verdicts, evidence of analysers included."""
    suite = asked.suite
    salt = digest_json([_signatures(suite), options.model_dump(mode="json", exclude={"workers"})])
    journal = Journal(_journal(workspace, "verdicts", [suite.digest, salt]))

    def judge(items: Any, *, on_event: OnEvent) -> list[Verdict]:
        return judge_all(items, options=options, on_event=on_event)

    for block in harness.decide(
        suite, asked.completions, judge, journal, total=asked.total, salt=salt, on_event=on_event
    ):
        completions, verdicts = [c for c, _ in block], [v for _, v in block]
        joined = add_evidence(evidence, suite, completions, verdicts, options, on_event)
        yield list(zip(completions, joined, strict=True))


def _configuration(asked: _Asked, options: JudgeOptions, evidence: Evidence) -> bytes:
    """Return what a run depended on, as YAML."""
    config = {
        "verb": asked.verb,
        "model": asked.model,
        "model_digest": asked.model_digest,
        "suite": asked.suite.card.name,
        "suite_digest": asked.suite.digest,
        "judges": _signatures(asked.suite),
        "analysers": {"names": list(evidence.analysers), "state": evidence.state},
        "sampling": asked.sampling.model_dump(mode="json"),
        "options": options.model_dump(mode="json"),
        "versions": {name: version(name) for name in _VERSIONED},
    }
    return yaml.safe_dump(config, sort_keys=False).encode()


def _signatures(suite: suites.Suite) -> dict[str, str]:
    """Return name and version of every judge the suite's cases name."""
    return {name: signature(name) for name in sorted({case.judge for case in suite.cases})}


def compare(
    workspace: Workspace, before: str, after: str, *, cluster: gating.Cluster = "case"
) -> dict[str, Difference]:
    """Return the paired differences of every suite both names were evaluated on."""
    return {
        f"{b.scorecard.suite}/{metric}": difference
        for b, a in pair_runs(workspace, before, after)
        for metric, difference in gating.compare(b.scorecard, a.scorecard, cluster=cluster).items()
    }


def gate(
    workspace: Workspace,
    before: str,
    after: str,
    thresholds: gating.Thresholds | None = None,
    *,
    cluster: gating.Cluster = "case",
    record: bool = True,
) -> Decision:
    """Decide whether ``after`` is accepted over ``before``, and record the decision.

    Every candidate that was held against the same cases before is one look at them; asking again
    about the same two runs is none. ``record=False`` decides and writes nothing.
    """
    pairs = pair_runs(workspace, before, after)
    looks = {b.scorecard.suite_digest: look_at(workspace, b, a) for b, a in pairs}
    decision = gating.decide(
        [(b.scorecard, a.scorecard) for b, a in pairs],
        thresholds,
        cluster=cluster,
        looks=looks,
    )
    if not record:
        return decision
    inputs = {"before": pairs[0][0].scorecard.model, "after": pairs[0][1].scorecard.model}
    for b, a in pairs:
        suite = b.scorecard.suite
        inputs |= {f"before:{suite}": b.id, f"after:{suite}": a.id,
                   f"suite:{suite}": b.scorecard.suite_digest}  # fmt: skip
    workspace.ledger.append(
        "gate",
        inputs=inputs,
        outputs={"decision": decision.digest()},
        note=f"{decision.decision}: {'; '.join(decision.reasons)}",
    )
    return decision
