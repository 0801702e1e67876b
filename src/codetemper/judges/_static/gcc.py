# SPDX-License-Identifier: Apache-2.0
"""gcc: ``-fanalyzer`` for C at -O0, and warnings about bounds and lifetimes for C and C++ at -O2.

Two runs, because each level hides what the other shows: optimisation folds the paths that lead to
a null pointer, and without it nothing is known of sizes. Only warnings with a weakness id count;
a file that does not compile is unread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from codetemper.core.digests import digest_json
from codetemper.core.records import Finding, Language
from codetemper.judges._static import unit
from codetemper.judges._static.families import normal
from codetemper.judges._static.form import Installed, Limits, Look, ScanFailedError, run
from codetemper.judges._static.names import Library, Preprocessor

_COMMON = ("-S", "-g0", "-pipe", "-fdiagnostics-format=json", "-fno-diagnostics-show-caret",
           "-fkeep-static-functions", "-fkeep-inline-functions")  # fmt: skip
_BOUNDS = ("-O2", "-Wall", "-Wextra", "-Warray-bounds=2", "-Wstringop-overflow=4",
           "-Wformat-overflow=1", "-Wformat-security", "-Wuse-after-free=2")  # fmt: skip
_ANALYZER = ("-O0", "-fanalyzer")
#: Warnings without a weakness id of gcc's own; all others without one are dropped.
_CWE = {
    "-Warray-bounds": "CWE-787", "-Warray-bounds=": "CWE-787", "-Wstringop-overflow=": "CWE-787",
    "-Wstringop-overflow": "CWE-787", "-Wstringop-overread": "CWE-125",
    "-Wformat-overflow=": "CWE-787", "-Wformat-overflow": "CWE-787",
    "-Wformat-security": "CWE-134", "-Wuse-after-free": "CWE-416", "-Wuse-after-free=": "CWE-416",
    "-Wfree-nonheap-object": "CWE-590", "-Wreturn-local-addr": "CWE-562",
    "-Wdangling-pointer": "CWE-562", "-Wdangling-pointer=": "CWE-562",
    "-Wuninitialized": "CWE-457", "-Wnonnull": "CWE-476", "-Wrestrict": "CWE-119",
    "-Wsizeof-pointer-memaccess": "CWE-131", "-Wdiv-by-zero": "CWE-369",
    "-Woverflow": "CWE-190", "-Walloc-size-larger-than=": "CWE-789",
    "-Wmismatched-new-delete": "CWE-762", "-Wshift-count-overflow": "CWE-1335",
}  # fmt: skip
_KILLED = re.compile(r"internal compiler error|Killed signal|out of memory", re.IGNORECASE)


class _Gcc:
    name = "gcc"
    languages: tuple[Language, ...] = ("c", "cpp")
    divides = False

    def __init__(self) -> None:
        self._program = Installed("gcc", ask=("-dumpfullversion",))
        self._library = Library(Preprocessor(self._program))

    def version(self) -> str | None:
        return self._program.version

    def settings(self) -> str:
        return digest_json([1, _COMMON, _BOUNDS, _ANALYZER, _CWE])

    def scan(
        self, folder: Path, names: Sequence[str], language: Language, limits: Limits
    ) -> dict[str, Look]:
        return unit.scan(folder, names, language, limits, self._library, self._read)

    def _read(
        self,
        folder: Path,
        files: Sequence[str],
        programs: Sequence[str],
        language: Language,
        limits: Limits,
    ) -> unit.Reading:
        """Compile files; return the findings in programs, and those with errors."""
        # Of gcc 12 the analyser is for C; in C++ it reports what is not there.
        runs = (_ANALYZER, _BOUNDS) if language == "c" else (_BOUNDS,)
        standard = "-std=gnu++17" if language == "cpp" else "-std=gnu11"
        found: dict[str, list[Finding]] = {name: [] for name in programs}
        unread: set[str] = set()
        for options in runs:
            command = [self._program.path, standard, *_COMMON, *options, *files]
            done = run(command, folder, limits.deadline(len(programs)))
            if _KILLED.search(done.stderr) or done.status < 0:
                raise ScanFailedError(f"gcc: {done.stderr[-300:]}")
            for file, rows in _diagnostics(done.stderr, files):
                for row in rows:
                    name = Path(row["file"]).name
                    if row["kind"] in ("error", "fatal error"):
                        unread.add(name if file == unit.MAIN else file)
                    elif row["cwe"] and name in found and file in (name, unit.MAIN):
                        found[name].append(_finding(row))
        return found, unread


def _diagnostics(stderr: str, names: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each file's messages: gcc writes one JSON line a file, in order.

    Raises:
        ScanFailedError: there are more or fewer lines, or one is not JSON.
    """
    lines = [text for text in stderr.splitlines() if text.startswith("[")]
    if len(lines) != len(names):
        raise ScanFailedError(f"gcc answered for {len(lines)} of {len(names)} files")
    for name, text in zip(names, lines, strict=True):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise ScanFailedError(f"gcc: {text[:300]}") from error
        yield name, [_plain(row) for row in rows if row.get("kind") != "note"]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    carets = [found["caret"] for found in row.get("locations", []) if "caret" in found]
    place: dict[str, Any] = carets[0] if carets else {}
    option = str(row.get("option", ""))
    own = (row.get("metadata") or {}).get("cwe")
    return {
        "kind": row["kind"],
        "option": option.removesuffix("="),
        "cwe": normal(own) or _CWE.get(option),
        "message": row["message"],
        "file": place.get("file", ""),
        "line": place.get("line"),
        "column": place.get("byte-column", place.get("column")),
    }


def _finding(row: dict[str, Any]) -> Finding:
    return Finding(
        rule=f"gcc:{row['option'].removeprefix('-W')}",
        message=row["message"],
        cwe=row["cwe"],
        line=row["line"],
        column=row["column"],
        severity="warning",
    )


ANALYSER = _Gcc()
