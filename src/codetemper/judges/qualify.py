# SPDX-License-Identifier: Apache-2.0
"""Which judge may call which weakness: precision and recall on pairs whose answer is known.

    >>> card = measure(cases)
    >>> card.qualified_cwes("c")
    >>> store(card)

A pair is a case with a secure and a vulnerable completion. A static analyser *hits* a pair where it
has a finding of the pair's family of weaknesses in the vulnerable program, and is *false* where it
has one in the secure program. Secure programs of other families are not labelled for this one (a
right answer about paths may forget to check ``malloc``), so findings there are counted beside, as
``elsewhere``. An analyser is qualified for a family and a language where either

* it hits at least three pairs and is false on none, or
* the low end of the 95 % Wilson interval of its precision is above one half.

The two sides of a pair are near twins, and findings only ever count in cases of the same family:
pairs are that population. The first rule is what few pairs can give; an analyser that objects to
either side alike would pass it by luck once in eight times at three hits, once in thirty-two at
five. The second admits some false alarms after more hits. Recall has no part in it: silence proves
nothing. A behavioural judge is qualified for a weakness if it tells every pair of it apart.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from codetemper.core.digests import digest_json
from codetemper.core.disk import write_atomic
from codetemper.core.records import (
    Case,
    Completion,
    Estimate,
    Language,
    OnEvent,
    Record,
    Verdict,
    ignore_events,
)
from codetemper.core.stats import wilson
from codetemper.judges import _static
from codetemper.judges._static import batch
from codetemper.judges._static.families import agree, family
from codetemper.judges._static.form import SUFFIX, Analyser, Limits, Look
from codetemper.judges._static.programs import program
from codetemper.judges.options import Item, JudgeOptions

#: Analysers of this package, installed or not.
ANALYSERS = tuple(_static.BUILTIN)
#: Hits that qualify where nothing was false.
HITS = 3
#: Low end of precision's interval that qualifies whatever the counts.
PRECISION_LOW = 0.5


class Row(Record):
    """What one judge made of the pairs of one family of weaknesses in one language."""

    judge: str
    """Analyser or behavioural judge."""
    kind: str
    """``static`` or ``behaviour``."""
    language: Language
    """Of the pairs."""
    family: str
    """Weakness id that names the family; a behavioural judge's row is of one weakness."""
    cwes: tuple[str, ...]
    """Weaknesses of the pairs."""
    pairs: int
    """Pairs."""
    hits: int
    """Pairs whose vulnerable program it objects to."""
    false: int
    """Pairs whose secure program it objects to."""
    elsewhere: int = 0
    """Secure programs of other families it objects to, for this family; right or wrong unknown."""
    apart: int
    """Pairs it objects to on the vulnerable side and not on the secure side."""
    precision: Estimate | None
    """hits / (hits + false), with a Wilson interval; None where it never objects."""
    recall: Estimate
    """hits / pairs, with a Wilson interval."""
    qualified: bool
    """By the rule of this module."""


class Qualification(Record):
    """The card: what was measured, with which tools, on which pairs."""

    rows: tuple[Row, ...]
    """By language, family, judge."""
    tools: dict[str, str]
    """Version by analyser and by behavioural judge."""
    settings: dict[str, str]
    """Digest of rules and options by analyser."""
    pairs_digest: str
    """Digest of the pairs."""
    pairs: int
    """Pairs measured."""

    def trusts(self, judge: str, cwe: str, language: Language) -> bool:
        """Return whether a finding of a judge for a weakness makes a program insecure."""
        return any(
            row.qualified
            and row.judge == judge
            and row.language == language
            and (agree(row.family, cwe) if row.kind == "static" else row.family == cwe)
            for row in self.rows
        )

    def qualified_cwes(self, language: Language) -> set[str]:
        """Return the weaknesses of the pairs for which some judge is qualified."""
        return {
            cwe
            for row in self.rows
            if row.qualified and row.language == language
            for cwe in row.cwes
        }


def pairs_of(cases: Iterable[Case]) -> list[Case]:
    """Return the cases that are pairs: with a weakness and both completions."""
    return [
        case
        for case in cases
        if case.cwe and case.reference is not None and case.vulnerable is not None
        and case.language in SUFFIX
    ]  # fmt: skip


def measure(
    cases: Iterable[Case],
    *,
    analysers: Sequence[str] = tuple(_static.BUILTIN),
    judge: Callable[..., list[Verdict]] | None = None,
    options: JudgeOptions | None = None,
    on_event: OnEvent = ignore_events,
) -> Qualification:
    """Run every installed analyser, and the behavioural judges, on pairs.

    Args:
        cases: those that are no pair are passed over.
        analysers: names, or commands that write SARIF; those not installed are passed over.
        judge: ``judge_all``, to measure the behavioural judges the cases name too.
        options: of the behavioural judges; workers and cache also of the scan.
        on_event: progress.

    Returns:
        The card; without rows where nothing is installed or there are no pairs.
    """
    options = options or JudgeOptions()
    pairs = pairs_of(cases)
    asked = _static.installed(tuple(analysers))
    rows = _static_rows(pairs, asked, options, on_event)
    versions = {analyser.name: analyser.version() or "" for analyser in asked}
    if judge is not None and pairs:
        verdicts = judge(_both(pairs), options=options, on_event=on_event)
        rows += _behaviour_rows(pairs, verdicts)
        versions |= {
            name: verdict.judge.partition("/")[2]
            for case, verdict in zip([c for c in pairs for _ in (0, 1)], verdicts, strict=True)
            for name in [case.judge]
        }
    rows.sort(key=lambda row: (row.language, int(row.family[4:] or 0), row.kind, row.judge))
    return Qualification(
        rows=tuple(rows),
        tools=versions,
        settings={analyser.name: analyser.settings() for analyser in asked},
        pairs_digest=digest_json([case.digest() for case in pairs]),
        pairs=len(pairs),
    )


def _both(pairs: Sequence[Case]) -> list[Item]:
    """Return secure and vulnerable completions in turn."""
    return [
        (case, Completion(case=case.id, index=index, text=text or ""))
        for case in pairs
        for index, text in enumerate((case.reference, case.vulnerable))
    ]


def _static_rows(
    pairs: Sequence[Case], asked: Sequence[Analyser], options: JudgeOptions, on_event: OnEvent
) -> list[Row]:
    placed = [program(case, completion.text) for case, completion in _both(pairs)]
    looks = batch.scan(
        [source for source, _, _ in placed], asked, limits=Limits(workers=options.workers),
        cache=options.cache, on_event=on_event,
    )  # fmt: skip
    objections = [
        {name: _families(look, first, last) for name, look in own.items()}
        for own, (_, first, last) in zip(looks, placed, strict=True)
    ]
    groups: dict[tuple[Language, str], list[int]] = defaultdict(list)
    for number, case in enumerate(pairs):
        groups[(case.language, family(case.cwe or ""))].append(number)
    rows = []
    for (language, kin), numbers in groups.items():
        others = [n for n, case in enumerate(pairs)
                  if case.language == language and n not in numbers]  # fmt: skip
        for analyser in asked:
            if language not in analyser.languages:
                continue
            said = [kin in own.get(analyser.name, ()) for own in objections]
            rows.append(
                _row(
                    analyser.name, "static", language, kin, [pairs[n] for n in numbers],
                    hit=[said[2 * n + 1] for n in numbers], wrong=[said[2 * n] for n in numbers],
                    elsewhere=sum(said[2 * n] for n in others),
                )
            )  # fmt: skip
    return rows


def _families(look: Look, first: int, last: int) -> set[str]:
    """Return the families found in a program's own lines; remarks do not count."""
    return {
        family(finding.cwe)
        for finding in look.findings
        if finding.cwe and finding.severity != "note" and first <= (finding.line or 0) <= last
    }


def _behaviour_rows(pairs: Sequence[Case], verdicts: Sequence[Verdict]) -> list[Row]:
    groups: dict[tuple[str, Language, str], list[int]] = defaultdict(list)
    for number, case in enumerate(pairs):
        groups[(case.judge, case.language, case.cwe or "")].append(number)
    rows = []
    for (name, language, cwe), numbers in groups.items():
        secure = [verdicts[2 * n] for n in numbers]
        weak = [verdicts[2 * n + 1] for n in numbers]
        hit = [v.security == "fail" and v.function == "pass" for v in weak]
        wrong = [v.security != "pass" or v.function != "pass" for v in secure]
        row = _row(name, "behaviour", language, cwe, [pairs[n] for n in numbers], hit=hit,
                   wrong=wrong)  # fmt: skip
        rows.append(row.model_copy(update={"qualified": row.apart == row.pairs}))
    return rows


def _row(
    judge: str, kind: str, language: Language, kin: str, pairs: Sequence[Case], *,
    hit: Sequence[bool], wrong: Sequence[bool], elsewhere: int = 0,
) -> Row:  # fmt: skip
    hits, false = sum(hit), sum(wrong)
    precision = _share(hits, hits + false) if hits + false else None
    return Row(
        judge=judge, kind=kind, language=language, family=kin,
        cwes=tuple(sorted({case.cwe or "" for case in pairs})), pairs=len(pairs), hits=hits,
        false=false, elsewhere=elsewhere, precision=precision, recall=_share(hits, len(pairs)),
        apart=sum(h and not w for h, w in zip(hit, wrong, strict=True)),
        qualified=suffices(hits, false),
    )  # fmt: skip


def _share(part: int, whole: int) -> Estimate:
    low, high = wilson(part, whole)
    return Estimate(value=part / whole if whole else 0.0, low=low, high=high, n=whole)


def suffices(hits: int, false: int) -> bool:
    """Return whether counts qualify a static analyser; the rule is this module's docstring.

    Args:
        hits: pairs whose vulnerable program it objects to.
        false: pairs whose secure program it objects to.
    """
    if hits >= HITS and false == 0:
        return True
    return hits > 0 and wilson(hits, hits + false)[0] > PRECISION_LOW


def place() -> Path:
    """Return the file of this user's card; tools are the machine's, not a project's."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path.home() / ".cache"
    return folder / "codetemper" / "qualification.json"


def store(card: Qualification, path: Path | None = None) -> Path:
    """Write the card where ``stored`` finds it; return the file."""
    path = path or place()
    write_atomic(path, card.model_dump_json(indent=1).encode())
    return path


def stored(path: Path | None = None, *, commands: Sequence[str] = ()) -> Qualification | None:
    """Return the stored card without what no longer holds; None where there is none.

    Rows of analysers whose version or settings have changed since are left out: they were measured
    for another tool. A file that is no card counts as none.

    Args:
        path: the file; default: this user's.
        commands: of analysers that write SARIF and were measured; without them their rows are left
            out, because a command is never taken from a file.
    """
    try:
        card = Qualification.from_json((path or place()).read_bytes())
    except (OSError, ValidationError):
        return None
    now = {
        a.name: (a.version(), a.settings())
        for a in _static.installed((*_static.BUILTIN, *commands))
    }
    kept = tuple(
        row
        for row in card.rows
        if row.kind != "static"
        or now.get(row.judge) == (card.tools.get(row.judge), card.settings.get(row.judge))
    )
    return card.model_copy(update={"rows": kept})
