# SPDX-License-Identifier: Apache-2.0
"""cppcheck: C and C++, from its XML; one process reads a whole batch.

Inline suppressions are off (its default). Checks of style are not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from codetemper.core.digests import digest_json
from codetemper.core.records import Finding, Language
from codetemper.judges._static.families import normal
from codetemper.judges._static.form import Installed, Limits, Look, ScanFailedError, looks, run

_OPTIONS = ("--enable=warning,portability", "--library=posix", "--max-configs=1", "--xml",
            "--quiet", "--template=x")  # fmt: skip
#: Messages that the file could not be read, not that it is weak.
_UNREAD = {"syntaxError", "internalAstError", "internalError", "preprocessorErrorDirective",
           "cppcheckError", "unknownMacro"}  # fmt: skip


class _Cppcheck:
    name = "cppcheck"
    languages: tuple[Language, ...] = ("c", "cpp")
    divides = False

    def __init__(self) -> None:
        self._program = Installed("cppcheck")

    def version(self) -> str | None:
        return self._program.version

    def settings(self) -> str:
        return digest_json([1, _OPTIONS, sorted(_UNREAD)])

    def scan(
        self, folder: Path, names: Sequence[str], language: Language, limits: Limits
    ) -> dict[str, Look]:
        standard = "--std=c++17" if language == "cpp" else "--std=c11"
        command = [self._program.path, *_OPTIONS, standard, f"--language={_word(language)}", *names]
        done = run(command, folder, limits.deadline(len(names)))
        try:
            tree = ElementTree.fromstring(done.stderr)  # noqa: S314
        except ElementTree.ParseError as error:
            raise ScanFailedError(f"cppcheck: {done.stderr[-300:]}") from error
        found: dict[str, list[Finding]] = {name: [] for name in names}
        unread: set[str] = set()
        for error in tree.iter("error"):
            place = error.find("location")
            name = Path(place.get("file", "") if place is not None else "").name
            if error.get("id") in _UNREAD:
                unread.add(Path(error.get("file0", "")).name or name)
            elif place is not None and name in found:
                found[name].append(_finding(error, place))
        return looks(folder, found, unread)


def _word(language: Language) -> str:
    return "c++" if language == "cpp" else "c"


def _finding(error: ElementTree.Element, place: ElementTree.Element) -> Finding:
    return Finding(
        rule=f"cppcheck:{error.get('id')}",
        message=(error.get("msg") or "")[:200],
        cwe=normal(error.get("cwe")),
        line=int(place.get("line", "0")) or None,
        column=int(place.get("column", "0")) or None,
        severity="warning",
    )


ANALYSER = _Cppcheck()
