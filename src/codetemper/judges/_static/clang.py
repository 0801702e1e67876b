# SPDX-License-Identifier: Apache-2.0
"""clang's static analyser: C and C++, with the alpha checkers of bounds and taint.

The checker that objects to every ``memcpy`` is left out. Only checkers with a weakness id in this
file count; a file that does not compile is unread.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from codetemper.core.digests import digest_json
from codetemper.core.records import Finding, Language
from codetemper.judges._static import unit
from codetemper.judges._static.form import Installed, Limits, Look, ScanFailedError, run
from codetemper.judges._static.names import Library, Preprocessor

_CHECKERS = ("core", "unix", "cplusplus", "nullability", "valist", "security",
             "alpha.core.CastSize", "alpha.security.ArrayBoundV2", "alpha.security.MallocOverflow",
             "alpha.security.ReturnPtrRange", "alpha.security.taint.TaintPropagation",
             "alpha.unix.cstring", "optin.taint")  # fmt: skip
_WITHOUT = ("security.insecureAPI.DeprecatedOrUnsafeBufferHandling", "security.FloatLoopCounter",
            "cplusplus.PureVirtualCall", "optin.cplusplus.VirtualCall")  # fmt: skip
#: Weakness by checker; the longest beginning of a checker's name counts.
_CWE = {
    "core.NullDereference": "CWE-476", "core.NonNullParamChecker": "CWE-476",
    "core.CallAndMessage": "CWE-457", "core.DivideZero": "CWE-369",
    "core.StackAddressEscape": "CWE-562", "core.UndefinedBinaryOperatorResult": "CWE-457",
    "core.VLASize": "CWE-789", "core.uninitialized": "CWE-457",
    "cplusplus.InnerPointer": "CWE-416", "cplusplus.Move": "CWE-672",
    "cplusplus.NewDelete": "CWE-416", "cplusplus.NewDeleteLeaks": "CWE-401",
    "cplusplus.PlacementNew": "CWE-787", "nullability": "CWE-476",
    "unix.Malloc": "CWE-416", "unix.MallocSizeof": "CWE-131",
    "unix.MismatchedDeallocator": "CWE-762", "unix.cstring.BadSizeArg": "CWE-787",
    "unix.cstring.NullArg": "CWE-476", "security.insecureAPI.gets": "CWE-787",
    "security.insecureAPI.strcpy": "CWE-787", "security.insecureAPI.mktemp": "CWE-377",
    "security.insecureAPI.mkstemp": "CWE-377", "security.insecureAPI.rand": "CWE-338",
    "security.insecureAPI.getpw": "CWE-787", "security.insecureAPI.UncheckedReturn": "CWE-252",
    "alpha.security.ArrayBoundV2": "CWE-787", "alpha.security.MallocOverflow": "CWE-190",
    "alpha.security.ReturnPtrRange": "CWE-125",
    "alpha.security.taint.TaintPropagation": "CWE-78",
    "alpha.unix.cstring.OutOfBounds": "CWE-787", "alpha.unix.cstring.BufferOverlap": "CWE-119",
    "alpha.unix.cstring.NotNullTerminated": "CWE-125", "valist.Uninitialized": "CWE-457",
    "optin.taint": "CWE-78",
}  # fmt: skip
#: States that may be explored of one function of C. Nearly all programs end far below; where paths
#: multiply without end, clang's own bound of 225,000 takes seconds and finds nothing more.
_STATES = 20_000
_LEAK = re.compile(r"leak", re.IGNORECASE)
_WARNING = re.compile(r"^([^\s:][^:\n]*):(\d+):(\d+): warning: (.*) \[([\w.,-]+)\]$", re.MULTILINE)
_ERROR = re.compile(r"^([^\s:][^:\n]*):(\d+):\d+: (?:fatal )?error: ", re.MULTILINE)
_INCLUDED = re.compile(r"^In file included from ([^\n:]+):\d+:", re.MULTILINE)
_CRASH = re.compile(r"Program arguments: (.*\S)")
_VERSIONS = ("clang", *(f"clang-{number}" for number in range(22, 12, -1)))


class _Clang:
    name = "clang"
    languages: tuple[Language, ...] = ("c", "cpp")
    divides = False

    def __init__(self) -> None:
        self._program = Installed(*_VERSIONS)
        self._library = Library(Preprocessor(self._program))

    def version(self) -> str | None:
        return self._program.version

    def settings(self) -> str:
        return digest_json([5, _CHECKERS, _WITHOUT, _STATES, _CWE])

    @functools.cached_property
    def _known(self) -> tuple[str, ...]:
        """Checkers and packages this version has; naming another one is an error."""
        ask = [self._program.path, "-cc1", "-analyzer-checker-help", "-analyzer-checker-help-alpha"]
        said = run(ask, Path.cwd(), 60).stdout
        have = re.findall(r"^  ([a-z]\w*(?:\.\w+)+)", said, re.MULTILINE)
        return tuple(
            word for word in _CHECKERS if any(f"{name}.".startswith(f"{word}.") for name in have)
        )

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
        """Analyse files; return the findings in programs, and those with errors."""
        bound = ("-analyzer-config", f"max-nodes={_STATES}")
        command = [self._program.path, "--analyze", "--analyzer-output", "text", "-w",
                   "-fno-crash-diagnostics", "-fno-integrated-cc1", "-ferror-limit=0",
                   "-fno-caret-diagnostics", "-fno-color-diagnostics",
                   "-std=gnu++17" if language == "cpp" else "-std=gnu11",
                   *(_each("", bound) if language == "c" else ()),
                   *_each("-analyzer-checker=", self._known),
                   *_each("-analyzer-disable-checker=", _WITHOUT), *files]  # fmt: skip
        done = run(command, folder, limits.deadline(len(programs)))
        if done.status < 0:
            raise ScanFailedError(f"clang: {done.stderr[-300:]}")
        unread = {Path(path).name for path, _ in _ERROR.findall(done.stderr)}
        if unread - set(programs):  # an error in what a file includes
            unread |= {Path(path).name for path in _INCLUDED.findall(done.stderr)}
        # The driver goes on to the next file where the analyser died of one.
        crashed = _CRASH.findall(done.stderr)
        unread |= {name for name in files if any(line.endswith(name) for line in crashed)}
        found: dict[str, list[Finding]] = {name: [] for name in programs}
        for path, line, column, message, checker in _WARNING.findall(done.stderr):
            cwe = _weakness(checker, message)
            if Path(path).name in found and cwe:
                found[Path(path).name].append(
                    Finding(rule=f"clang:{checker}", message=message, cwe=cwe,
                            line=int(line), column=int(column), severity="warning")
                )  # fmt: skip
        return found, unread


def _each(option: str, words: Sequence[str]) -> list[str]:
    return [part for word in words for part in ("-Xanalyzer", f"{option}{word}")]


def _weakness(checker: str, message: str) -> str | None:
    near = [known for known in _CWE if checker == known or checker.startswith(f"{known}.")]
    if not near:
        return None
    if checker in ("unix.Malloc", "cplusplus.NewDelete") and _LEAK.search(message):
        return "CWE-401"
    return _CWE[max(near, key=len)]


ANALYSER = _Clang()
