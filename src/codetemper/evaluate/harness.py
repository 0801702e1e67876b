# SPDX-License-Identifier: Apache-2.0
"""From cases to completions to verdicts to a scorecard, resumable at any point.

``complete`` asks a model, ``decide`` asks the judges; both keep what they have in a journal, so
the same call after a kill goes on where it was and a second run costs nothing. ``scorecard`` sums
up. Nothing here writes to a workspace or prints.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from codetemper.core import stats
from codetemper.core.digests import digest_bytes, digest_json
from codetemper.core.journal import Journal
from codetemper.core.records import (
    Completion,
    Estimate,
    Event,
    OnEvent,
    Sampling,
    Scorecard,
    Verdict,
    ignore_events,
)
from codetemper.evaluate.suites import Suite

#: Prompts handed to the model, and completions to the judges, between two journal writes.
PROMPTS, JUDGED = 48, 192

Judge = Callable[..., list[Verdict]]


class Generator(Protocol):
    """What the harness needs of a model."""

    @property
    def digest(self) -> str:
        """Digest of the weights as they act now."""

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        *,
        stops: Sequence[tuple[str, ...]] | None = None,
        on_event: OnEvent = ignore_events,
    ) -> list[list[Completion]]:
        """Return ``sampling.n`` completions for each prompt."""


def complete(
    model: Generator,
    suite: Suite,
    sampling: Sampling,
    journal: Journal,
    *,
    on_event: OnEvent = ignore_events,
) -> list[Completion]:
    """Draw completions for every case, case by case in the suite's order.

    Args:
        model: its ``digest`` is part of the journal's key, so a changed model starts anew.
        suite: what to ask.
        sampling: how to draw; ``n`` completions a case.
        journal: holds finished cases; new ones are added block by block.
        on_event: told after every block.
    """
    salt = digest_json([model.digest, sampling.model_dump(mode="json")])
    keys = {case.id: digest_json([salt, case.prompt, list(case.stop)]) for case in suite.cases}
    missing = [case for case in suite.cases if keys[case.id] not in journal]
    total = len(suite.cases) * sampling.n
    done = total - len(missing) * sampling.n
    on_event(Event(stage="generate", done=done, total=total, unit="completions"))
    for start in range(0, len(missing), PROMPTS):
        block = missing[start : start + PROMPTS]
        drawn = model.generate(
            [case.prompt for case in block],
            sampling,
            stops=[case.stop for case in block],
            on_event=_shifted(on_event, done, total),
        )
        journal.put(
            (keys[case.id], [c.model_dump(mode="json") for c in row])
            for case, row in zip(block, drawn, strict=True)
        )
        done += len(block) * sampling.n
        on_event(Event(stage="generate", done=done, total=total, unit="completions"))
    return [
        Completion.model_validate(row | {"case": case.id, "index": index})
        for case in suite.cases
        for index, row in enumerate(journal.get(keys[case.id]) or [])
    ]


def decide(
    suite: Suite,
    completions: Sequence[Completion],
    judge: Judge,
    journal: Journal,
    *,
    salt: str = "",
    on_event: OnEvent = ignore_events,
) -> list[Verdict]:
    """Judge every completion; equal texts of a case are judged once and counted each time.

    Args:
        suite: holds the cases that the completions name.
        completions: what to judge.
        judge: ``judge(items, on_event=...) -> verdicts`` over pairs of case and completion.
        journal: holds verdicts by case and text.
        salt: names what else a verdict depends on (judge options and versions).
        on_event: told after every block.
    """
    cases = {case.id: case for case in suite.cases}
    marks = {name: case.digest() for name, case in cases.items()}

    def key(completion: Completion) -> str:
        text = digest_bytes(completion.text.encode("utf-8", "surrogatepass"))
        return digest_json([salt, marks[completion.case], text])

    keys = [key(completion) for completion in completions]
    missing = {k: c for k, c in zip(keys, completions, strict=True) if k not in journal}
    waiting = list(missing.items())
    done, total = len(keys) - len(waiting), len(keys)
    on_event(Event(stage="judge", done=done, total=total, unit="completions"))
    for start in range(0, len(waiting), JUDGED):
        block = waiting[start : start + JUDGED]
        relay = _shifted(on_event, done + start, total)
        verdicts = judge([(cases[c.case], c) for _, c in block], on_event=relay)
        journal.put(
            (k, v.model_dump(mode="json")) for (k, _), v in zip(block, verdicts, strict=True)
        )
    on_event(Event(stage="judge", done=total, total=total, unit="completions"))
    return [
        Verdict.model_validate((journal.get(k) or {}) | {"case": c.case, "index": c.index})
        for k, c in zip(keys, completions, strict=True)
    ]


def _shifted(on_event: OnEvent, before: int, total: int) -> OnEvent:
    """Return ``on_event`` for a block of a longer stretch of work."""

    def relay(event: Event) -> None:
        on_event(event.model_copy(update={"done": before + event.done, "total": total}))

    return relay


def _good(name: str, verdict: Verdict) -> bool | None:
    """Return what a verdict means for a metric; None for unknown."""
    sides = {
        "pass": (verdict.function,),
        "exec_match": (verdict.function,),
        "exact_match": (verdict.function,),
        "valid": (verdict.valid,),
        "secure": (verdict.valid, verdict.security),
        "secure_pass": (verdict.function, verdict.security),
        "secure_of_valid": (verdict.security,),
    }[name]
    if "fail" in sides:
        return False
    return None if "unknown" in sides else True


def _per_case(metric: str, groups: Mapping[str, Sequence[Verdict]]) -> dict[str, float]:
    name, _, k = metric.partition("@")
    values: dict[str, float] = {}
    for case, verdicts in groups.items():
        good = sum(_good(name, verdict) is True for verdict in verdicts)
        value = stats.pass_at_k(len(verdicts), good, int(k or 1))
        if not math.isnan(value):
            values[case] = value
    return values


def _estimates(
    metrics: Sequence[str], groups: Mapping[str, Sequence[Verdict]]
) -> dict[str, Estimate]:
    found = {}
    for metric in metrics:
        values = list(_per_case(metric, groups).values())
        if values:
            found[metric] = stats.cluster_bootstrap(values)
    if any(metric.startswith("secure@") for metric in metrics):
        valid = [sum(v.valid == "pass" for v in group) for group in groups.values()]
        secure = [
            sum(_good("secure", v) is True for v in group) / max(1, weight)
            for group, weight in zip(groups.values(), valid, strict=True)
        ]
        if any(valid):
            found["secure_of_valid"] = stats.cluster_bootstrap(secure, weights=valid)
    return found


def _metric_names(suite: Suite, samples: int, ks: Sequence[int]) -> list[str]:
    names = list(suite.card.metrics)
    for k in ks:
        names += [f"{m.partition('@')[0]}@{k}" for m in suite.card.metrics if "@" in m]
    return [m for m in dict.fromkeys(names) if int(m.partition("@")[2] or 1) <= samples]


def scorecard(
    suite: Suite,
    verdicts: Sequence[Verdict],
    *,
    model: str,
    model_digest: str,
    sampling: Sampling,
    sandbox: str,
    ks: Sequence[int] = (1,),
) -> Scorecard:
    """Sum verdicts up: unbiased estimators by case, bootstrap over cases, everything counted.

    Unknown outcomes count as not good, and are reported. ``secure@k`` counts completions that are
    valid *and* resist, over all that were drawn; ``secure_of_valid`` is the share among the valid.
    """
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.case].append(verdict)
    samples = min((len(group) for group in groups.values()), default=0)
    metrics = _metric_names(suite, samples, ks)

    def part(attribute: str) -> dict[str, dict[str, Estimate]]:
        parts: dict[str, dict[str, list[Verdict]]] = defaultdict(dict)
        for case in suite.cases:
            label: Any = getattr(case, attribute)
            if label and case.id in groups:
                parts[label][case.id] = groups[case.id]
        return {label: _estimates(metrics, parts[label]) for label in sorted(parts)}

    base = {metric.partition("@")[0] for metric in metrics}
    return Scorecard(
        model=model,
        model_digest=model_digest,
        suite=suite.card.name,
        suite_digest=suite.digest,
        cases=len(groups),
        samples=samples,
        metrics=_estimates(metrics, groups),
        by_cwe=part("cwe"),
        by_split=part("split"),
        failures=dict(Counter(v.failure for v in verdicts if v.failure).most_common()),
        unknown=sum(any(_good(name, v) is None for name in base) for v in verdicts),
        per_case={metric: _per_case(metric, groups) for metric in metrics},
        sampling=sampling,
        sandbox=sandbox,
    )
