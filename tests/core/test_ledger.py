# SPDX-License-Identifier: Apache-2.0
"""The ledger: any changed byte is found, kill -9 costs one line at most, writers share it."""

import errno
import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.core import ledger as ledger_module
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.ledger import GENESIS, Ledger


@functools.cache
def filled_files() -> dict[str, bytes]:
    """Return the bytes of a filled ledger by file name; synced once, not for every example."""
    with tempfile.TemporaryDirectory() as folder:
        filled(Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def copied(folder: Path) -> Ledger:
    for name, data in filled_files().items():
        (folder / name).write_bytes(data)
    return Ledger(folder / "ledger.jsonl")


LOOP = """
import sys
from codetemper.core.ledger import Ledger
ledger = Ledger(sys.argv[1])
for number in range(int(sys.argv[3])):
    entry = ledger.append("loop", outputs={sys.argv[2]: str(number)}, note="x" * 200)
    print(number, flush=True)
"""


def loop(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    source = str(Path(ledger_module.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", LOOP, str(path), name, str(count)],
        env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def filled(folder: Path, entries: int = 3) -> Ledger:
    ledger = Ledger(folder / "ledger.jsonl")
    for number in range(entries):
        ledger.append("eval", inputs={"model": f"m{number}"}, outputs={"run:r": "0" * 9}, note="é")
    return ledger


def test_entries_come_back_chained(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deep/ledger.jsonl")
    assert ledger.entries() == []
    assert ledger.verify() == []
    written = [ledger.append("init"), ledger.append("tune", inputs={"a": "1"}, note="two\nlines")]
    assert ledger.entries() == written
    assert written[0].prev == GENESIS
    assert [e.seq for e in written] == [0, 1]
    assert "@" in written[0].actor
    assert written[0].time.endswith("+00:00")
    assert ledger.verify() == []
    assert Ledger(os.fspath(ledger)).entries() == written


@settings(max_examples=150)
@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = copied(Path(folder))
        path = ledger.path if data.draw(st.booleans()) else ledger.path.with_suffix(".head")
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        assert ledger.verify(), f"byte {at} of {path.name}"


@settings(max_examples=80)
@given(st.data())
def test_missing_bytes_and_lines_are_found(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = copied(Path(folder))
        content = ledger.path.read_bytes()
        begin = data.draw(st.integers(0, len(content) - 1))
        end = data.draw(st.integers(begin + 1, len(content)))
        ledger.path.write_bytes(content[:begin] + content[end:])
        assert ledger.verify()


def test_swapped_lines_and_a_missing_head_are_found(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(lines[1] + lines[0] + lines[2])
    assert ledger.verify()
    ledger.path.write_bytes(b"".join(lines))
    assert ledger.verify() == []
    ledger.path.with_suffix(".head").unlink()
    assert [p.what for p in ledger.verify()] == ["the file ledger.head is missing"]


def test_nothing_is_written_onto_a_changed_end(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    content = ledger.path.read_bytes()
    whole = content.splitlines(keepends=True)
    for broken in (
        b"".join(whole[:2]),
        content[:-1] + b"x",
        content[:-9] + b"0" + content[-8:],
        b"",
    ):
        ledger.path.write_bytes(broken)
        with pytest.raises(IntegrityError) as caught:
            ledger.append("tune")
        assert caught.value.exit_code == 4
        assert ledger.path.read_bytes() == broken
    assert not ledger.path.with_suffix(".torn").exists()


def test_a_line_that_is_no_entry_stops_reading(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    ledger.path.write_bytes(b"{}\n" + ledger.path.read_bytes())
    with pytest.raises(IntegrityError, match="broken"):
        ledger.entries()


def test_a_torn_line_is_set_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = filled(tmp_path)
    before = ledger.entries()
    torn = b'{"actor":"' + b"y" * 20_000
    with ledger.path.open("ab") as stream:
        stream.write(torn)
    assert ledger.verify() == []
    assert ledger.entries() == before
    assert ledger.torn() == len(torn)
    entry = ledger.append("tune")
    assert "unfinished line" in caplog.text
    assert ledger.entries() == [*before, entry]
    assert ledger.verify() == []
    assert ledger.path.with_suffix(".torn").read_bytes() == torn + b"\n"
    assert ledger.torn() == len(torn) + 1


def test_kill_9_between_line_and_head_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "_point_head", lambda *_: None)
            ledger.append("killed before the head was written")
        assert ledger.verify() == []
        ledger.append("next")
        assert ledger.verify() == []
    assert len(ledger.entries()) == 4


@pytest.mark.parametrize("wait_lines", [1, 7, 20])
def test_kill_9_loses_at_most_the_unfinished_line(tmp_path: Path, wait_lines: int) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    process = loop(ledger.path, "a", 100_000)
    said = 0
    for _ in range(wait_lines):
        said = int(process.stdout.readline())
    time.sleep(0.003 * wait_lines)
    process.send_signal(signal.SIGKILL)
    said = max([said, *map(int, process.stdout.read().split())])
    process.wait()
    numbers = [int(e.outputs["a"]) for e in ledger.entries()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= said + 1, "an entry that append returned was lost"
    assert ledger.verify() == []
    ledger.append("after")
    assert len(ledger.entries()) == len(numbers) + 1
    assert ledger.verify() == []


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    processes = [loop(ledger.path, name, 40) for name in "abc"]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    entries = ledger.entries()
    for name in "abc":
        mine = [e.outputs[name] for e in entries if name in e.outputs]
        assert mine == [str(n) for n in range(40)]
    assert len(entries) == 120
    assert ledger.verify() == []


@pytest.mark.parametrize("existing", [0, 3])
@pytest.mark.parametrize("where", ["write", "head"])
def test_a_full_disk_leaves_the_ledger_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: int, where: str
) -> None:
    ledger = filled(tmp_path, existing)
    before = ledger.entries()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if where == "head":
            patch.setattr(Ledger, "_point_head", full)
        else:
            patch.setattr(ledger_module.os, "fsync", full)
        with pytest.raises(UsageError, match="disk is full"):
            ledger.append("tune")
    assert ledger.entries() == before
    assert ledger.verify() == []
    ledger.append("tune")
    assert ledger.verify() == []


def test_append_reads_only_the_end(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 1)
    line = ledger.path.read_bytes()
    # 64 MiB of lines before the last one: reading them all would show in the bytes read.
    last = ledger.append("x")
    tail = ledger.path.read_bytes()[len(line) :]
    with ledger.path.open("wb") as stream:
        stream.truncate(64 << 20)
        stream.seek((64 << 20) - 1)
        stream.write(b"\n" + tail)
    before = _bytes_read()
    assert ledger.append("y").seq == last.seq + 1
    assert _bytes_read() - before < 1 << 20


def _bytes_read() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])
