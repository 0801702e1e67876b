# SPDX-License-Identifier: Apache-2.0
"""The completions behind the numbers, as one JSON block that the page's script reads.

Completions are hostile text: they travel as JSON whose angle brackets and ampersands are escaped,
and the script shows them as text only. Equal texts are stored once. Nothing here makes markup.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from codetemper.core.records import Case, Completion, Finding, Verdict
from codetemper.publish.inputs import SuiteResult
from codetemper.publish.wording import OUTCOMES

#: Completions shown of each case and model, at most.
SAMPLES = 4
#: Size that the block tries to stay within, in characters; the page stays near 3 MB with it.
BUDGET = 2_400_000
#: Longest text shown whole, in characters; the second figure is for pages over the budget.
LONGEST, SHORTENED = 20_000, 1_500

_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True)
class Drill:
    """The block and what was left out of it.

    Attributes:
        text: JSON that is safe inside a script element.
        shown: completions of each case and model it holds, at most.
        drawn: completions of each case and model there were, at most.
        cut: texts that were shortened.
    """

    text: str
    shown: int
    drawn: int
    cut: int


def drill(suites: Sequence[SuiteResult], *, budget: int = BUDGET) -> Drill:
    """Pack cases, completions, verdicts and findings, within a budget where that can be.

    Args:
        suites: what was measured.
        budget: characters; samples are dropped first, then long texts are shortened.
    """
    drawn = max((_drawn(suite) for suite in suites), default=0)
    plans = [(count, LONGEST) for count in range(min(SAMPLES, max(1, drawn)), 0, -1)]
    for shown, longest in [*plans, (1, SHORTENED)]:
        packing = _Packing(longest)
        text = escape_json(packing.pack(suites, shown))
        if len(text) <= budget:
            break
    return Drill(text, shown, drawn, packing.cut)


def escape_json(value: Any) -> str:
    """Serialise to JSON in which no character can end a script element or break UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.translate(_MARKUP)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _drawn(suite: SuiteResult) -> int:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for side, found in (("b", suite.before_completions), ("a", suite.after_completions)):
        for completion in found:
            counts[side, completion.case] += 1
    return max(counts.values(), default=0)


@dataclass
class _Packing:
    """Tables of texts and findings that records of the block point into."""

    longest: int
    texts: dict[str, int] = field(default_factory=dict)
    findings: dict[tuple[Any, ...], int] = field(default_factory=dict)
    cut: int = 0

    def pack(self, suites: Sequence[SuiteResult], shown: int) -> dict[str, Any]:
        packed = [self._suite(suite, shown) for suite in suites]
        return {
            "texts": list(self.texts), "findings": list(self.findings), "suites": packed,
            "words": OUTCOMES,
        }  # fmt: skip

    def _suite(self, suite: SuiteResult, shown: int) -> dict[str, Any]:
        before = _by_case(suite.before_completions, suite.before_verdicts, shown)
        after = _by_case(suite.after_completions, suite.after_verdicts, shown)
        return {
            "name": suite.card.name,
            "secure": any(metric.startswith("secure") for metric in suite.before.metrics),
            "two": suite.after is not None,
            "cases": [
                self._case(case, before.get(case.id, []), after.get(case.id, []))
                for case in suite.cases
                if case.id in before or case.id in after
            ],
        }

    def _case(
        self,
        case: Case,
        before: list[tuple[Completion, Verdict | None]],
        after: list[tuple[Completion, Verdict | None]],
    ) -> dict[str, Any]:
        facts = {
            "id": case.id, "prompt": self._text(case.prompt), "language": case.language,
            "judge": case.judge, "cwe": case.cwe, "family": case.family, "split": case.split,
            "reference": None if case.reference is None else self._text(case.reference),
            "before": [self._sample(*pair) for pair in before],
            "after": [self._sample(*pair) for pair in after],
        }  # fmt: skip
        return {key: value for key, value in facts.items() if value not in (None, "", [])}

    def _sample(self, completion: Completion, verdict: Verdict | None) -> dict[str, Any]:
        sample: dict[str, Any] = {"i": completion.index, "t": self._text(completion.text)}
        if not completion.finished:
            sample["cut"] = 1
        if verdict is None:
            return sample | {"o": "uuu", "f": "unknown"}
        sample["o"] = verdict.valid[0] + verdict.function[0] + verdict.security[0]
        if verdict.failure:
            sample["f"] = verdict.failure
        if verdict.findings:
            sample["x"] = [self._finding(finding) for finding in verdict.findings]
        return sample

    def _finding(self, finding: Finding) -> int:
        row = (finding.rule, finding.message, finding.cwe, finding.line, finding.severity)
        return self.findings.setdefault(row, len(self.findings))

    def _text(self, text: str) -> int:
        if len(text) > self.longest:
            self.cut += text not in self.texts
            text = f"{text[: self.longest]}\n[{len(text) - self.longest} more characters]"
        return self.texts.setdefault(text, len(self.texts))


def _by_case(
    completions: Sequence[Completion], verdicts: Sequence[Verdict], shown: int
) -> dict[str, list[tuple[Completion, Verdict | None]]]:
    judged = {(verdict.case, verdict.index): verdict for verdict in verdicts}
    found: dict[str, list[tuple[Completion, Verdict | None]]] = defaultdict(list)
    for completion in sorted(completions, key=lambda c: c.index):
        if len(found[completion.case]) < shown:
            pair = completion, judged.get((completion.case, completion.index))
            found[completion.case].append(pair)
    return found
