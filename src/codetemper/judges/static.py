# SPDX-License-Identifier: Apache-2.0
"""Judge ``static``: what analysers hold against a program; they never say that it is secure.

    >>> looks = scan([Source("eval(x)", "python")])
    >>> verdicts = evidence(items, verdicts, qualification=qualify.stored())

A finding of an analyser that is *qualified* for its weakness and language (``qualify.py``) makes a
completion insecure; every other finding is a warning. Silence proves nothing: security stays
``unknown``, or what a behavioural judge made of it. Nothing is run but the analysers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codetemper.core import syntax
from codetemper.core.digests import digest_json, short
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import (
    Case,
    Completion,
    Finding,
    OnEvent,
    Outcome,
    Record,
    Verdict,
    ignore_events,
)
from codetemper.judges import _static, qualify
from codetemper.judges._answers import as_program
from codetemper.judges._static import batch
from codetemper.judges._static.batch import Source
from codetemper.judges._static.families import agree
from codetemper.judges._static.form import SUFFIX, Limits, Look, finish
from codetemper.judges._static.programs import program
from codetemper.judges.options import Items, JudgeCard, JudgeOptions, read_spec

__all__ = ["Source", "Spec", "evidence", "judge", "program", "scan", "speaks_of", "state"]

_VERSION = "1"


def __getattr__(name: str) -> Any:
    """Make ``CARD`` when it is asked for.

    Its version names the analysers that are installed here and the qualification in force, because
    both decide verdicts; finding that out starts programs, which an import must not.
    """
    if name == "CARD":
        return JudgeCard(
            name="static", version=f"{_VERSION}-{state()}",
            summary="Findings of static analysers; a qualified one makes a sample insecure.",
            languages=("python", "c", "cpp"), needs=(),
        )  # fmt: skip
    raise AttributeError(name)


def state(
    names: Sequence[str] = tuple(_static.BUILTIN),
    qualification: qualify.Qualification | None = None,
) -> str:
    """Return what static evidence depends on besides the text, for the keys of caches.

    Args:
        names: analysers that are asked, where they are installed.
        qualification: the one in force; default: the stored one.
    """
    card = qualification or qualify.stored()
    tools = [[a.name, a.version(), a.settings()] for a in _static.installed(names)]
    return short(digest_json([_VERSION, tools, card.digest() if card else None]))


class Spec(Record):
    """What a case of this judge brings."""

    analysers: tuple[str, ...] = ()
    """Names of the analysers to ask; empty: all that are installed and read the language."""
    prelude: str = ""
    """Text before the program, so that it parses or compiles; findings in it do not count."""
    cwe: tuple[str, ...] = ()
    """Weaknesses that count; empty: the case's own, or all where it names none."""


def judge(
    items: Items, *, options: JudgeOptions | None = None, on_event: OnEvent = ignore_events
) -> list[Verdict]:
    """Judge completions by analysers alone. Function is ``unknown``, security never ``pass``.

    Args:
        items: cases with completions; the program is prelude, then prompt + completion.
        options: workers, and the folder for cached results.
        on_event: progress, in programs times analysers.

    Raises:
        CannotKnowError: no analyser of a case's language is installed (exit code 3).
        UsageError: a spec that is not one, or an analyser that does not exist.
    """
    options = options or JudgeOptions()
    start = time.monotonic()
    specs = [read_spec(Spec, case) for case, _ in items]
    card = qualify.stored()
    verdicts: list[Verdict | None] = [None] * len(items)
    for names in dict.fromkeys(spec.analysers for spec in specs):
        places = [i for i, spec in enumerate(specs) if spec.analysers == names]
        asked = _static.installed(names or tuple(_static.BUILTIN))
        for language in {items[i][0].language for i in places}:
            if not any(language in analyser.languages for analyser in asked):
                raise _nothing_reads(language, names)
        parts = [_Part(*items[i]) for i in places]
        found = _look(parts, asked, options, on_event)
        for place, (findings, valid) in zip(places, found, strict=True):
            case, completion = items[place]
            counts = specs[place].cwe or ((case.cwe,) if case.cwe else ())
            judged = _weigh(findings, case, counts, card)
            insecure = any(finding.severity == "error" for finding in judged)
            verdicts[place] = Verdict(
                case=case.id, index=completion.index, valid=valid, function="unknown",
                security="fail" if insecure else "unknown", findings=judged,
                failure="syntax" if valid == "fail" else "insecure" if insecure else None,
                judge=f"static/{_VERSION}", seconds=(time.monotonic() - start) / len(items),
            )  # fmt: skip
    return [verdict for verdict in verdicts if verdict is not None]


def evidence(
    items: Items,
    verdicts: Sequence[Verdict],
    *,
    qualification: qualify.Qualification | None,
    options: JudgeOptions | None = None,
    analysers: Sequence[str] = tuple(_static.BUILTIN),
    on_event: OnEvent = ignore_events,
) -> list[Verdict]:
    """Add what analysers found to the verdicts of behavioural judges; one-sided.

    A finding of a qualified analyser whose weakness is of the case's family (or any, where the case
    names none) makes security ``fail``, whatever behaviour said. All other findings are added as
    warnings. No finding changes nothing: ``unknown`` stays ``unknown`` and ``pass`` stays ``pass``.
    Completions that are not valid, and languages without an analyser, are passed over.

    Args:
        items: cases with completions.
        verdicts: of the items, in the same order.
        qualification: says which findings count; None: none does.
        options: workers, and the folder for cached results.
        analysers: which to ask, where they are installed; also commands that write SARIF.
        on_event: progress, in programs times analysers.

    Returns:
        A verdict per item, in order.
    """
    options = options or JudgeOptions()
    asked = _static.installed(tuple(analysers))
    places = [
        place
        for place, ((case, _), verdict) in enumerate(zip(items, verdicts, strict=True))
        if verdict.valid != "fail" and case.language in SUFFIX and case.answer != "text"
    ]
    parts = [_Part(*as_program(items[i])) for i in places]
    added = list(verdicts)
    for place, (findings, _) in zip(places, _look(parts, asked, options, on_event), strict=True):
        case = items[place][0]
        wanted = (case.cwe,) if case.cwe else ()
        judged = _weigh(findings, case, wanted, qualification)
        added[place] = _join(verdicts[place], judged)
    return added


def scan(
    sources: Sequence[Source],
    *,
    analysers: Sequence[str] = tuple(_static.BUILTIN),
    limits: Limits | None = None,
    cache: Path | None = None,
    on_event: OnEvent = ignore_events,
) -> list[dict[str, Look]]:
    """Let the installed analysers look at programs; see ``_static.batch.scan``.

    Args:
        sources: programs.
        analysers: names, or commands that write SARIF; those not installed are passed over.
        limits: workers, files a process, deadline.
        cache: folder of cached results; several processes may share it.
        on_event: progress.

    Returns:
        For every program its looks by analyser name.
    """
    asked = _static.installed(tuple(analysers))
    return batch.scan(sources, asked, limits=limits or Limits(), cache=cache, on_event=on_event)


def speaks_of(finding: Finding, cwe: str | None) -> bool:
    """Whether a finding names a weakness of a weakness' family; of any, where that is None."""
    if finding.severity == "note":
        return False
    return finding.cwe is not None if cwe is None else agree(finding.cwe, cwe)


class _Part:
    """One completion as analysers see it, and how their lines become the completion's."""

    def __init__(self, case: Case, completion: Completion) -> None:
        self.source, self.first, self.last = program(case, completion.text)
        self.text = case.prompt + completion.text

    def findings(self, looks: dict[str, Look]) -> tuple[Finding, ...]:
        """Return the findings in the completion's own lines, counted from its first."""
        own = [
            finding.model_copy(update={"line": finding.line - self.first + 1})
            for look in looks.values()
            for finding in look.findings
            if finding.line is not None and self.first <= finding.line <= self.last
        ]
        return finish(own, self.text)

    def valid(self, looks: dict[str, Look]) -> Outcome:
        """Return whether the program can be read: by Python itself, or by a compiler."""
        if self.source.language == "python":
            return "fail" if syntax.read(self.source.text) is None else "pass"
        compilers = [looks[name] for name in ("gcc", "clang") if name in looks]
        if not compilers:
            return "unknown"
        return "pass" if any(look.read for look in compilers) else "fail"


def _look(
    parts: Sequence[_Part],
    asked: Sequence[Any],
    options: JudgeOptions,
    on_event: OnEvent,
) -> list[tuple[tuple[Finding, ...], Outcome]]:
    looks = batch.scan(
        [part.source for part in parts], asked, limits=Limits(workers=options.workers),
        cache=options.cache, on_event=on_event,
    )  # fmt: skip
    return [(part.findings(own), part.valid(own)) for part, own in zip(parts, looks, strict=True)]


def _weigh(
    findings: Sequence[Finding],
    case: Case,
    wanted: Sequence[str],
    card: qualify.Qualification | None,
) -> tuple[Finding, ...]:
    """Make errors of the findings that count against a completion, and no errors of the rest."""
    weighed = []
    for finding in findings:
        tool = finding.rule.partition(":")[0]
        counts = not wanted or any(agree(finding.cwe, cwe) for cwe in wanted)
        trusted = (
            finding.severity != "note"
            and finding.cwe is not None
            and card is not None
            and card.trusts(tool, finding.cwe, case.language)
        )
        severity = "error" if counts and trusted else min(finding.severity, "warning", key=_RANK)
        weighed.append(finding.model_copy(update={"severity": severity}))
    return tuple(weighed)


_RANK = ("note", "warning", "error").index


def _join(verdict: Verdict, found: tuple[Finding, ...]) -> Verdict:
    insecure = any(finding.severity == "error" for finding in found)
    failure = verdict.failure
    if insecure and (failure is None or verdict.function != "fail"):
        failure = "insecure"
    return verdict.model_copy(
        update={
            "findings": (*verdict.findings, *found),
            "security": "fail" if insecure else verdict.security,
            "failure": failure,
            "judge": f"{verdict.judge}+static/{_VERSION}",
        }
    )


def _nothing_reads(language: str, names: Sequence[str]) -> CannotKnowError:
    asked = ", ".join(names or _static.BUILTIN)
    return CannotKnowError(
        f"no static analyser for {language} is installed",
        why=f"looked for: {asked}",
        mend="pip install 'codetemper[judge]' for Python, apt-get install cppcheck gcc for C",
    )
