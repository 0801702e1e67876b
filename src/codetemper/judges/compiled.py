# SPDX-License-Identifier: Apache-2.0
"""Judge ``compiled``: build a C or C++ completion with sanitizers, run it, and see what breaks.

The program is built once in a sandbox and then run once per check, each in a folder of its own.
Security is judged by behaviour: a hostile input fails the completion where AddressSanitizer or
UndefinedBehaviorSanitizer reports, where the output shows that the input had its way, or where a
forbidden file, path, permission or word is seen. A run counts only where it is proved that the
program's ``main`` returned. No static analyser is asked.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Literal

from codetemper.core.errors import UsageError
from codetemper.core.records import (
    Event,
    FailureClass,
    Finding,
    OnEvent,
    Outcome,
    Verdict,
    ignore_events,
)
from codetemper.judges import _compiled_build as build
from codetemper.judges import _compiled_run as runs
from codetemper.judges import _compiled_signs as source_signs
from codetemper.judges import _sanitizers as sanitizers
from codetemper.judges._compiled_spec import Check, Forbids, Spec
from codetemper.judges._sandbox import require_sandbox
from codetemper.judges._sandbox.pool import run_pool
from codetemper.judges._sandbox.worker import Worker, WorkerLostError
from codetemper.judges.options import Item, Items, JudgeCard, JudgeOptions, read_spec

__all__ = ["CARD", "Check", "Forbids", "Spec", "judge"]

CARD = JudgeCard(
    name="compiled",
    version="2",
    summary="Builds C and C++ under ASan and UBSan in a sandbox and runs functional and hostile "
    "inputs.",
    languages=("c", "cpp"),
    needs=("bwrap", "gcc", "g++"),
)


def judge(
    items: Items, *, options: JudgeOptions | None = None, on_event: OnEvent = ignore_events
) -> list[Verdict]:
    """Judge C and C++ completions.

    Args:
        items: cases with completions; the program is prelude, prompt + completion, driver.
        options: isolation and limits; a build gets four times ``timeout_s``, the checks of a
            completion together twice. A run that reached its limit with hardly any processor time
            used is given one longer one.
        on_event: progress, in completions.

    Raises:
        CannotKnowError: no sandbox or no compiler (exit code 3).
        UsageError: a spec that is not one, or a case in another language.
    """
    options = options or JudgeOptions()
    specs = [read_spec(Spec, case) for case, _ in items]
    for case, _ in items:
        if case.language not in CARD.languages:
            raise UsageError(
                f"case '{case.id}' cannot be judged", why=f"judge 'compiled' reads C and C++, the "
                f"case is in '{case.language}'", mend="name another judge for that case",
            )  # fmt: skip
    require_sandbox(options.sandbox, on_event)
    tools = {case.language: build.tools(case.language) for case, _ in items}
    bare = options.sandbox == "none"
    shown = {} if bare else {str(path): seen for tool in tools.values() for path, seen in tool}
    environment = sanitizers.environment(options.memory_mb)
    finished: list[int] = []

    def work(worker: Worker, chunk: list[int]) -> list[Verdict]:
        verdicts = []
        for position in chunk:
            item, spec = items[position], specs[position]
            places = [seen if shown else str(path) for path, seen in tools[item[0].language]]
            many = len(chunk) >= build.WORTH_WARMING[item[0].language]
            verdicts.append(_Trial(worker, item, spec, options, places, many).verdict())
            finished.append(position)
        return verdicts

    def show(_: int) -> None:
        on_event(Event(stage="judge", done=len(finished), total=len(items), unit="completions"))

    chunks = _chunks(items, specs, options.workers)
    judged = run_pool(
        chunks,
        work,
        lambda: Worker(options.sandbox, "compiled", environment, tuple(shown.items())),
        workers=options.workers,
        on_done=show,
    )
    by_position = dict(zip(itertools.chain(*chunks), itertools.chain(*judged), strict=True))
    return [by_position[position] for position in range(len(items))]


def _chunks(items: Items, specs: list[Spec], workers: int) -> list[list[int]]:
    """Group completions whose programs begin alike, so that one sandbox reads that beginning."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, ((case, _), spec) in enumerate(zip(items, specs, strict=True)):
        key = (case.language, spec.head(case.language), *spec.flags)
        groups.setdefault(key, []).append(position)
    share = -(-len(items) // workers)
    chunks = []
    for (language, *_), group in groups.items():
        most = min(max(share, build.WORTH_WARMING[language]), build.MOST_IN_A_ROW[language])
        chunks += [group[start : start + most] for start in range(0, len(group), most)]
    return chunks


class _Trial:
    """One completion before the court."""

    def __init__(
        self, worker: Worker, item: Item, spec: Spec, options: JudgeOptions,
        tools: list[str], warm: bool,
    ) -> None:  # fmt: skip
        self.worker, self.spec, self.options = worker, spec, options
        self.host, self.keeper = tools
        self.warm = warm
        self.case, self.completion = item
        self.start = time.monotonic()
        self.deadline = self.start
        self.findings: list[Finding] = []
        self.flags = list(source_signs.signs(self.completion.text))
        self.forging = source_signs.forging(self.completion.text)

    def verdict(self) -> Verdict:
        """Build, run function checks up to the first failure, then all security checks."""
        broken = self._build()
        if broken is not None:
            return broken
        self.deadline = time.monotonic() + 2 * self.options.timeout_s
        try:
            return self._try()
        except runs.NotLinkedError as error:
            return self._unbuilt(None, str(error))

    def _try(self) -> Verdict:
        function: Outcome = "unknown"
        security: Outcome = "unknown"
        failure: FailureClass | None = None
        for check in (c for c in self.spec.checks if c.kind == "function"):
            run = self._run(check)
            function = "fail" if run.wrong else "pass"
            if run.wrong:
                failure = run.failure or "wrong"
                self._note(f"check:{check.name}", run.wrong, "note")
                break
        if self.forging:
            # Nothing such a program shows can be believed, good or bad.
            self._note("tamper", f"the source plays with its judge: {self.forging[0]}", "note")
            sanitizer_only = self.forging == ["sanitizer"]
            believed: Outcome = "fail" if function == "pass" and not sanitizer_only else function
            return self._make("pass", believed, "unknown", failure or "tamper")
        for number, check in enumerate(c for c in self.spec.checks if c.kind == "security"):
            outcome, why = self._resists(check, self._run(check))
            if number == 0 or outcome == "fail":
                security = outcome
            elif outcome == "unknown" and security == "pass":
                security = "unknown"
            if why is not None and (failure is None or (why == "insecure" and function != "fail")):
                failure = why
        return self._make("pass", function, security, failure)

    def _build(self) -> Verdict | None:
        """Build the program; return the verdict where that fails."""
        language = self.case.language
        plan = build.plan(language, self.spec.flags) if self.warm else None
        request = {
            "op": "build", "head": self.spec.head(language),
            "tail": self.spec.tail(self.case.prompt, self.completion.text, language),
            "command": [*build.command(language), *self.spec.flags],
            "names": sorted(self.spec.driver_names()),
            "plan": None if plan is None else {**plan, "warm": self.keeper},
        }  # fmt: skip
        try:
            answer = self._ask_build(request, 4 * self.options.timeout_s)
        except WorkerLostError as error:
            self._note("build", f"the sandbox was lost: {error}", "note")
            return self._make("unknown", "fail", "unknown", "timeout")
        if answer["ended"] == "timeout":
            self._note("build", "the compiler did not end in time", "note")
            return self._make("unknown", "fail", "unknown", "timeout")
        if answer["status"] == 0:
            own = self.spec.defines(self.case.prompt, answer["shadows"])
            shadows = [f"shadows-{name}" for name in answer["shadows"] if name not in own]
            self.flags += shadows
            self.forging += shadows
            return None
        return self._unbuilt(*sanitizers.first_error(answer["log"]))

    def _ask_build(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Build; once more, plainly and for longer, where the machine was late."""
        try:
            answer = self.worker.ask(request, seconds)
        except WorkerLostError:
            answer = {"ended": "timeout", "cpu": 0.0}
        if answer["ended"] != "timeout" or answer["cpu"] > runs.BUSY * seconds:
            return answer
        return self.worker.ask({**request, "plan": None}, runs.LONGER * seconds)

    def _unbuilt(self, line: int | None, message: str) -> Verdict:
        self.findings.append(Finding(rule="build", message=message, line=line, severity="note"))
        syntax = message.startswith(("expected", "unterminated", "stray", "missing terminating"))
        return self._make("fail", "fail", "unknown", "syntax" if syntax else "build")

    def _run(self, check: Check) -> runs.Run:
        left = self.deadline - time.monotonic()
        if left <= 0:
            late = "no time left for this check"
            return runs.Run(wrong=late, failure="timeout", unclear=late)
        request = runs.request(check, self.host, self.options.memory_mb)
        try:
            answer = self._ask(request, min(left, self.options.timeout_s))
        except WorkerLostError as error:
            self.deadline = 0.0  # the build went with it
            lost = f"the sandbox was lost: {error}"
            return runs.Run(wrong=lost, failure="timeout", unclear=lost)
        run = runs.read(check, answer)
        if run.tamper and run.tamper not in self.flags:
            self.flags.append(run.tamper)
        return run

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Run a check; once more, for longer, where the machine and not the program was late."""
        answer = self.worker.ask(request, seconds)
        if answer["ended"] != "timeout" or answer["cpu"] > runs.BUSY * seconds:
            return answer
        longer = runs.LONGER * seconds
        self.deadline += longer
        return self.worker.ask(request, longer)

    def _resists(self, check: Check, run: runs.Run) -> tuple[Outcome, FailureClass | None]:
        """Turn the run of a hostile input into an outcome."""
        cwe = check.cwe or self.case.cwe
        if run.report is not None:
            self._note(run.report.rule, run.report.text, "error", cwe or run.report.cwe,
                       run.report.line)  # fmt: skip
            return "fail", "insecure"
        if run.exploit:
            self._note(f"exploit:{check.name}", run.exploit, "error", cwe)
            return "fail", "insecure"
        if run.unclear:
            self._note(f"unknown:{check.name}", run.unclear, "note")
            return "unknown", run.failure or "unknown"
        return "pass", None

    def _note(
        self,
        rule: str,
        message: str,
        severity: Literal["error", "note"],
        cwe: str | None = None,
        line: int | None = None,
    ) -> None:
        finding = Finding(rule=rule, message=message, cwe=cwe, line=line, severity=severity)
        self.findings.append(finding)

    def _make(
        self, valid: Outcome, function: Outcome, security: Outcome, failure: FailureClass | None
    ) -> Verdict:
        return Verdict(
            case=self.case.id, index=self.completion.index, valid=valid, function=function,
            security=security, findings=tuple(self.findings), failure=failure,
            judge=CARD.signature, seconds=time.monotonic() - self.start, flags=tuple(self.flags),
        )  # fmt: skip
