# SPDX-License-Identifier: Apache-2.0
"""The Python judge: every outcome, and completions that try to cheat or to break out."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Case, Completion, Event, Verdict
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges._compare import same
from codetemper.judges._sandbox import bubble
from codetemper.judges._sandbox.inside.plain import encode

QUICK = JudgeOptions(workers=1, timeout_s=2.0)
ADD = "def add(a, b):\n"


def check(code: str, expect: Any, kind: str = "function", name: str = "check") -> dict[str, Any]:
    return {"name": name, "kind": kind, "code": code, "expect": expect}


def case(*checks: dict[str, Any], prompt: str = ADD, setup: str = "", name: str = "case") -> Case:
    spec = {"setup": setup, "checks": list(checks)}
    return Case(
        id=name, prompt=prompt, language="python", judge="execution", spec=spec, cwe="CWE-1"
    )


def verdicts(of: Case, *texts: str, options: JudgeOptions = QUICK) -> list[Verdict]:
    done = [Completion(case=of.id, index=i, text=text) for i, text in enumerate(texts)]
    return judge_all([(of, completion) for completion in done], options=options)


def answer(program: str, *, options: JudgeOptions = QUICK) -> Verdict:
    """Judge a program whose variable ``found`` must be "contained"."""
    return verdicts(case(check("result = found", "contained"), prompt=""), program,
                    options=options)[0]  # fmt: skip


BOTH = case(
    check("result = add(2, 3)", 5, name="small"),
    check("result = add(-2, 2)", 0, name="zero"),
    check("try:\n    result = add('2', 3)\nexcept TypeError:\n    result = 'refused'", "refused",
          kind="security", name="text"),
)  # fmt: skip


def test_outcomes_and_failure_classes() -> None:
    texts = {
        "    return a + b\n": ("pass", "pass", "pass", None),
        "    return a - b\n": ("pass", "fail", "pass", "wrong"),
        "    return int(a) + int(b)\n": ("pass", "pass", "fail", "insecure"),
        "    return (\n": ("fail", "fail", "unknown", "syntax"),
        "    return a + b\nimport nowhere\n": ("pass", "fail", "unknown", "import"),
        "    return a + b\nraise KeyError(1)\n": ("pass", "fail", "unknown", "runtime"),
        "    raise RuntimeError('no')\n": ("pass", "fail", "unknown", "runtime"),
        "    while True: pass\n": ("pass", "fail", "unknown", "timeout"),
        "    return a + b\nwhile True: pass\n": ("pass", "fail", "unknown", "timeout"),
        "    return [0] * 10**10\n": ("pass", "fail", "unknown", "memory"),
    }
    judged = verdicts(BOTH, *texts, options=JudgeOptions(workers=2, timeout_s=1.5))
    for (text, expected), v in zip(texts.items(), judged, strict=True):
        assert (v.valid, v.function, v.security, v.failure) == expected, text
    insecure = judged[2]
    assert [(f.rule, f.cwe, f.severity) for f in insecure.findings] == [
        ("exploit:text", "CWE-1", "error")
    ]
    assert insecure.judge == "execution/5"
    assert insecure.seconds > 0


def test_security_is_judged_where_function_fails_and_unknown_without_checks() -> None:
    judged = verdicts(BOTH, "    return int(a) - int(b)\n")[0]
    assert (judged.function, judged.security, judged.failure) == ("fail", "fail", "wrong")
    plain = verdicts(case(check("result = add(1, 1)", 2)), "    return a + b\n")[0]
    assert (plain.function, plain.security, plain.failure) == ("pass", "unknown", None)


def test_checks_do_not_see_each_other() -> None:
    code = "import os\nresult = [add(1, 1), os.listdir('.')]\nopen('left', 'w').close()"
    of = case(check(code, [1, []], name="a"), check(code, [1, []], name="b"), prompt="count = 0\n")
    judged = verdicts(of, "def add(a, b):\n    global count\n    count += 1\n    return count\n")
    assert judged[0].function == "pass"


def test_setup_runs_before_the_program() -> None:
    of = case(check("result = half(9)", 4.5), prompt="", setup="from math import ceil")
    assert verdicts(of, "def half(x):\n    return ceil(x) / 2\n")[0].function == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "    import os; os._exit(0)\n",
        "    import sys; sys.exit(0)\n",
        "    raise SystemExit(0)\n",
        "    class Any(int):\n        __eq__ = lambda s, o: True\n        __hash__ = int.__hash__\n"
        "    return Any(a)\n",
        "    class Any:\n        __eq__ = lambda s, o: True\n    return Any()\n",
        "    return True\n",
        "    return float(a + b)\n",
        "    import sys\n    frame = sys._getframe(1)\n    while frame:\n"
        "        for k in list(frame.f_locals):\n"
        "            if 'expect' in k: return frame.f_locals[k]\n"
        "        frame = frame.f_back\n",
        "    import gc\n    for o in gc.get_objects():\n"
        "        if type(o) is dict and 'expect' in o: return o['expect']\n",
        "    import os\n    for fd in range(3, 64):\n"
        "        try: os.write(fd, b'[\"value\", 1]\\n')\n"
        "        except OSError: pass\n",
        "    import json\n    json.dumps = lambda *a, **k: '{}'\n",
        "    pass\nresult = 1\n",
    ],
)
def test_forged_passes_are_refused(text: str) -> None:
    judged = verdicts(case(check("result = add(1, 0)", 1)), text)[0]
    assert judged.function == "fail"
    assert judged.failure in ("wrong", "runtime", "tamper")


@pytest.fixture(params=["own uid", "user namespace"])
def rights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test in both forms of sandbox; a caller who is not root only has the second."""
    if request.param == "user namespace":
        monkeypatch.setattr(bubble, "candidate_uid", lambda: None)
    return str(request.param)


REFUSED = "found = 'open'\ntry:\n    {}\nexcept OSError:\n    found = 'contained'\n"


@pytest.mark.parametrize(
    "attack",
    [
        "open('/etc/planted', 'w')",
        "open('/usr/planted', 'w')",
        "open('/judge/inside/server.py', 'a')",
        "open('/dev/planted', 'w')",
        "open('/planted', 'w')",
        "open('/etc/shadow').read()",
        "open('/proc/1/environ').read()",
        "__import__('os').listdir('/work' if __import__('os').path.exists('/work') else '/home')",
        "open('big', 'wb').write(bytes(8 << 20)); __import__('os').stat('nothing')",
    ],
)
@pytest.mark.usefixtures("rights")
def test_files_outside_are_out_of_reach(attack: str) -> None:
    assert answer(REFUSED.format(attack)).function == "pass"


@pytest.mark.usefixtures("rights")
def test_the_whole_standard_library_can_be_imported() -> None:
    judged = answer("import encodings.idna, colorsys, wave, sched\nfound = 'contained'\n")
    assert (judged.function, judged.findings) == ("pass", ())


@pytest.mark.usefixtures("rights")
def test_host_file_and_network_are_out_of_reach(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret", "ascii")
    secret.chmod(0o644)
    assert answer(REFUSED.format(f"open({str(secret)!r}).read()")).function == "pass"
    with socket.create_server(("127.0.0.1", 0)) as server:
        attack = f"__import__('socket').create_connection({server.getsockname()!r}, 0.5)"
        assert answer(REFUSED.format(attack)).function == "pass"


def test_environment_of_the_caller_is_not_handed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    judged = answer("import os\nfound = os.environ.get('SECRET_TOKEN', 'contained')\n")
    assert judged.function == "pass"


@pytest.mark.usefixtures("rights")
def test_nothing_is_left_for_the_next_candidate() -> None:
    leave = (
        "import os\nfound = 'contained'\n"
        "for place in ('.', '..', '/tmp', '/dev/shm', '/var/tmp', '/run', '/'):\n"
        "    try:\n"
        "        os.makedirs(place + '/planted/deep')\n"
        "        open(place + '/planted/deep/file', 'w').close()\n"
        "        os.chmod(place + '/planted/deep', 0)\n"
        "    except OSError:\n        pass\n"
    )
    look = (
        "import os\nfound = 'contained'\n"
        "for place in ('.', '..', '/tmp', '/dev/shm', '/var/tmp', '/run', '/'):\n"
        "    if os.path.exists(place + '/planted'):\n        found = place\n"
        "try:\n    seen = [n for n in os.listdir('/tmp')]\n"
        "    if len(seen) > 1:\n        found = repr(seen)\n"
        "except OSError:\n    pass\n"
    )
    of = case(check("result = found", "contained"), prompt="")
    assert [v.function for v in verdicts(of, leave, look)] == ["pass", "pass"]


@pytest.mark.usefixtures("rights")
def test_processes_left_behind_are_ended() -> None:
    leave = (
        "import os, time\nfound = 'contained'\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(60)\n        os._exit(0)\n    os._exit(0)\n"
    )
    look = (
        "import os\nfound = 'contained'\nfor pid in range(2, 400):\n"
        "    try:\n        os.kill(pid, 0)\n    except ProcessLookupError:\n        continue\n"
        "    except PermissionError:\n        pass\n"
        "    if pid != os.getpid(): found = f'process {pid} is still there'\n"
    )
    of = case(check("result = found", "contained"), prompt="")
    assert [v.function for v in verdicts(of, leave, look)] == ["pass", "pass"]


@pytest.mark.parametrize(
    "attack",
    ["os.kill(-1, 9)", "os.kill(1, 9)", "os.kill(os.getppid(), 9)", "os.kill(1, 19)",
     "os.killpg(0, 9)", "os.kill(1, 2)", "os.kill(os.getpid(), 19)", "os.abort()"],
)  # fmt: skip
@pytest.mark.usefixtures("rights")
def test_signals_do_not_end_the_sandbox(attack: str) -> None:
    of = case(check("result = add(1, 1)", 2))
    text = f"    import os\n    try: {attack}\n    except OSError: pass\n    return 0\n"
    options = JudgeOptions(workers=1, timeout_s=1.5)
    judged = verdicts(of, text, "    return a + b\n", options=options)
    assert [v.function for v in judged] == ["fail", "pass"]


@pytest.mark.skipif(os.geteuid() != 0, reason="run by root the count is this test's own")
def test_fork_bomb_is_held() -> None:
    bomb = (
        "import os, time\nfound, made = 'open', 0\n"
        "try:\n    while made < 200:\n        if os.fork() == 0:\n            time.sleep(30)\n"
        "        made += 1\nexcept OSError:\n    found = 'contained' if made < 20 else made\n"
    )
    of = case(check("result = found", "contained"), prompt="")
    judged = verdicts(of, bomb, "found = 'contained'\n")
    assert [v.function for v in judged] == ["pass", "pass"]


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("    return 'x' * (8 << 20)\n", "runtime"),
        ("    import sys\n    while True: sys.stdout.write('x' * 65536)\n", "timeout"),
        ("    x = []\n    while True: x.append(bytes(1 << 20))\n", "memory"),
        ("    import signal\n    for s in (14, 15, 2, 24): signal.signal(s, signal.SIG_IGN)\n"
         "    while True: pass\n", "timeout"),
        ("    import sys\n    sys.setrecursionlimit(10**9)\n    f = lambda: f()\n    f()\n", None),
        ("    import os\n    n = 0\n    while True:\n        n += 1\n"
         "        open(str(n), 'wb').write(bytes(1 << 20))\n", "runtime"),
    ],
)  # fmt: skip
def test_floods_end_and_the_next_candidate_is_judged(text: str, failure: str | None) -> None:
    options = JudgeOptions(workers=1, timeout_s=1.5, memory_mb=256)
    of = case(check("result = add(1, 1)", 2))
    bad, good = verdicts(of, text, "    return a + b\n", options=options)
    assert bad.function == "fail"
    assert failure is None or bad.failure == failure
    assert good.function == "pass"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(plain)
def test_plain_data_equals_itself_after_the_trip(value: Any) -> None:
    trip = json.loads(json.dumps(encode(value)))
    assert same(trip, value)
    assert not same(trip, [value])


@pytest.mark.parametrize(
    ("given_value", "expect"),
    [(True, 1), (1, True), (1, 1.0), (1.0, 1), ("1", 1), (None, False), ([], {}),
     ({1: 2}, {"1": 2}),
     (b"a", "a"), ({1}, [1]), ([1, 2], [1]), ({"a": 1}, {"a": 1, "b": 2}), (0, None)],
)  # fmt: skip
def test_types_are_exact(given_value: Any, expect: Any) -> None:
    assert not same(json.loads(json.dumps(encode(given_value))), expect)


@pytest.mark.parametrize(
    "junk", [3, {"d": 3}, {"t": None}, {"I": 1}, {"d": [[1]]}, {}, {"t": [1], "d": []}]
)
def test_malformed_encodings_equal_nothing(junk: Any) -> None:
    assert not any(
        same(junk, value) for value in (1, "a", [], {}, None, True, [1], {"a": 1}, 1 << 5000)
    )


def test_a_tuple_answers_for_a_list() -> None:
    assert same(encode((1, (2,))), [1, [2]])


def test_broken_specs_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="cannot be judged"):
        verdicts(case(check("result =", 1)), "    return 1\n")
    with pytest.raises(UsageError, match="cannot be judged"):
        verdicts(case(check("result = 1", 1), setup="import nowhere"), "    return 1\n")
    unknown = Case(id="x", prompt="", language="python", judge="execution", spec={"tests": []})
    with pytest.raises(UsageError, match="cannot be judged"):
        verdicts(unknown, "")


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    bubble._probe.cache_clear()
    try:
        with pytest.raises(CannotKnowError) as caught:
            verdicts(BOTH, "    return a + b\n")
        assert caught.value.exit_code == 3
        assert "apt-get install -y bubblewrap" in caught.value.mend
        assert bubble.sandbox_available()[0] is False
    finally:
        bubble._probe.cache_clear()


def test_none_is_loud() -> None:
    events: list[Event] = []
    completion = Completion(case="case", text="    return a + b\n")
    options = JudgeOptions(sandbox="none", workers=1)
    judged = judge_all([(BOTH, completion)], options=options, on_event=events.append)
    assert judged[0].function == judged[0].security == "pass"
    assert any("WARNING" in event.note for event in events)
