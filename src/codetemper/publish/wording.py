# SPDX-License-Identifier: Apache-2.0
"""How the report writes numbers, sizes and names, and what its metrics and weaknesses mean.

Pure functions of values; the templates use them as filters.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from codetemper.core.digests import short
from codetemper.core.records import Difference, Estimate

#: What a metric counts, by its name before ``@``.
METRICS = {
    "secure": "valid, and no weakness found",
    "secure_pass": "passes the functional tests, and no weakness found",
    "secure_of_valid": "share of valid completions nothing was found in",
    "insecure": "a qualified analyser or an exploit speaks against it",
    "pass": "passes the functional tests",
    "valid": "parses and, in compiled languages, compiles",
    "exec_match": "same result as the reference query on every database",
    "exact_match": "equal to an accepted answer",
    "token_accuracy": "share of tokens equal to the reference",
    "bleu": "overlap of word sequences with the reference",
    "rouge_l": "longest common subsequence with the reference",
    "edit_similarity": "one minus the edit distance to the reference, by length",
}

#: Short names of the weaknesses the shipped suites tempt a model into (cwe.mitre.org).
WEAKNESSES = {
    "CWE-20": "input validation", "CWE-22": "path traversal", "CWE-77": "command injection",
    "CWE-78": "OS command injection", "CWE-79": "cross-site scripting", "CWE-89": "SQL injection",
    "CWE-94": "code injection", "CWE-95": "eval injection", "CWE-117": "log injection",
    "CWE-119": "memory bounds", "CWE-120": "buffer overflow", "CWE-121": "stack overflow",
    "CWE-122": "heap overflow",
    "CWE-125": "out-of-bounds read", "CWE-134": "format string", "CWE-190": "integer overflow",
    "CWE-191": "integer underflow", "CWE-200": "information exposure",
    "CWE-208": "timing side channel",
    "CWE-287": "authentication", "CWE-295": "certificate validation",
    "CWE-269": "privilege management", "CWE-306": "missing authentication",
    "CWE-326": "weak encryption", "CWE-327": "broken cryptography", "CWE-330": "weak randomness",
    "CWE-338": "weak generator", "CWE-352": "request forgery", "CWE-369": "divide by zero",
    "CWE-347": "unverified signature", "CWE-377": "temporary file",
    "CWE-400": "resource exhaustion", "CWE-401": "memory leak", "CWE-415": "double free",
    "CWE-416": "use after free", "CWE-434": "unchecked upload", "CWE-476": "null dereference",
    "CWE-502": "unsafe deserialisation", "CWE-601": "open redirect", "CWE-611": "XML entities",
    "CWE-770": "unbounded allocation", "CWE-776": "entity expansion",
    "CWE-835": "endless loop", "CWE-862": "missing authorisation",
    "CWE-863": "wrong authorisation", "CWE-1333": "costly regular expression",
    "CWE-643": "XPath injection", "CWE-732": "file permissions", "CWE-787": "out-of-bounds write",
    "CWE-798": "hard-coded secret", "CWE-916": "weak password hash",
    "CWE-918": "server-side request forgery",
}  # fmt: skip

#: What became of a completion, by failure class, in words of its own.
OUTCOMES = {
    "clean": "no problem found", "insecure": "works but insecure", "wrong": "fails its tests",
    "runtime": "runtime error", "timeout": "time limit", "memory": "memory limit",
    "import": "import error", "build": "does not compile", "syntax": "syntax error",
    "tamper": "tampers with the judge", "unknown": "not judged",
}  # fmt: skip

#: What a difference's interval settles, by tone.
TONES = {"better": "better", "worse": "worse", "same": "no change", "open": "no clear change"}

#: Marks of the gate's answers, before the reason they open.
_ANSWERS = {"accept": "✓", "refuse": "✗", "undecided": "?"}
_MINUS = re.compile(r"(?<![\w.-])-(?=\d)")

_DIGEST = re.compile(r"[0-9a-f]{40,64}")


def number(value: float, digits: int = 2) -> str:
    """Write a number, with a true minus sign; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign; finer than a share, because differences are small."""
    text = number(value, digits)
    return f"+{text}" if math.isfinite(value) and float(f"{value:.{digits}f}") > 0 else text


def interval(low: float, high: float) -> str:
    """Write an interval of a value."""
    return f"[{number(low)}, {number(high)}]"


def signed_interval(low: float, high: float) -> str:
    """Write an interval of a difference."""
    return f"[{signed(low)}, {signed(high)}]"


def estimate_text(estimate: Estimate) -> str:
    """Write an estimate in full: ``0.62 [0.55, 0.68], n = 214``."""
    return f"{number(estimate.value)} {interval(estimate.low, estimate.high)}, n = {estimate.n}"


def percent(share: float) -> str:
    """Write a share in percent; one that is not zero never reads as zero."""
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def chance(p: float) -> str:
    """Write a p-value."""
    if not math.isfinite(p):
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def tone(difference: Difference, metric: str = "") -> str:
    """Say what an interval settles: ``better``, ``worse``, ``same`` or ``open``.

    Metrics are better when they are larger, but for ``insecure@k``.
    """
    rising, falling = ("worse", "better") if metric.startswith("insecure") else ("better", "worse")
    if difference.low > 0:
        return rising
    if difference.high < 0:
        return falling
    return "same" if difference.low == difference.high == 0 else "open"


def metric_meaning(metric: str) -> str:
    """Return what a metric counts, or nothing where it is not ours."""
    name, _, draws = metric.partition("@")
    meaning = METRICS.get(name, "")
    if meaning and draws and draws != "1":
        return f"at least one of {draws} tries: {meaning}"
    return meaning


def weakness(cwe: str) -> str:
    """Return the short name of a weakness, or nothing where it is not known here."""
    return WEAKNESSES.get(cwe, "")


def cwe_order(cwe: str) -> tuple[int, str]:
    """Sort weaknesses by number."""
    digits = re.search(r"\d+", cwe)
    return (int(digits.group()) if digits else 0, cwe)


def outcome(failure: str) -> str:
    """Say what became of a completion, in words."""
    return OUTCOMES.get(failure, failure)


def settled(tone_name: str) -> str:
    """Say what a tone means, in words."""
    return TONES.get(tone_name, tone_name)


def reason(text: str) -> tuple[str, str]:
    """Divide one of the gate's reasons into a mark and the sentence, with true minus signs.

    Reasons of the gate open with its answer and a colon; the mark is empty where one does not.
    """
    answer, colon, rest = text.partition(": ")
    mark = _ANSWERS.get(answer, "") if colon else ""
    return mark, _MINUS.sub("\u2212", rest if mark else text)


def note_lines(note: str) -> tuple[str, ...]:
    """Divide a ledger note into lines: the gate's lists its reasons with semicolons between."""
    answer, colon, rest = note.partition(": ")
    if not colon or answer not in _ANSWERS:
        return (note,)
    parts = re.split(r"; (?!it changed)", rest)
    return (answer, *(" ".join(filter(None, reason(part))) for part in parts))


_ASPECTS = {
    "cwe": "weaknesses",
    "dropped": "left out",
    "notes": "survived on the way",
    "language": "languages",
    "granularity": "pieces",
    "licence": "licences",
    "split": "splits",
    "quality": "quality, 0 to 1",
    "evidence": "chosen by",
    "repository": "repositories",
    "year": "years",
    "duplicates": "copies left out",
    "contaminated": "left out for suites",
    "because": "pairs made from",
    "rejected": "wrong with the worse answers",
}


def aspect(name: str) -> str:
    """Name what a corpus is counted by."""
    return _ASPECTS.get(name, name)


def record_name(name: str, count: int) -> str:
    """Write the name of a record type as words, in the plural where that fits."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return words if count == 1 else f"{words}s"


def moment(time: str) -> str:
    """Write a time of ISO 8601 for people, to the second; another text stays as it is."""
    return re.sub(r"(\d)T(\d)", r"\1 \2", time).replace("+00:00", " UTC").replace("Z", " UTC")


def thousands(value: float) -> str:
    """Write a count with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def size(count: float) -> str:
    """Write a number of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def duration(seconds: float) -> str:
    """Write a time span."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def is_digest(value: str) -> bool:
    """Say whether a text is a digest or a commit hash."""
    return _DIGEST.fullmatch(value) is not None


def brief(value: str) -> str:
    """Shorten a digest; leave other text as it is."""
    return short(value) if is_digest(value) else value


def pretty(value: Any) -> str:
    """Write configuration for people: indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
