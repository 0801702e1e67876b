# SPDX-License-Identifier: Apache-2.0
"""What a refinement works on, and what it says of its samples: cases, outcomes, reasons to end.

``gather`` says which cases are learnt from, chosen by and tested on; the other functions look at
judged samples. No model and no workspace is needed here; the rounds are ``refining_rounds``'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetemper.api.runs import Run, read_rows
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Record, Verdict
from codetemper.core.refinement import Changed
from codetemper.data.answers import kind_of, outcome_of
from codetemper.data.pairs import PairConfig, is_mixed
from codetemper.evaluate import rounds, shares, suites
from codetemper.evaluate.gate import Cluster
from codetemper.evaluate.suites import Suite

#: Shares of a suite's cases, where no other suite is named for a purpose.
SHARES = {"train": 3, "validation": 1, "test": 1}
#: Answers of each prompt that is validated or tested on.
ANSWERS = 5
#: Cases shown of those that turned, and how many of them may have turned to the worse.
SHOWN, WORSE = 12, 4

Judged = tuple[Case, list[tuple[Completion, Verdict]]]


@dataclass(frozen=True)
class Material:
    """Which cases are for what; no prompt is for two.

    Attributes:
        train: sampled and learnt from.
        validation: chosen by, and ended by.
        tests: looked at once, at the end.
        metric: what the validation suite is measured by.
        shared: whether cases of the training suites were shared out.
        dropped: training prompts left out because they are validated or tested on.
    """

    train: Suite
    validation: Suite
    tests: tuple[Suite, ...]
    metric: str
    shared: bool
    dropped: int

    @property
    def digests(self) -> dict[str, str]:
        """Digest of the cases of each suite, by its name."""
        every = (self.train, self.validation, *self.tests)
        return {suite.card.name: suite.digest for suite in every}

    @property
    def counts(self) -> dict[str, int]:
        """Cases by what they are for."""
        tests = sum(len(suite.cases) for suite in self.tests)
        return {"train": len(self.train.cases), "validation": len(self.validation.cases),
                "test": tests}  # fmt: skip


def gather(
    names: Sequence[str],
    *,
    validate_on: str | None,
    test_on: str | None,
    limit: int | None,
    seed: int,
    security: bool,
    cluster: Cluster,
) -> Material:
    """Load suites and say which of their cases are for what.

    Args:
        names: suites to learn from, by shipped name or ``FORMAT:PATH``; their prompts are pooled.
        validate_on: suite to choose by; None: a share of the cases of ``names``.
        test_on: suite to test on; None: likewise.
        limit: learn from this many prompts.
        seed: draws them.
        security: whether a right answer must resist exploits, where a suite tries some.
        cluster: ``family`` shares whole families out.

    Raises:
        UsageError: unknown suites, too few cases, suites that cannot say what is right, or prompts
            that are both validated and tested on.
    """
    if not names or len(set(names)) < len(names):
        raise UsageError(
            "refine needs suites to learn from, each once",
            why=f"named were: {', '.join(names) or 'none'}",
            mend="codetemper refine MODEL --suite world-python",
        )
    given = {"validation": validate_on, "test": test_on}
    wanted = {name: share for name, share in SHARES.items() if not given.get(name)}
    loaded = [suites.load(name) for name in names]
    for suite in loaded:
        rounds.metric_of(suite, security=security)
    parts = [shares.share_out(suite, wanted, cluster=cluster) for suite in loaded]
    named = {name: suites.load(suite) for name, suite in given.items() if suite}
    taken: list[Suite] = list(named.values())
    if len(taken) == 2 and _prompts(taken[0]) & _prompts(taken[1]):
        raise UsageError(
            "what is validated on cannot be tested on",
            why="the two suites have prompts in common, and the test is to be looked at once",
            mend="name two suites that have no prompt in common",
        )
    kept = {name: (suite,) for name, suite in named.items()} | {
        name: tuple(shares.apart(part[name], taken) for part in parts)
        for name in given
        if name not in named
    }
    validation = shares.pooled(kept["validation"])
    pool = shares.pooled([part["train"] for part in parts])
    train = shares.apart(pool, [validation, *kept["test"]])
    return Material(
        train=suites.drawn(train, limit, seed),
        validation=validation,
        tests=kept["test"],
        metric=rounds.metric_of(validation, security=security),
        shared=len(wanted) > 1,
        dropped=len(pool.cases) - len(train.cases),
    )


def _prompts(suite: Suite) -> set[str]:
    return {case.prompt for case in suite.cases}


def judged(runs: Iterable[Run]) -> list[Judged]:
    """Return cases with all that was sampled of them, in the order of the first run.

    Samples of later runs are numbered on.
    """
    rows: dict[str, Judged] = {}
    for run in runs:
        verdicts = {(v.case, v.index): v for v in _rows(run.folder, "verdicts", Verdict)}
        for case in _rows(run.folder, "cases", Case):
            rows.setdefault(case.id, (case, []))
        offsets = {name: len(samples) for name, (_, samples) in rows.items()}
        for done in _rows(run.folder, "completions", Completion):
            index = offsets[done.case] + done.index
            verdict = verdicts[done.case, done.index].model_copy(update={"index": index})
            rows[done.case][1].append((done.model_copy(update={"index": index}), verdict))
    return list(rows.values())


def _rows(folder: Path, name: str, kind: type[Record]) -> list[Any]:
    return read_rows(folder / f"{name}.parquet", kind)


def unmixed(rows: Iterable[Judged], config: PairConfig) -> frozenset[str]:
    """Return the cases whose samples are not both right and wrong."""
    return frozenset(case.id for case, samples in rows if not is_mixed(case, samples, config))


def nothing_to_learn(rows: Sequence[Judged], counts: Mapping[str, Mapping[str, int]]) -> str:
    """Say why samples make no pairs.

    Args:
        rows: the samples.
        counts: of ``data.pairs.make_pairs`` on them.
    """
    prompts, outcomes = counts["prompts"], counts["outcomes"]
    told = f"all {counts['samples']['drawn']} samples of {prompts['all']} prompts"
    if all(not done.text.strip() for _, samples in rows for done, _ in samples):
        return f"the model writes nothing: {told} are empty"
    if all(verdict.function == "unknown" for _, samples in rows for _, verdict in samples):
        return f"nothing says what is right: of {told} no outcome is known"
    if prompts["wrong"] == prompts["all"]:
        most = max(outcomes, key=outcomes.__getitem__)
        return f"nothing is right: {told} fail, most of them as '{most}'"
    if prompts["right"] == prompts["all"]:
        return f"nothing is wrong: {told} are right"
    if prompts["mixed"]:
        return (
            f"{prompts['mixed']} prompts have right and wrong samples, but settings allow no pair"
        )
    return (
        f"no prompt has both right and wrong samples: of {prompts['all']} prompts "
        f"{prompts['right']} have right ones only, {prompts['wrong']} wrong ones only"
    )


def turned(before: Run, after: Run, metric: str) -> tuple[Changed, ...]:
    """Return cases of two runs whose outcome turned, those that turned most first.

    Args:
        before: the base on the validation suite.
        after: another model on the same cases.
        metric: what a case is measured by.
    """
    first, second = (rounds.per_case(run.scorecard, metric) for run in (before, after))
    change = {case: second[case] - first[case] for case in first if case in second}
    order = sorted((case for case in change if change[case]), key=lambda c: (-abs(change[c]), c))
    worse = [case for case in order if change[case] < 0][:WORSE]
    better = [case for case in order if change[case] > 0][: SHOWN - len(worse)]
    old, new = ({row[0].id: row for row in judged([run])} for run in (before, after))
    return tuple(_changed(old[c], new[c], metric, gained=change[c] > 0) for c in [*better, *worse])


def _changed(old: Judged, new: Judged, metric: str, *, gained: bool) -> Changed:
    was, verdict = _example(old, metric, good=not gained)
    now, verdict_now = _example(new, metric, good=gained)
    return Changed(
        case=old[0].id,
        prompt=old[0].prompt,
        before=was.text,
        after=now.text,
        verdict_before=outcome_of(verdict),
        verdict_after=outcome_of(verdict_now),
    )


def _example(row: Judged, metric: str, *, good: bool) -> tuple[Completion, Verdict]:
    """Return the first sample that is right, or that is not; the first of all where none is so."""
    case, samples = row
    security = metric.startswith("secure")
    fits = (s for s in samples if (kind_of(case, s[1], security=security) == "clean") is good)
    return next(fits, samples[0])
