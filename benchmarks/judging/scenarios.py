# SPDX-License-Identifier: Apache-2.0
"""Pairs told apart: our judges by behaviour, and beside them every static analyser installed.

A pair is a prompt with a secure and a vulnerable completion that both work: the shipped security
suites, and the study's 28 ids in C and C++ with completions of our own (its prompts are read from
beside the checkout; without them that part is left out). Behaviour tells a pair apart where both
completions function, the secure one resists and the vulnerable one does not. An analyser does where
it has a finding of the pair's family of weaknesses in the vulnerable program's own lines and none
in the secure one's; ``together`` takes the findings of all of them. Remarks do not count.

The same people wrote pairs and checks, so this shows that the checks separate what they are meant
to separate, not how often they are right about programs of others. Counts have no interval: the
same pairs give the same counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from codetemper.core.records import Case, Completion, Language
from codetemper.evaluate import suites
from codetemper.judges import JudgeOptions, _static, judge_all, qualify
from codetemper.judges._static import batch
from codetemper.judges._static.families import agree
from codetemper.judges._static.form import Limits, Look
from codetemper.judges._static.programs import program

STUDY = Path(__file__).resolve().parents[3] / "shared" / "data" / "secure_llm" / "scenarios.jsonl"
SUITES = ("secure-c", "secure-cpp", "secure-python")
LANGUAGES: tuple[Language, ...] = ("c", "cpp")
OPTIONS = JudgeOptions(workers=2, timeout_s=60.0)
LIMITS = Limits(workers=2, file_s=600)


def figures(quick: bool) -> dict[str, Figure]:
    """Return the counts by suite; quick takes every eighth pair."""
    found: dict[str, Figure] = {}
    for name, pairs in _suites().items():
        found |= _compare(name, pairs[:: 8 if quick else 1])
    return found


def _suites() -> dict[str, list[Case]]:
    """Return the pairs of every suite that is at hand, the study's by language."""
    shipped = [name for name in SUITES if name in suites.shipped()]
    found = {name: qualify.pairs_of(suites.load(name).cases) for name in shipped}
    if STUDY.is_file():
        pairs = qualify.pairs_of(suites.load(f"secure-llm:{STUDY}").cases)
        for language in LANGUAGES:
            found[f"study-{language}"] = [case for case in pairs if case.language == language]
    return found


def _compare(name: str, pairs: Sequence[Case]) -> dict[str, Figure]:
    """Return how many pairs of one suite are told apart, by whom."""
    ours, everyone = _by_behaviour(pairs), len(pairs)
    static = _by_analysers(pairs)
    together = static.pop("together")
    found = {
        f"scenarios.{name}.told_apart": Figure(
            value=ours, low=ours, high=ours, target=f"all {everyone}", holds=ours == everyone,
            peer=together, ratio=ours / together if together else None,
        )
    }  # fmt: skip
    for tool, count in sorted(static.items()):
        found[f"scenarios.{name}.told_apart_by_{tool}"] = Figure(
            value=count, low=count, high=count, target="known, not asked for", holds=True
        )
    return found


def _texts(pairs: Sequence[Case]) -> list[tuple[Case, str]]:
    """Return secure and vulnerable completions in turn."""
    return [(case, text or "") for case in pairs for text in (case.reference, case.vulnerable)]


def _by_behaviour(pairs: Sequence[Case]) -> int:
    items = [(case, Completion(case=case.id, index=index, text=text))
             for index, (case, text) in enumerate(_texts(pairs))]  # fmt: skip
    verdicts = judge_all(items, options=OPTIONS)
    said = [(verdict.function, verdict.security) for verdict in verdicts]
    wanted = (("pass", "pass"), ("pass", "fail"))
    return sum(pair == wanted for pair in zip(said[0::2], said[1::2], strict=True))


def _by_analysers(pairs: Sequence[Case]) -> dict[str, int]:
    """Return the counts of each analyser and, as ``together``, of all taken as one."""
    placed = [program(case, text) for case, text in _texts(pairs)]
    languages = {case.language for case in pairs}
    asked = [one for one in _static.installed() if languages & {*one.languages}]
    looks = batch.scan([source for source, _, _ in placed], asked, limits=LIMITS)
    objects = [
        {tool for tool, look in own.items() if _objects(look, case.cwe, first, last)}
        for own, (case, _), (_, first, last) in zip(looks, _texts(pairs), placed, strict=True)
    ]
    sides = list(zip(objects[0::2], objects[1::2], strict=True))
    counts = {one.name: sum(one.name in weak - secure for secure, weak in sides) for one in asked}
    return counts | {"together": sum(bool(weak) and not secure for secure, weak in sides)}


def _objects(look: Look, cwe: str | None, first: int, last: int) -> bool:
    return any(
        finding.severity != "note" and agree(finding.cwe, cwe)
        and first <= (finding.line or 0) <= last
        for finding in look.findings
    )  # fmt: skip
