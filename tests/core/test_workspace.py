# SPDX-License-Identifier: Apache-2.0
"""The workspace: what settles stays, any changed byte is found, nothing half-made is left."""

import atexit
import functools
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.core.accounts import CorpusCard, PatchManifest
from codetemper.core.digests import digest_bytes, digest_folder
from codetemper.core.errors import UsageError
from codetemper.core.workspace import REMOVED, Workspace, content_id, content_id_of


def settle(workspace: Workspace, kind: str, files: dict[str, bytes], seconds: float = 1.0) -> Path:
    """Settle and record a patch, corpus or run of these files, as the API does."""
    listed = {name: digest_bytes(data) for name, data in files.items()}
    with workspace.staged(kind) as folder:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        if kind == "patches":
            record = PatchManifest(
                id="", kind="adapter", verb="tune", technique="tune", base="seedling",
                base_digest="0" * 64, config={"rank": 8}, parameters_changed=3, bytes=3,
                seconds=seconds, seed=0, versions={}, files=listed,
            )  # fmt: skip
            listing, id = "manifest.json", content_id_of(record.model_dump(mode="json"))
        elif kind == "corpora":
            record = CorpusCard(
                id="", rows=1, record="FixPair", data_digest="0", files=listed, sources=("r",),
                seconds=seconds,
            )  # fmt: skip
            listing, id = "card.json", content_id_of(record.model_dump(mode="json"), "mine")
        else:
            listing, id = None, content_id("eval", listed, {})
        if listing:
            text = record.model_copy(update={"id": id}).model_dump_json(indent=1)
            (folder / listing).write_text(text)
        home = workspace.settle(folder, kind, id)
    prefix = {"patches": "patch", "corpora": "corpus", "runs": "run"}[kind]
    workspace.ledger.append("test", outputs={f"{prefix}:{id}": digest_folder(home)})
    return home


def whole(root: Path) -> Workspace:
    workspace = Workspace.create(root)
    settle(workspace, "patches", {"a.safetensors": b"abc", "deep/b.json": b"{}"})
    settle(workspace, "corpora", {"data.parquet": b"rows"})
    settle(workspace, "runs", {"scorecard.json": b"{}", "events.jsonl": b""})
    return workspace


@functools.cache
def whole_once() -> Path:
    """Return a filled workspace to copy; synced once, not for every example."""
    root = Path(tempfile.mkdtemp(prefix="codetemper-test-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return whole(root).root


def test_create_open_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no workspace") as caught:
        Workspace.open(tmp_path)
    assert caught.value.mend == "codetemper init"
    made = Workspace.create(tmp_path)
    assert made.root == tmp_path
    assert {p.name for p in made.home.iterdir()} >= {"patches", "corpora", "runs", "cache"}
    (tmp_path / "a/b").mkdir(parents=True)
    assert Workspace.find(tmp_path / "a/b").root == tmp_path
    assert Workspace.open(tmp_path / ".codetemper").root == tmp_path
    monkeypatch.chdir(tmp_path)
    assert Workspace.open(Path()).root == Workspace.open(Path(".codetemper")).root == tmp_path
    assert made.verify() == []
    made.ledger.append("init")
    assert len(Workspace.create(tmp_path).ledger.entries()) == 1


def test_settings_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    file = workspace.home / "workspace.toml"
    file.write_text("version = 99\n")
    with pytest.raises(UsageError, match="version 99"):
        Workspace.open(tmp_path)
    file.write_text("version = \n")
    with pytest.raises(UsageError, match="cannot be read"):
        Workspace.open(tmp_path)


def test_ids_follow_content_not_time(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    one = settle(workspace, "patches", {"a": b"1"}, seconds=1)
    again = settle(workspace, "patches", {"a": b"1"}, seconds=2)
    other = settle(workspace, "patches", {"a": b"2"})
    assert one == again
    assert one != other
    assert one.name.startswith("tune-")
    assert not list((workspace.home / "tmp").iterdir())
    assert workspace.verify() == []


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_of_anything_settled_is_found(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(whole_once(), folder, dirs_exist_ok=True)
        workspace = Workspace.open(Path(folder))
        assert workspace.verify() == []
        kinds = (workspace.patches, workspace.corpora, workspace.runs)
        files = sorted(p for kind in kinds for p in kind.rglob("*") if p.is_file())
        path = data.draw(st.sampled_from([p for p in files if p.stat().st_size]))
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        assert workspace.verify(), path.name


def forge(folder: Path) -> None:
    """Change a file and the manifest's digest of it, and nothing else."""
    (folder / "a.safetensors").write_bytes(b"abd")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["a.safetensors"] = digest_bytes(b"abd")
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (forge, "but its content is that of tune-"),
        (lambda f: (f / "extra").touch(), "extra is not in manifest.json"),
        (lambda f: (f / "deep/b.json").unlink(), "deep/b.json is missing"),
        (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing or cannot be read"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff"), "missing or cannot be read"),
        (lambda f: f.rename(f.with_name("tune-0123456789ab")), "the ledger does not know it"),
        (lambda f: f.rename(f.parent.parent / "elsewhere"), "the ledger knows it, but it is miss"),
    ],
)
def test_every_way_to_harm_a_patch_has_its_words(
    tmp_path: Path, harm: Callable[[Path], object], said: str
) -> None:
    workspace = whole(tmp_path)
    harm(next(workspace.patches.iterdir()))
    assert any(said in problem.what for problem in workspace.verify()), workspace.verify()


def test_files_are_checked_also_under_a_broken_ledger(tmp_path: Path) -> None:
    workspace = whole(tmp_path)
    workspace.ledger.path.write_bytes(b"{}\n")
    (next(workspace.corpora.iterdir()) / "data.parquet").write_bytes(b"other")
    paths = {problem.path.split("/")[0] for problem in workspace.verify()}
    assert paths == {"ledger.jsonl", "corpora"}


def test_unfinished_runs_and_removed_ones_are_no_problem(tmp_path: Path) -> None:
    workspace = whole(tmp_path)
    unfinished = workspace.runs / "eval-unfinished"
    unfinished.mkdir()
    (unfinished / "events.jsonl").write_bytes(b"{}")
    assert workspace.verify() == []
    (unfinished / "scorecard.json").write_bytes(b"{}")
    assert [p.path for p in workspace.verify()] == ["runs/eval-unfinished"]
    workspace.ledger.append("remove", outputs={"run:eval-unfinished": REMOVED})
    assert len(workspace.verify()) == 1
    (unfinished / "scorecard.json").unlink()
    assert workspace.verify() == []


def test_what_does_not_settle_leaves_nothing(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)

    def fail() -> None:
        with workspace.staged("patches") as folder:
            (folder / "half").write_bytes(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not list((workspace.home / "tmp").iterdir())
    for bad in ("../out", "", ".hidden", "a/b", "-x"):
        with workspace.staged("patches") as folder, pytest.raises(UsageError):
            workspace.settle(folder, "patches", bad)


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    gone = workspace.home / "tmp" / "patches-999999999-ab"
    alive = workspace.home / "tmp" / f"patches-{os.getpid()}-ab"
    young = workspace.home / "tmp" / "patches-999999998-ab"
    for folder in (gone, alive, young):
        folder.mkdir(parents=True)
        (folder / "x").touch()
    yesterday = time.time() - 100_000
    for folder in (gone, alive):
        os.utime(folder, (yesterday, yesterday))
    with workspace.staged("runs"):
        assert not gone.exists()
        assert alive.exists()
        assert young.exists()


def test_resolve_by_id_prefix_and_nearness(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    for name in ("tune-aaaa", "tune-aabb", "tune-aa", "mine-1234"):
        (workspace.patches / name).mkdir()
    assert workspace.resolve("patches", "tune-aab").name == "tune-aabb"
    assert workspace.resolve("patches", "mine").name == "mine-1234"
    assert workspace.resolve("patches", "tune-aa").name == "tune-aa"
    with pytest.raises(UsageError) as caught:
        workspace.resolve("patches", "tune")
    assert "tune-aaaa, tune-aabb" in caught.value.why
    with pytest.raises(UsageError) as caught:
        workspace.resolve("patches", "tune-aacb")
    assert "did you mean" in caught.value.mend
    for none in ("", "zzz", "../patches"):
        with pytest.raises(UsageError):
            workspace.resolve("patches", none)


@given(st.binary(max_size=100))
def test_the_cache_gives_back_what_it_took(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder))
        key = digest_bytes(b"key")
        assert workspace.cache_get(key) is None
        workspace.cache_put(key, data)
        assert workspace.cache_get(key) == data


@given(st.data())
@settings(max_examples=30)
def test_a_damaged_cache_entry_is_a_miss(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder))
        workspace.cache_put("ab12", b"verdict")
        file = workspace.cache / "ab" / "ab12"
        content = bytearray(file.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        assert workspace.cache_get("ab12") is None


def test_a_lock_is_for_one(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    order: list[str] = []

    def second() -> None:
        with workspace.lock("run-1"):
            order.append("second")

    with workspace.lock("run-1"):
        thread = threading.Thread(target=second)
        thread.start()
        with (
            pytest.raises(UsageError, match="in use"),
            Workspace.open(tmp_path).lock("run-1", timeout_s=0.05),
        ):
            order.append("never")
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
