# SPDX-License-Identifier: Apache-2.0
"""Writing: whole or not at all, also on a disk that is full."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.core import disk
from codetemper.core.disk import mendable, sync_tree, write_atomic
from codetemper.core.errors import UsageError


@given(st.binary(max_size=200))
def test_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "new/folder/file"
    write_atomic(path, data)
    assert path.read_bytes() == data
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_permissions_are_those_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    write_atomic(tmp_path / "b", b"", sync=False)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode
    sync_tree(tmp_path)


@pytest.mark.parametrize(
    ("number", "what"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "disk is full"), (errno.EROFS, "be written")],
)
def test_a_disk_that_refuses_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(disk.os, "fsync", refuse)
    with pytest.raises(UsageError, match=what):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), mendable(tmp_path):
        (tmp_path / "none").read_bytes()
    (tmp_path / "is a folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "is a folder", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["is a folder"]


FULL = """
import sys
from pathlib import Path
from codetemper.core.disk import write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.workspace import Workspace

root = Path(sys.argv[1])
workspace = Workspace.create(root)
workspace.ledger.append("init")
write_atomic(root / "kept", b"old")
refused = 0
for attempt in range(3):
    for act in (
        lambda: write_atomic(root / "kept", b"x" * (2 << 20)),
        lambda: workspace.cache_put("ab12", b"x" * (2 << 20)),
        lambda: workspace.ledger.append("tune", note="x" * (2 << 20)),
    ):
        try:
            act()
        except UsageError as error:
            assert "disk is full" in error.what, error
            refused += 1
assert refused == 9, refused
assert (root / "kept").read_bytes() == b"old"
assert not list(root.rglob("*.tmp"))
assert workspace.verify() == []
workspace.ledger.append("after")
assert len(workspace.ledger.entries()) == 2
print("held")
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts need root")
def test_a_disk_that_really_is_full(tmp_path: Path) -> None:
    """A tmpfs of 1 MiB in a mount namespace of its own."""
    script = tmp_path / "full.py"
    script.write_text(FULL)
    mount = tmp_path / "small"
    mount.mkdir()
    command = f"mount -t tmpfs -o size=1m none {mount} && exec {sys.executable} {script} {mount}"
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this container forbids mount namespaces")
    source = str(Path(disk.__file__).parents[2])
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert done.stdout.strip() == "held", done.stderr
