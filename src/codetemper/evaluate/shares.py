# SPDX-License-Identifier: Apache-2.0
"""Cases of suites for learning, for choosing and for the last test, so that none is for two.

    parts = share_out(load("world-python"), {"train": 3, "validation": 1, "test": 1})
    suite = pooled([first, second])             # one suite, every case with the judge it names
    suite = apart(training, [test])             # without the prompts that are tested on

Shares go by the digest of the prompts (or of the families), so they are the same for every model,
seed and setting, and equal prompts are never in two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from codetemper.core.digests import digest_json
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, SuiteCard
from codetemper.evaluate.suites import Suite


def share_out(
    suite: Suite, parts: Mapping[str, int], *, cluster: Literal["case", "family"] = "case"
) -> dict[str, Suite]:
    """Share the cases of a suite out.

    Args:
        suite: what is shared.
        parts: how much each share gets, in proportion, by its name.
        cluster: ``family`` keeps families whole: what is tested on is then another kind of task
            than what was learnt.

    Returns:
        A suite for each share, named ``NAME (SHARE)``, its cases in the suite's order. The suite
        itself, under its own name, where there is one share only.

    Raises:
        UsageError: too few cases, or families, for every share to have one.
    """
    if len(parts) == 1:
        return dict.fromkeys(parts, suite)
    units: dict[str, list[Case]] = {}
    for case in suite.cases:
        name = (case.family or case.id) if cluster == "family" else case.prompt
        units.setdefault(digest_json([cluster, name]), []).append(case)
    total, whole = len(suite.cases), sum(parts.values())
    names = list(parts)
    ends = [total * sum(parts[n] for n in names[: i + 1]) / whole for i in range(len(names))]
    place: dict[str, str] = {}
    before = 0
    for _, cases in sorted(units.items()):
        # By its middle, so that a large family goes where most of it lies.
        middle = before + len(cases) / 2
        share = next(n for n, end in zip(names, ends, strict=True) if middle <= end)
        place |= {case.id: share for case in cases}
        before += len(cases)
    empty = [name for name in names if name not in place.values()]
    if empty:
        kinds = "families" if cluster == "family" else "different prompts"
        raise UsageError(
            f"the suite '{suite.card.name}' is too small to be shared out",
            why=f"of its {len(units)} {kinds} none is left for: {', '.join(empty)}",
            mend="name other suites with --validate-on and --test-on",
        )
    return {
        name: _part(suite, [c for c in suite.cases if place[c.id] == name], f" ({name})")
        for name in names
    }


def pooled(suites: Sequence[Suite]) -> Suite:
    """Make one suite of several; a single one stays as it is.

    Args:
        suites: with cases that may have the same ids; those of several suites get their suite's
            name before them. Each case keeps its judge.

    Returns:
        A suite with the metrics of all and the longest budget.
    """
    if len(suites) == 1:
        return suites[0]
    cards = [suite.card for suite in suites]
    languages = {card.language for card in cards}
    card = SuiteCard(
        name=" + ".join(card.name for card in cards),
        summary="Pooled: " + " ".join(card.summary for card in cards),
        language=languages.pop() if len(languages) == 1 else "text",
        metrics=tuple(dict.fromkeys(metric for card in cards for metric in card.metrics)),
        cases="",
        licence=" AND ".join(dict.fromkeys(card.licence for card in cards)),
        max_new_tokens=max(card.max_new_tokens for card in cards),
    )
    return Suite(
        card,
        tuple(
            case.model_copy(update={"id": f"{suite.card.name}/{case.id}"})
            for suite in suites
            for case in suite.cases
        ),
    )


def apart(suite: Suite, others: Iterable[Suite]) -> Suite:
    """Return a suite without the cases whose prompts others have too.

    Raises:
        UsageError: no case is left.
    """
    taken = {case.prompt for other in others for case in other.cases}
    left = [case for case in suite.cases if case.prompt not in taken]
    if not left:
        raise UsageError(
            f"nothing of '{suite.card.name}' is left to learn from",
            why="all its prompts are among those that are validated or tested on",
            mend="name another suite, or leave --validate-on and --test-on out: then its cases are "
            "shared out",
        )
    return suite if len(left) == len(suite.cases) else _part(suite, left, "")


def _part(suite: Suite, cases: Sequence[Case], ending: str) -> Suite:
    name = f"{suite.card.name}{ending}"
    return Suite(suite.card.model_copy(update={"name": name}), tuple(cases))
