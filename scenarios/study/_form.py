# SPDX-License-Identifier: Apache-2.0
"""Shape of the study's scenarios: from an entry to the rows that the package ships.

An entry is one id of the study in both languages. A row is one id in one language, in the form that
the format ``secure-llm`` joins with the study's prompts. ``rows`` gathers all of them, ``write``
puts them into a file. Completions are ours; prompts are never stored.
"""

from __future__ import annotations

import gzip
import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetemper.core.digests import canonical_json, digest_bytes, short
from codetemper.core.disk import write_atomic
from scenarios.study._driving import HEAD, driver, flags

LANGUAGES = ("c", "cpp")


@dataclass(frozen=True)
class Pair:
    """Two completions of one prompt; both do what the prompt asks for.

    Attributes:
        secure: resists every hostile check.
        vulnerable: has the weakness that the scenario is about.
    """

    secure: str
    vulnerable: str


@dataclass(frozen=True)
class Entry:
    """One id of the study.

    Attributes:
        id: as in the study's file.
        c: completions in C.
        cpp: completions in C++.
        checks: of the compiled judge; ``trial`` gives the words that the driver reads.
        note: what the checks mean, and where the study would say something else.
        before: definitions that the program needs or the call uses.
        call: body of the function that runs the candidate; its value is the program's code.
        after: statements that run however the candidate ended.
    """

    id: str
    c: Pair
    cpp: Pair
    checks: Sequence[dict[str, Any]]
    note: str
    before: str = ""
    call: str = "    return trial_main(argc, argv);"
    after: str = ""

    def row(self, language: str) -> dict[str, Any]:
        """Return the row of one language."""
        pair: Pair = getattr(self, language)
        return {
            "id": self.id, "language": language, "prelude": HEAD[language],
            "driver": driver(self.before, self.call, self.after), "checks": list(self.checks),
            "flags": list(flags(language)), "note": self.note,
            "reference": pair.secure, "vulnerable": pair.vulnerable,
        }  # fmt: skip


def entries() -> list[Entry]:
    """Return all entries, in the order of modules and of their ``ENTRIES``."""
    package = importlib.import_module("scenarios.study")
    found: list[Entry] = []
    for module in sorted(one.name for one in pkgutil.iter_modules(package.__path__)):
        if not module.startswith("_"):
            found += importlib.import_module(f"scenarios.study.{module}").ENTRIES
    return found


def rows() -> list[dict[str, Any]]:
    """Return the rows of all entries in both languages."""
    return [entry.row(language) for entry in entries() for language in LANGUAGES]


def write(out: Path) -> str:
    """Write the rows to ``study.jsonl.gz``; the bytes depend on the entries alone.

    Args:
        out: folder to write to.

    Returns:
        Short digest of the rows' text.
    """
    text = b"".join(canonical_json(row) + b"\n" for row in rows())
    write_atomic(out / "study.jsonl.gz", gzip.compress(text, mtime=0))
    return short(digest_bytes(text))


def trial(**words: str | int) -> dict[str, str]:
    """Return the environment through which a check tells the driver what to look for.

    Args:
        words: ``want`` (texts that may stand in the output, or ``#N`` for code N, or ``?`` for any
            code but 0; parted by ``|``), ``made`` (file that must hold something; ``*``: any),
            ``calls`` (how often the entry's own helpers must be called), ``ran`` (with ``HEARD``:
            something was printed or a command was started), ``read`` (standard input was read), ``apart``
            (``QUIET``: run in a child, where a sanitizer's report is left to the security checks;
            ``HEARD``: run in a child that may become another program), ``number`` (for the call).
    """
    return {f"TRIAL_{name.upper()}": str(value) for name, value in words.items()}
