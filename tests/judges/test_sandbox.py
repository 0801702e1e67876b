# SPDX-License-Identifier: Apache-2.0
"""The sandbox from outside: deadlines, losses, restarts, and what the pool makes of errors."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Case, Completion
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges._sandbox import (
    bubble,
    container,
    require,
    require_sandbox,
    sandbox_available,
    seccomp,
    worker,
)
from codetemper.judges._sandbox.inside import board, link, process
from codetemper.judges._sandbox.pool import Shares, run_pool
from codetemper.judges._sandbox.worker import Worker, WorkerLostError


def request(program: str) -> dict[str, Any]:
    check = {"style": "result", "code": "result = x"}
    return {"op": "python", "setup": "", "given": "", "helpers": "", "spawn": False,
            "program": program, "checks": [check], "memory_mb": 256}  # fmt: skip


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


def test_the_program_within_is_compiled_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bubble.INSIDE, tmp_path / "inside", ignore=lambda *_: ["__pycache__"])
    monkeypatch.setattr(bubble, "INSIDE", tmp_path / "inside")
    for unwanted, made in ((True, False), (False, True)):
        monkeypatch.setattr(sys, "dont_write_bytecode", unwanted)
        require._compile_within.cache_clear()
        require_sandbox("bwrap", lambda event: None)
        assert (tmp_path / "inside" / "__pycache__").exists() == made


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


def test_like_jobs_go_to_one_worker_while_there_are_others() -> None:
    shares = Shares("abcabcabc", 2)
    # One takes all of "a", the other all of "b"; "c" is begun by one and finished by both.
    turns = [0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1]
    assert [shares.take(worker) for worker in turns] == [0, 1, 4, 3, 6, 7, 2, 5, 8, None, None]


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


FAKE_ENGINE = """\
import os, sys
arguments = sys.argv[1:]
if arguments[0] == "info":
    sys.exit(0)
if arguments[0] == "rm":
    open({log!r}, "a").write("rm " + arguments[-1] + "\\n")
    sys.exit(0)
image = arguments.index("image:1")
for wanted in ("none", "--read-only", "ALL", "no-new-privileges"):
    assert wanted in arguments[:image], wanted
open({log!r}, "a").write("run\\n")
rest = [part.replace("'/judge'", "'/mnt'") for part in arguments[image + 1:]]
rest[-1] = rest[-1].replace('"/judge"', '"/mnt"')
os.execvp("bwrap", ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--as-pid-1", "--tmpfs",
                    "/tmp", "--ro-bind", {code!r}, "/mnt", "--cap-add", "ALL", {python!r}, *rest])
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called docker that starts the program within by bubblewrap."""
    log = tmp_path / "log"
    program = tmp_path / "docker"
    text = FAKE_ENGINE.format(log=str(log), code=str(bubble.INSIDE.parent),
                              python=bubble.interpreter()[0])  # fmt: skip
    program.write_text(f"#!{bubble.interpreter()[0]}\n{text}", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CODETEMPER_JUDGE_IMAGE", "image:1")
    container._ask.cache_clear()
    yield log
    container._ask.cache_clear()


@pytest.mark.skipif(os.geteuid() != 0, reason="the stand-in for an engine needs root")
def test_a_container_judges_like_bubblewrap(engine: Path) -> None:
    checks = [
        {"name": "value", "kind": "function", "code": "result = f(2)", "expect": 4},
        {"name": "tests", "kind": "function", "style": "asserts", "code": "assert f(3) == 6"},
    ]
    case = Case(id="c", prompt="", language="python", judge="execution", spec={"checks": checks})
    texts = ["def f(x): return 2 * x", "def f(x): return x + 2", "def f(x): return 5",
             "import os\ndef f(x): return 2 * x if os.getuid() else 0"]  # fmt: skip
    items = [(case, Completion(case="c", index=i, text=t)) for i, t in enumerate(texts)]
    judged = judge_all(items, options=JudgeOptions(sandbox="container", workers=1))
    assert [v.function for v in judged] == ["pass", "fail", "fail", "pass"], judged
    log = engine.read_text("utf-8").splitlines()
    assert log[0] == "run"
    assert log[-1].startswith("rm codetemper-judge-")


def test_without_an_engine_a_container_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotKnowError) as caught:
        require_sandbox("container", lambda event: None)
    assert caught.value.exit_code == 3
    assert "docker is not installed; podman is not installed" in caught.value.why
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'is the docker daemon running?' >&2\nexit 1\n", "ascii")
    program.chmod(0o755)
    with pytest.raises(CannotKnowError, match="no engine answers") as caught:
        require_sandbox("container", lambda event: None)
    assert "is the docker daemon running?" in caught.value.why


def test_a_sandbox_is_replaced_after_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_MOST_ASKS", 3)
    with Worker("bwrap", "python") as sandbox:
        for number in range(7):
            assert sandbox.ask(request(f"x = {number}"), 5.0)["lines"][-1] == ["value", number]
        assert sandbox.starts == 3


@pytest.mark.parametrize(
    ("call", "arguments"),
    [("ptrace", "0, 0, 0, 0"), ("unshare", "0x10000000"), ("shmget", "1, 4096, 0o1666"),
     ("syscall", "425, 1, 0"), ("chmod", "b'.', 0o4755")],
)  # fmt: skip
def test_system_calls_are_refused(call: str, arguments: str) -> None:
    program = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"x = [libc.{call}({arguments}), ctypes.get_errno()]\n"
    )
    with Worker("bwrap", "python") as sandbox:
        assert sandbox.ask(request(program), 5.0)["lines"][-1] == ["value", [-1, 1]]


def test_without_libseccomp_code_is_still_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "program", lambda: None)
    assert seccomp.filter_available()[0] is False
    with Worker("bwrap", "python") as sandbox:
        assert sandbox.ask(request("x = 1"), 5.0)["lines"][-1] == ["value", 1]


def test_a_starved_run_is_not_late_and_a_sleeping_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    used, now = [0.0], [0.0]
    monkeypatch.setattr(process, "used_by", lambda *_: used[0])
    monkeypatch.setattr(process.time, "monotonic", lambda: now[0])

    def late_after(share: float) -> float:
        used[0] = now[0] = 0.0
        clock = process.Clock(1, process.Limits(1.0))
        while not clock.over():
            step = clock.wait()
            now[0] += step
            used[0] += step * share
        return now[0]

    assert late_after(1.0) < 1.2
    assert late_after(0.0) < 1.8
    assert 1.9 < late_after(0.5) < 2.3
    assert late_after(0.1) > process.BACKSTOP * 0.99


def test_a_forked_process_writes_nothing_but_that_it_was_forked() -> None:
    memory = board.Board()
    memory.wipe()
    write = memory.writer()
    child = os.fork()
    if child == 0:
        write(b"V", b"1")
        write(b"T", b"frames")
        os._exit(0)
    os.waitpid(child, 0)
    write(b"V", b"2")
    assert memory.read() == [(b"T", b"fork"), (b"T", b"frames"), (b"V", b"2")]


def test_a_forked_process_answers_no_call() -> None:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        served = link.Link(theirs.fileno(), {"f": lambda: os.fork()})
        with contextlib.suppress(BaseException):
            served.serve()
        os._exit(0)
    theirs.close()
    asking = link.Link(ours.fileno())
    assert asking.ask("named", "f", (), {}) > 0
    ours.settimeout(0.5)
    with pytest.raises(TimeoutError):
        ours.recv(1)  # no second answer
    ours.close()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_only_the_candidates_end_reads_what_is_no_json() -> None:
    calls = link.foreseen("f", [([1, (2,)],), ("a",)])
    ours, theirs = socket.socketpair()
    ours.sendall(calls.frame)
    ours.shutdown(socket.SHUT_WR)
    link.Link(theirs.fileno(), {"f": lambda value: [value, value.append(3)][0]}).serve()
    first, second = ours.recv(1 << 16).split(b"]\x00")
    assert first.endswith(b'["answer", [1, {"t": [2]}, 3], [[0, [1, {"t": [2]}, 3]]]')
    assert b'["raise", "AttributeError"' in second
    theirs.sendall(calls.frame)
    with pytest.raises(link.LinkLostError):
        link.Link(ours.fileno()).ask("name", "f", (), {})
    ours.close()
    theirs.close()


def test_a_module_that_a_program_imports_is_there_for_those_that_follow() -> None:
    look = "import sys\nx = 'sqlite3' in sys.modules\n"
    with Worker("bwrap", "python") as sandbox:
        said = [sandbox.ask(request(text), 5.0)["lines"][-1] for text in
                (look, f"def f():\n    import sqlite3\n{look}", look)]  # fmt: skip
    assert said == [["value", False], ["value", True], ["value", True]]
