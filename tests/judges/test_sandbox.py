# SPDX-License-Identifier: Apache-2.0
"""The sandbox from outside: deadlines, losses, restarts, and what the pool makes of errors."""

from __future__ import annotations

import time
from typing import Any

import pytest

from codetemper.judges._sandbox import bubble, sandbox_available, worker
from codetemper.judges._sandbox.pool import run_pool
from codetemper.judges._sandbox.worker import Worker, WorkerLostError


def request(program: str) -> dict[str, Any]:
    check = {"style": "result", "code": "result = x"}
    return {"op": "python", "setup": "", "given": "", "helpers": "", "spawn": False, "program": program, "checks": [check],
            "memory_mb": 256}  # fmt: skip


def test_this_machine_can_isolate() -> None:
    works, reason = sandbox_available()
    assert works, reason
    assert "bubblewrap" in reason


def test_the_wall_clock_is_enforced_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    with Worker("bwrap", "python") as sandbox:
        assert sandbox.ask(request("x = 1"), 5.0)["lines"][-1] == ["value", 1]
        # The program within believes it has five seconds; the outside gives it less.
        monkeypatch.setattr(worker, "GRACE_S", -24.5)
        start = time.monotonic()
        with pytest.raises(WorkerLostError):
            sandbox.ask(request("while True: pass"), 5.0)
        assert time.monotonic() - start < 3.0
        monkeypatch.undo()
        assert sandbox.ask(request("x = 1"), 5.0)["lines"][-1] == ["value", 1]
        assert sandbox.starts == 2


def test_one_sandbox_serves_many_candidates() -> None:
    with Worker("bwrap", "python") as sandbox:
        for number in range(20):
            answer = sandbox.ask(request(f"import os; os.mkdir('d'); x = {number}"), 5.0)
            assert answer["lines"][-1] == ["value", number]
        assert sandbox.starts == 1


def test_the_first_error_ends_the_pool() -> None:
    def work(sandbox: Worker, job: int) -> int:
        if job == 3:
            raise ValueError("three")
        return job

    with pytest.raises(ValueError, match="three"):
        run_pool(range(10), work, lambda: Worker("bwrap", "python"), workers=2,
                 on_done=lambda done: None)  # fmt: skip
    counted: list[int] = []
    results = run_pool(range(3), work, lambda: Worker("bwrap", "python"), workers=2,
                       on_done=counted.append)  # fmt: skip
    assert (results, counted) == ([0, 1, 2], [1, 2, 3])


def test_uids_are_taken_from_unused_ranges_by_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubble.os, "geteuid", lambda: 1000)
    assert bubble.candidate_uid() is None
    monkeypatch.setattr(bubble.os, "geteuid", lambda: 0)
    for table, expected in (
        ("0 0 4294967295\n", bubble._UNUSED_UIDS),
        ("0 100000 65536\n", bubble._CONTAINER_UIDS),
    ):
        monkeypatch.setattr(bubble.Path, "read_text", lambda *_, table=table: table)
        uid = bubble.candidate_uid()
        assert uid is not None
        assert expected[0] <= uid <= expected[1]
    monkeypatch.setattr(bubble.Path, "read_text", lambda *_: "0 1000 1\n")
    assert bubble.candidate_uid() is None
