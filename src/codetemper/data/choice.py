# SPDX-License-Identifier: Apache-2.0
"""Which commits are fixes, which of their functions belong to the fix, and how sure that is.

A commit is a ``Candidate`` because its message speaks of security (``labels.py``), because a list
names it, or because a merge that names a CVE brought it in. ``untangled`` takes apart commits that
mix other work into a fix; ``quality`` says how likely a function is the fix and nothing else:

    quality = path * (0.40 evidence + 0.25 concentration + 0.20 relevance + 0.15 size)

    evidence       1 for a CVE id or a list; 0.9 for a CWE id or an advisory; else the score of the
                   message over 10, at most 0.8
    concentration  1 / sqrt(functions that the commit modified)
    relevance      1 where the message names the function, or the commit modified no other; 0.6
                   where it names its file or an identifier that changed in it; else 0
    size           1 up to 20 changed lines, then 20 / lines
    path           1 for the product; 0.5 for tests, examples and vendored code

Nothing here looks at what the code does: static analysers are right about real C fixes half of the
time, so they do not speak.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from codetemper.data.changes import Comparison
from codetemper.data.history import Commit
from codetemper.data.labels import Label
from codetemper.data.languages import LANGUAGES, SourceLanguage
from codetemper.data.pieces import Granularity
from codetemper.data.sources import Listed

_NOT_PRODUCT = re.compile(
    r"(?i:(?:^|/)(?:tests?|testing|testsuite|unittests?|fuzz\w*|vendor(?:ed)?|third[-_]?party"
    r"|3rdparty|external|extern|node_modules|examples?|samples?|benchmarks?|docs?|generated)/)"
    r"|(?i:(?:^|/)(?:test_[^/]*|[^/]*_tests?|conftest|[^/]*_fuzz(?:er)?"
    r"|[^/]*\.(?:test|spec|min|pb|tab|yy))\.\w+$)"
    # Java's way to name tests; "contest" is none.
    r"|[a-z0-9]Tests?\.\w+$",
)
#: Words of a message that may be names in code.
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
#: Of those, the ones that are hardly prose: an underscore, a digit, a capital within, a call.
_CODE = re.compile(r"\b[A-Za-z]\w*(?:_\w+|\d\w*|(?<=[a-z])[A-Z]\w*)|\b[A-Za-z_]\w{2,}(?=\()")

#: The same identifiers exchanged in this many functions of a commit are a rename.
_RENAMED_FUNCTIONS = 3

_TRUSTED, _NAMED, _MOST_BY_WORDS = 1.0, 0.9, 0.8
_MODEST_LINES = 20


class MineConfig(BaseModel):
    """What counts as a fix worth learning from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    languages: tuple[SourceLanguage, ...] = LANGUAGES
    """Languages to read, by file extension; ``.h`` counts as C."""
    granularities: tuple[Granularity, ...] = Field(default=("function",), min_length=1)
    """What the pairs are: files, functions, blocks, lines; several may be asked for."""
    min_score: int = Field(default=4, ge=1)
    """Points a message needs: a CVE or CWE id gives 10, clear security words 3 to 6."""
    max_functions_per_commit: int = Field(default=10, ge=1)
    """A commit that modifies more functions mixes other work in: those that its message speaks of
    are kept, where there are any and not more than this."""
    max_files_per_commit: int = Field(default=20, ge=1)
    """Likewise for source files."""
    max_commits_per_merge: int = Field(default=30, ge=1)
    """A merge that names a CVE and brings in more commits than this is a release, not a fix."""
    max_file_bytes: int = Field(default=2_000_000, ge=1)
    """Larger files are not parsed."""
    max_function_chars: int = Field(default=60_000, ge=1)
    """Longer functions are dropped (generated tables, misread braces)."""
    keep_tests: bool = False
    """Keep changes under test, fuzzing, vendored, example and generated paths."""
    revision: str = "HEAD"
    """Branch, tag or hash whose history is read."""
    since: str = ""
    """Only commits younger than this date, in any form git reads."""
    until: str = ""
    """Only commits older than this date."""
    limit: int | None = Field(default=None, ge=1)
    """Read at most this many commits of each history, newest first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A commit that is worth a look, and why.

    Attributes:
        commit: the commit.
        strength: how well it is attested, 0 to 1 (``evidence`` of the formula).
        cwe: weakness, or None.
        cve: id of the vulnerability, or None.
        evidence: why this commit and this label, for people.
    """

    commit: Commit
    strength: float
    cwe: str | None
    cve: str | None
    evidence: str


def candidate(
    commit: Commit,
    said: Label,
    listed: Listed | None = None,
    merge: tuple[str, Label] | None = None,
) -> Candidate:
    """Join what is known about a commit: a list outranks its message, which outranks its merge.

    Args:
        commit: the commit.
        said: what its message says.
        listed: what a list says of it.
        merge: hash and label of the merge that brought it in.
    """
    cwe, cve = said.cwe, said.cves[0] if said.cves else None
    reasons = [*said.reasons, *([said.evidence] if said.evidence else [])]
    strength = min(_MOST_BY_WORDS, max(said.score, 0) / 10)
    if said.advisory or (said.cwe and said.evidence.startswith("message names")):
        strength = _NAMED
    if merge is not None:
        name, outer = merge
        cwe, cve = cwe or outer.cwe, cve or next(iter(outer.cves), None)
        reasons.append(" ".join([f"merge {name[:12]} brought it in", *outer.cves[:1]]))
        if cwe and cwe != said.cwe:
            reasons.append(f"merge: {outer.evidence}")
    if listed is not None:
        reasons.append("listed" + "".join(f" as {x}" for x in (listed.cve, listed.cwe) if x))
        if listed.cwe and said.cwe and listed.cwe != said.cwe:
            reasons.append(f"the list's {listed.cwe} goes before {said.cwe}")
        cwe, cve = listed.cwe or cwe, listed.cve or cve
    strength = _TRUSTED if listed is not None or cve else strength
    return Candidate(commit, strength, cwe, cve, "; ".join(reasons))


def is_product(path: str) -> bool:
    """Tell whether a path is the product itself: no test, example, vendored or generated file."""
    return _NOT_PRODUCT.search(path) is None


@dataclass(frozen=True, slots=True)
class Part:
    """What a commit did to one function.

    Attributes:
        path: its file, after the commit.
        name: its name.
        lines: lines removed, changed and added.
        words: identifiers among the tokens that changed.
        exchanged: identifiers replaced, where nothing but that was done; else empty.
    """

    path: str
    name: str
    lines: int
    words: frozenset[str]
    exchanged: frozenset[tuple[str, str]]


def part(path: str, name: str, before: str, after: str, found: Comparison) -> Part:
    """Sum up the comparison of a function's two texts."""
    old = [before[begin:end] for begin, end in found.spans_before]
    new = [after[begin:end] for begin, end in found.spans_after]
    words = frozenset(w for w in (*old, *new) if w.isidentifier())
    exchanged: frozenset[tuple[str, str]] = frozenset()
    if old and all(len(h.spans_before) == len(h.spans_after) for h in found.hunks):
        pairs = frozenset(zip(old, new, strict=True))
        if all(a.isidentifier() and b.isidentifier() for a, b in pairs):
            exchanged = pairs
    return Part(path, name, len(found.lines_before) + len(found.lines_after), words, exchanged)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The parts of a commit, sorted.

    Attributes:
        kept: (number of the part, its relevance) of those that belong to the fix, in order.
        dropped: the others, by reason.
        reason: why the whole commit falls out; empty where it does not.
    """

    kept: tuple[tuple[int, float], ...]
    dropped: dict[str, int]
    reason: str = ""


def untangled(parts: Sequence[Part], message: str, most: int) -> Sorted:
    """Keep the functions that belong to the fix.

    Functions in which the commit only renamed what it renamed elsewhere too are cut off where
    others remain. Of more functions than ``most``, those are kept that the message speaks of.

    Args:
        parts: the functions that a commit modified.
        message: its message.
        most: functions that a fix may have.
    """
    renames = Counter(p.exchanged for p in parts if p.exchanged)
    renamed = {e for e, n in renames.items() if n >= _RENAMED_FUNCTIONS}
    left = [i for i, p in enumerate(parts) if p.exchanged not in renamed]
    dropped = Counter({"function: only a rename that the commit makes elsewhere too":
                       len(parts) - len(left)})  # fmt: skip
    if parts and not left:
        return Sorted((), {}, "commit: only renames identifiers")
    names = frozenset(_WORD.findall(message))
    code = frozenset(_CODE.findall(message))
    kept = tuple((i, _relevance(parts[i], len(left), names, code)) for i in left)
    if len(kept) > most:
        spoken = tuple((i, relevance) for i, relevance in kept if relevance > 0)
        if not spoken or len(spoken) > most:
            return Sorted((), {}, "commit: tangled, too many functions")
        dropped["function: cut off a tangled commit that does not speak of it"] = len(kept) - len(
            spoken
        )
        kept = spoken
    return Sorted(kept, dict(+dropped))


def _relevance(one: Part, among: int, names: frozenset[str], code: frozenset[str]) -> float:
    if among == 1 or re.split(r"[.:]+", one.name)[-1] in names:
        return 1.0
    return 0.6 if speaks_of(names, one.path) or one.words & code else 0.0


def speaks_of(names: frozenset[str], path: str) -> bool:
    """Tell whether a message's words name a file, e.g. ``print-bgp.c`` or ``BGP``."""
    stem = PurePosixPath(path).stem
    parts = [p for p in re.split(r"[\W_]+", stem) if len(p) > 2]
    return stem in names or (bool(parts) and {n.lower() for n in names} >= {parts[-1].lower()})


def words_of(message: str) -> frozenset[str]:
    """Return the words of a message that may be names of functions and files."""
    return frozenset(_WORD.findall(message))


def quality(one: Candidate, functions: int, relevance: float, lines: int, product: bool) -> float:
    """Return how likely a piece is the fix and nothing else, 0 to 1 (formula above).

    Args:
        one: the commit.
        functions: how many functions it modified, before any were cut off.
        relevance: how its message speaks of the function, as ``untangled`` found.
        lines: lines removed, changed and added in the function.
        product: whether the path is the product's.
    """
    size = min(1.0, _MODEST_LINES / max(lines, 1))
    sure = (
        0.40 * one.strength + 0.25 / math.sqrt(max(functions, 1)) + 0.20 * relevance + 0.15 * size
    )
    return round((1.0 if product else 0.5) * sure, 3)
