# SPDX-License-Identifier: Apache-2.0
"""Containment, each attack one test: nothing achieved, worker alive, next candidate unaware.

The attacks are data in ``attacks``. After each one the same sandbox runs a program that looks at
all it can see; what it sees must be what the first candidate of a fresh sandbox sees.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges._sandbox import usage
from codetemper.judges._sandbox.worker import Worker
from tests.judges.attacks.escapes import ESCAPES, TIME, Attack
from tests.judges.attacks.intrusions import INTRUSIONS
from tests.judges.attacks.look import LOOK

ALL = (*ESCAPES, *INTRUSIONS)
OPTIONS = JudgeOptions(workers=1, timeout_s=1.0, memory_mb=256)
#: The probe is asked more than once: on a busy machine one may run out of time.
PROBES = 2
#: A watcher that waited so long for a processor between two looks was starved: it looks fifty times
#: a second, and on an idle machine waits some milliseconds.
STARVED_S = 0.1


def judged(*programs: str) -> list[Verdict]:
    """Judge programs in order in one sandbox; each must leave "contained" in ``found``."""
    check = {"name": "found", "kind": "function", "code": "result = found", "expect": "contained"}
    case = Case(id="attack", prompt="", language="python", judge="execution",
                spec={"checks": [check]})  # fmt: skip
    items = [(case, Completion(case=case.id, index=i, text=p)) for i, p in enumerate(programs)]
    return judge_all(items, options=OPTIONS)


def probes() -> list[str]:
    return [f"{LOOK}# {number}\n" for number in range(PROBES)]


def achieved(verdict: Verdict) -> bool:
    """Tell whether ``found`` came out and was something else, or the attack is no program."""
    differs = any(finding.message == "the result differs" for finding in verdict.findings)
    return differs or verdict.failure in ("wrong", "syntax", "import")


def seen(verdicts: Sequence[Verdict]) -> set[str]:
    """Return what probes saw, each thing as ``name=checksum``."""
    texts = [v.findings[0].message for v in verdicts if v.failure != "timeout"]
    assert texts, "no probe came to an end"
    assert all("folders=" in text for text in texts), texts
    return {text[text.index("folders=") :] for text in texts}


class Host:
    """What the machine must keep: a file, a folder, a port, and nothing planted."""

    def __init__(self, folder: Path) -> None:
        self.victim = folder / "victim"
        self.victim.mkdir(parents=True)
        self.secret = folder / "secret"
        self.secret.write_text("secret", "ascii")
        (self.victim / "kept").write_text("kept", "ascii")
        for path in (folder, self.victim, self.secret, self.victim / "kept"):
            path.chmod(0o777)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0codetemper-{self.port}")
        self.abstract.listen()
        self.abstract.setblocking(False)

    def places(self) -> dict[str, str]:
        return {"port": str(self.port), "secret": str(self.secret), "victim": str(self.victim),
                "memory": str(OPTIONS.memory_mb)}  # fmt: skip

    def harm(self) -> list[str]:
        """Return what is no longer as it was."""
        found = []
        if self.secret.read_text("ascii") != "secret":
            found.append("the file changed")
        if sorted(path.name for path in self.victim.iterdir()) != ["kept"]:
            found.append("the folder changed")
        for server in (self.server, self.abstract):
            try:
                server.accept()
                found.append("somebody connected")
            except BlockingIOError:
                pass
        for place in ("/tmp", "/var/tmp", "/dev/shm", "/", "/etc", "/usr", "/run"):
            found += [f"{place}/{n}" for n in os.listdir(place) if n.startswith("planted")]
        return found

    def close(self) -> None:
        self.server.close()
        self.abstract.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("host") / "of")
    yield host
    host.close()


@pytest.fixture(scope="module")
def clean() -> str:
    """What the first candidates of a fresh sandbox see."""
    (text,) = seen(judged(*probes()))
    return text


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    """The workers that a test brings to life; each counts how often it was started."""
    workers: list[Worker] = []
    before = Worker.__enter__

    def enter(self: Worker) -> Worker:
        workers.append(self)
        return before(self)

    monkeypatch.setattr(Worker, "__enter__", enter)
    return workers


class Watch:
    """Notes how long the watcher of memory waited for a processor, by the kernel's own account.

    Time that a watcher sleeps or works does not count, so one that looks too rarely, too slowly or
    not at all has no excuse; nor has any where the kernel keeps no such account.
    """

    def __init__(self) -> None:
        self.longest: list[float] = []
        """For each request in order, the longest wait between two looks, in seconds."""
        self._last = 0.0

    def note(self, *, first: bool = False) -> None:
        """Add what this thread waited since the last note."""
        account = Path("/proc/thread-self/schedstat")
        waited = int(account.read_text("ascii").split()[1]) / 1e9 if account.exists() else 0.0
        if first:
            self.longest.append(0.0)
        else:
            self.longest[-1] = max(self.longest[-1], waited - self._last)
        self._last = waited

    def begin(self, replace: Callable[[object, str, object], None] = setattr) -> None:
        """Look on from now on, at one sandbox."""
        ask, restrain = Worker.ask, usage.restrain

        def asked(worker: Worker, *arguments: Any) -> dict[str, Any]:
            self.note(first=True)
            answer = ask(worker, *arguments)
            self.note()
            return answer

        def restrained(process: int, most_mb: int) -> None:
            restrain(process, most_mb)
            self.note()

        replace(Worker, "ask", asked)
        replace(usage, "restrain", restrained)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    watch.begin(monkeypatch.setattr)
    return watch


def excused(attack: Attack, waited: float) -> bool:
    """Tell whether an attack is one that a watcher contains, and the machine kept it from that."""
    return attack.watched and waited > STARVED_S


def test_an_attack_that_works_is_seen(host: Host, clean: str) -> None:
    """The control: without it a test that sees nothing would pass."""
    loud = Attack("works", "def attack():\n    return 'achieved'\n")
    assert achieved(judged(loud.program())[0])
    quiet = Attack("does nothing", "def attack():\n    return None\n")
    assert not achieved(judged(quiet.program())[0])
    moved = LOOK.replace("'descriptors'", "'descriptors'").replace("open_ones(),", "[0],")
    assert seen(judged(moved)) != {clean}
    with socket.create_connection(("127.0.0.1", host.port)):
        assert host.harm() == ["somebody connected"]


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.name)
def test_an_attack_is_contained(
    attack: Attack,
    host: Host,
    clean: str,
    starts: list[Worker],
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODETEMPER_TEST_SECRET", "x")
    verdict, *after = judged(attack.program(**host.places()), *probes())
    waited, *_ = watch.longest
    assert not achieved(verdict) or excused(attack, waited), (verdict.findings, waited)
    assert seen(after) == {clean}
    assert host.harm() == []
    assert [worker.starts for worker in starts] == [1]


BATCH = """\
import json, sys
sys.path[:0] = {path!r}
from tests.judges import test_containment as t
workers = []
enter = t.Worker.__enter__
t.Worker.__enter__ = lambda self: workers.append(self) or enter(self)
watch = t.Watch()
watch.begin()
verdicts = t.judged(*json.load(sys.stdin))
told = [[t.achieved(v), [f.message for f in v.findings]] for v in verdicts]
print(json.dumps([told, [worker.starts for worker in workers], watch.longest]))
"""


def _open_to_all(path: Path) -> bool:
    return all(p.stat().st_mode & stat.S_IXOTH for p in (path, *path.parents))


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests ran without root already")
def test_attacks_are_contained_for_a_caller_without_rights(host: Host) -> None:
    """The same attacks where the caller is not root: a user namespace instead of an own uid."""
    root = Path(__file__).parents[2]
    if shutil.which("setpriv") is None or not _open_to_all(root):
        pytest.skip("no setpriv, or the checkout is closed to other users")
    program = BATCH.format(path=[str(root), str(root / "src")])
    attacks = [attack for attack in ALL if attack not in TIME]
    texts = [text for attack in attacks for text in (attack.program(**host.places()), LOOK)]
    texts = [f"{text}# {number}\n" for number, text in enumerate([LOOK, *texts])]
    line = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable]
    done = subprocess.run([*line, "-c", program], input=json.dumps(texts), capture_output=True,
                          text=True, timeout=400, cwd="/", check=False)  # fmt: skip
    if "user namespaces" in done.stderr:
        pytest.skip("this machine has no user namespaces for others than root")
    assert done.returncode == 0, done.stderr[-2000:]
    ((_, first), *rest), starts, (_, *waited) = json.loads(done.stdout.splitlines()[-1])
    assert len(waited) == len(rest)
    clean = first[0][first[0].index("folders=") :]
    failed: dict[str, Any] = {}
    for attack, (works, notes), (_, look), wait in zip(
        attacks, rest[::2], rest[1::2], waited[::2], strict=True
    ):
        if works and not excused(attack, wait):
            failed[attack.name] = [*notes, wait]
        elif not look[0].endswith(clean):
            failed[attack.name] = look[0]
    assert failed == {}
    assert starts == [1]
    assert host.harm() == []
