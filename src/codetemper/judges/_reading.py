# SPDX-License-Identifier: Apache-2.0
"""What the sandbox said about one run of a Python program, put in order.

Lines come from the candidate's process: they say how far it came and what its checks returned, and
are no more than its word. Reports on assert-style tests come from the referee, which a candidate
cannot reach. Used by judge ``execution``; decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol, Self

from codetemper.core.records import FailureClass

_SIGXCPU = 24
#: Exit code of a process whose tampering could not be written down.
_CAUGHT = 98


class Named(Protocol):
    """A check, as far as this file knows it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def form(self) -> str:
        """``result``, ``asserts`` or ``together``."""


class Report(NamedTuple):
    """What is known about one check."""

    spoke: bool
    """Whether it came to its end: a value, or tests that passed or failed an assertion."""
    value: Any = None
    """Encoded result of a check of style ``result``."""
    passed: bool = False
    """Whether assert-style tests passed."""
    failure: FailureClass | None = None
    note: str = ""


class Reading:
    """One answer of the sandbox.

    Args:
        checks: those that were asked, in order.
        answer: of ``inside.session``.
    """

    def __init__(self, checks: Sequence[Named], answer: dict[str, Any]) -> None:
        self.checks, self.answer = checks, answer
        self.reached: Literal["nothing", "parsed", "loaded"] = "nothing"
        self.tampered: set[str] = set()
        self.load = Report(False)
        self.broken = ""
        self.begun = -1
        self.reports: dict[int, Report] = {}
        self._counts: dict[int, int] = {}
        for line in answer["lines"]:
            try:
                self._read(*line)
            except (TypeError, ValueError, LookupError):
                self.tampered.add("board")  # the harness does not write such a thing
        self._read_referee()
        self._conclude()

    @classmethod
    def late(cls, checks: Sequence[Named]) -> Self:
        """Make the reading of checks for which no time was left."""
        return cls._of(checks, Report(False, failure="timeout", note="no time left for this check"))

    @classmethod
    def lost(cls, checks: Sequence[Named], why: str) -> Self:
        """Make the reading of a run that ended the sandbox."""
        note = f"the sandbox was lost: {why}"
        return cls._of(checks, Report(False, failure="timeout", note=note))

    @classmethod
    def _of(cls, checks: Sequence[Named], report: Report) -> Self:
        reading = cls(checks, {"lines": [], "reports": {}, "ended": "timeout", "status": 0})
        reading.reached = "loaded"
        reading.reports = dict.fromkeys(range(len(checks)), report)
        return reading

    @property
    def answered(self) -> int:
        """Number of checks that something is known about; the others did not begin."""
        return max(self.reports, default=-1) + 1

    def report(self, name: str) -> Report:
        """Return what is known about a check."""
        number = next(n for n, check in enumerate(self.checks) if check.name == name)
        return self.reports.get(number, Report(False, failure="unknown", note="it did not run"))

    def _read(self, kind: str, *content: Any) -> None:
        if kind in ("parsed", "loaded"):
            self.reached = kind  # type: ignore[assignment]
        elif kind == "check":
            self.begun = content[0]
        elif kind == "value":
            self.reports[self.begun] = Report(True, value=content[0])
        elif kind == "reached":
            self._reach(content[0])
        elif kind == "tamper":
            self.tampered.add(str(content[0]))
        elif kind == "flood":
            note = "the result is larger than allowed"
            self.reports[self.begun] = Report(False, failure="runtime", note=note)
        elif kind == "syntax":
            _, name, text = content
            self.load = Report(False, failure="syntax", note=f"{name}: {text}")
        elif kind == "raised":
            self._raise(*map(str, content))
        elif kind == "ended" and content[0] not in self.reports:
            self._end(content[0], os.waitstatus_to_exitcode(content[1]))

    def _reach(self, count: int) -> None:
        """Count statements of tests that run in the candidate's process; all must come in turn."""
        before = self._counts.get(self.begun, 0)
        self._counts[self.begun] = count if count == before + 1 else -1
        if count == self.answer["counts"][self.begun] == before + 1:
            self.reports[self.begun] = Report(True, passed=True)

    def _raise(self, stage: str, name: str, text: str) -> None:
        note = f"{stage}: {name}: {text}" if text else f"{stage}: {name}"
        if stage == "setup":
            self.broken = note
            return
        failure = failure_of(name)
        if stage != "check":
            self.load = Report(False, failure=failure, note=note)
            return
        spoke = False
        if self.checks[self.begun].form == "together" and name == "AssertionError":
            failure, spoke = "wrong", True
        self.reports[self.begun] = Report(spoke, failure=failure, note=note)

    def _end(self, number: int, status: int) -> None:
        if self.checks[number].form != "asserts":
            self.reports[number] = _by_status(status)

    def _read_referee(self) -> None:
        for key, said in self.answer["reports"].items():
            number = int(key)
            if "broken" in said:
                self.broken = said["broken"] if self.reached == "loaded" else ""
            elif said.get("passed"):
                self.reports[number] = Report(True, passed=True)
            elif said["failure"] == "raised":
                failure = failure_of(said["name"])
                self.reports[number] = Report(False, failure=failure, note=said["note"])
            elif said["failure"] == "wrong":
                self.reports[number] = Report(True, failure="wrong", note=said["note"])
            else:
                self.reports[number] = self._by_end()

    def _conclude(self) -> None:
        """Say why the step that was under way has no end of its own."""
        if self.reached != "loaded":
            if self.load.failure is None:
                self.load = self._by_end()
        elif self.begun not in self.reports:
            self.reports[max(self.begun, 0)] = self._by_end()

    def _by_end(self) -> Report:
        ended = self.answer["ended"]
        if ended in ("timeout", "memory"):
            return Report(False, failure=ended, note=f"ended by the limit on {ended}")
        return _by_status(self.answer["status"])


def _by_status(status: int) -> Report:
    if status in (0, _CAUGHT):
        note = "the process was ended before the check was over"
        return Report(False, failure="tamper", note=note)
    if status == -_SIGXCPU:
        return Report(False, failure="timeout", note="ended by the limit on processor time")
    return Report(False, failure="runtime", note=f"the process ended with status {status}")


def failure_of(exception: str) -> FailureClass:
    """Return the failure class of an exception's name."""
    if exception in ("ImportError", "ModuleNotFoundError"):
        return "import"
    return "memory" if exception == "MemoryError" else "runtime"
