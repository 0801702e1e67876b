# SPDX-License-Identifier: Apache-2.0
"""Judge ``execution``: run a Python completion in a sandbox and look at what its checks return.

Each check runs in a process and a folder of its own. The sandbox only returns plain data; it is
compared here, with exact types, with an expectation that never enters the sandbox. So neither an
object that equals everything, nor an early exit, nor a walk through the frames yields a pass.
A completion that hard-codes the answers of the checks is not recognised.
"""

from __future__ import annotations

import json
import time
from typing import Any, Literal, NamedTuple

from pydantic import Field

from codetemper.core.errors import UsageError
from codetemper.core.records import (
    Event,
    FailureClass,
    Finding,
    OnEvent,
    Outcome,
    Record,
    Verdict,
    ignore_events,
)
from codetemper.judges._sandbox import require_sandbox
from codetemper.judges._sandbox.pool import run_pool
from codetemper.judges._sandbox.worker import Worker, WorkerLostError
from codetemper.judges.options import Item, Items, JudgeCard, JudgeOptions, read_spec

CARD = JudgeCard(
    name="execution",
    version="1",
    summary="Runs Python in a sandbox; compares plain results with exact types outside of it.",
    languages=("python",),
    needs=("bwrap",),
)


class Check(Record):
    """One question put to a program."""

    name: str
    """Name, unique within the case."""
    kind: Literal["function", "security"]
    """What a difference means: wrong, or insecure."""
    code: str
    """Python, run after the program in its namespace; assigns ``result``."""
    expect: Any
    """Plain data that ``result`` must equal, type for type; a tuple may answer for a list."""
    cwe: str | None = None
    """Weakness that a failed security check shows; default: the case's."""


class Spec(Record):
    """What a case of this judge brings."""

    setup: str = ""
    """Python run before the program, e.g. imports."""
    checks: tuple[Check, ...] = Field(min_length=1)
    """Function checks stop at the first failure; security checks always all run."""


class Report(NamedTuple):
    """What one run in the sandbox told."""

    reached: Literal["nothing", "parsed", "loaded", "value"]
    value: Any
    """Encoded result, where ``reached`` is ``value``."""
    failure: FailureClass | None
    """What ended the run before a value was there."""
    note: str


def judge(
    items: Items, *, options: JudgeOptions | None = None, on_event: OnEvent = ignore_events
) -> list[Verdict]:
    """Judge Python completions.

    Args:
        items: cases with completions; the program is prompt + completion.
        options: isolation and limits; a completion gets twice ``timeout_s`` in all.
        on_event: progress, in completions.

    Raises:
        CannotKnowError: no sandbox (exit code 3).
        UsageError: a spec that is not one, or whose own code does not run.
    """
    options = options or JudgeOptions()
    specs = [read_spec(Spec, case) for case, _ in items]
    require_sandbox(options.sandbox, on_event)

    def work(worker: Worker, job: tuple[Item, Spec]) -> Verdict:
        return _Trial(worker, *job, options).verdict()

    def show(done: int) -> None:
        on_event(Event(stage="judge", done=done, total=len(items), unit="completions"))

    return run_pool(
        list(zip(items, specs, strict=True)),
        work,
        lambda: Worker(options.sandbox, "python"),
        workers=options.workers,
        on_done=show,
    )


class _Trial:
    """One completion before the court."""

    def __init__(self, worker: Worker, item: Item, spec: Spec, options: JudgeOptions) -> None:
        self.worker, self.spec, self.options = worker, spec, options
        self.case, self.completion = item
        self.start = time.monotonic()
        self.findings: list[Finding] = []

    def verdict(self) -> Verdict:
        """Run function checks up to the first failure, then all security checks."""
        function_checks = [c for c in self.spec.checks if c.kind == "function"]
        security_checks = [c for c in self.spec.checks if c.kind == "security"]
        function: Outcome = "pass" if function_checks else "unknown"
        security: Outcome = "pass" if security_checks else "unknown"
        failure: FailureClass | None = None
        loaded = False
        for check in function_checks + security_checks:
            if check.kind == "function" and function == "fail":
                continue
            report = self._run(check)
            if not loaded and report.reached in ("nothing", "parsed"):
                return self._not_loaded(report)
            loaded = True
            outcome, why = self._weigh(check, report)
            if check.kind == "function":
                function, failure = outcome, why
            elif outcome != "pass":
                security = "fail" if "fail" in (outcome, security) else "unknown"
                if failure is None or (why == "insecure" and function != "fail"):
                    failure = why
        return self._make("pass", function, security, failure)

    def _run(self, check: Check) -> Report:
        left = self.start + 2 * self.options.timeout_s - time.monotonic()
        if left <= 0:
            return Report("loaded", None, "timeout", "no time left for this check")
        request = {"op": "python", "setup": self.spec.setup, "check": check.code,
                   "program": self.case.prompt + self.completion.text,
                   "memory_mb": self.options.memory_mb}  # fmt: skip
        try:
            answer = self.worker.ask(request, min(left, self.options.timeout_s))
        except WorkerLostError as error:
            return Report("loaded", None, "timeout", f"the sandbox was lost: {error}")
        if "broken" in answer:
            raise self._broken(check.name, answer["broken"])
        report = _read_report(answer)
        if report.note.startswith("setup: "):
            raise self._broken("setup", report.note)
        return report

    def _broken(self, part: str, why: str) -> UsageError:
        return UsageError(
            f"case '{self.case.id}' cannot be judged: its own code does not run ({part})",
            why=why, mend="correct 'spec.setup' or 'spec.checks' of that case",
        )  # fmt: skip

    def _weigh(self, check: Check, report: Report) -> tuple[Outcome, FailureClass | None]:
        """Turn one report into an outcome, and note what speaks against the completion."""
        if report.reached == "value" and same(report.value, check.expect):
            return "pass", None
        if check.kind == "function":
            self._note(f"check:{check.name}", report.note or "the result differs", None, "note")
            return "fail", report.failure or "wrong"
        if report.reached != "value":
            self._note(f"unknown:{check.name}", report.note, None, "note")
            return "unknown", report.failure or "unknown"
        cwe = check.cwe or self.case.cwe
        self._note(f"exploit:{check.name}", "a hostile input had its way", cwe, "error")
        return "fail", "insecure"

    def _note(
        self, rule: str, message: str, cwe: str | None, severity: Literal["error", "note"]
    ) -> None:
        self.findings.append(Finding(rule=rule, message=message, cwe=cwe, severity=severity))

    def _not_loaded(self, report: Report) -> Verdict:
        self._note("load", report.note, None, "note")
        valid: Outcome = "pass" if report.reached == "parsed" else "unknown"
        if report.failure == "syntax":
            valid = "fail"
        return self._make(valid, "fail", "unknown", report.failure)

    def _make(
        self, valid: Outcome, function: Outcome, security: Outcome, failure: FailureClass | None
    ) -> Verdict:
        return Verdict(
            case=self.case.id, index=self.completion.index, valid=valid, function=function,
            security=security, findings=tuple(self.findings), failure=failure,
            judge=CARD.signature, seconds=time.monotonic() - self.start,
        )  # fmt: skip


def _read_report(answer: dict[str, Any]) -> Report:
    """Read the lines a run wrote; they are the candidate's word and may say anything."""
    reached: Literal["nothing", "parsed", "loaded"] = "nothing"
    for line in answer["lines"]:
        try:
            kind, *content = json.loads(f"[{line}")
        except (ValueError, RecursionError):
            continue
        if kind == "parsed":
            reached = "parsed"
        elif kind == "loaded":
            reached = "loaded"
        elif kind == "value" and len(content) == 1:
            return Report("value", content[0], None, "")
        elif kind == "syntax":
            return Report("nothing", None, "syntax", ": ".join(map(str, content[:2])))
        elif kind == "raised" and len(content) == 3:
            stage, name, text = map(str, content)
            note = f"{stage}: {name}: {text}" if text else f"{stage}: {name}"
            return Report(reached, None, _failure_of(name), note)
    if answer["ended"] in ("timeout", "memory"):
        return Report(reached, None, answer["ended"], f"ended by the limit on {answer['ended']}")
    if answer["ended"] == "flood":
        return Report(reached, None, "runtime", "the result is larger than allowed")
    if answer["status"] == 0:
        return Report(reached, None, "tamper", "the process was ended before the check was over")
    if answer["status"] == -24:  # SIGXCPU
        return Report(reached, None, "timeout", "ended by the limit on processor time")
    return Report(reached, None, "runtime", f"the process ended with status {answer['status']}")


def _failure_of(exception: str) -> FailureClass:
    if exception in ("ImportError", "ModuleNotFoundError"):
        return "import"
    return "memory" if exception == "MemoryError" else "runtime"


def same(encoded: Any, expect: Any) -> bool:
    """Compare an encoded result with plain data, type for type.

    A tuple equals a list of the same elements, since JSON has no tuples; NaN equals NaN.
    ``True`` is not 1 and 1 is not 1.0. Anything that is not a well-formed encoding is unequal.
    """
    try:
        return _same(encoded, expect)
    except (TypeError, ValueError, LookupError, RecursionError):
        return False


def _same(encoded: Any, expect: Any) -> bool:
    tag = encoded[0]
    if expect is None:
        return bool(tag == "n")
    content = encoded[1]
    for scalar, name in ((bool, "b"), (int, "i"), (float, "f"), (str, "s")):
        if type(expect) is scalar:
            if tag != name or type(content) is not scalar:
                return False
            return bool(content == expect or (content != content and expect != expect))
    if isinstance(expect, (list, tuple)):
        return (
            tag in ("l", "t")
            and len(content) == len(expect)
            and all(_same(a, b) for a, b in zip(content, expect, strict=True))
        )
    if isinstance(expect, dict):
        if tag != "d" or len(content) != len(expect):
            return False
        given = {key[1]: value for key, value in content if key[0] == "s"}
        return given.keys() == expect.keys() and all(_same(given[k], expect[k]) for k in expect)
    return False
