# SPDX-License-Identifier: Apache-2.0
"""``patch sign`` and what it guards: loading, attaching, tuning under guards, export, verify."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codetemper.api import exporting, models, refining, signing, study
from codetemper.cli.app import main
from codetemper.core.contents import SIGNATURE
from codetemper.core.digests import digest_file, digest_folder
from codetemper.core.errors import IntegrityError, MissingExtraError, UsageError
from codetemper.core.signatures import Trust, signature_of
from codetemper.core.workspace import Workspace, trust_at
from codetemper.models.attach import attached
from codetemper.models.patch import MANIFEST, load_manifest, manifest_id, save_patch, verify_patch
from tests.keys import key_pair
from tests.models.adapters import make_patch, tiny_loaded

TENSORS = "adapter_model.safetensors"
REQUIRED = 'version = 1\ntrusted_keys = ["team.pub"]\nrequire_signatures = true\n'
TRUSTED = 'version = 1\ntrusted_keys = ["team.pub"]\n'
SMALL = {"tune": ("-o", "max_length=64", "-o", "epochs=1", "-o", "rank=2"), "audit-data": ()}


@dataclass(frozen=True)
class Bench:
    """A workspace of its own, with a patch, a guard and two pairs of keys."""

    workspace: Workspace
    base: str
    patch: str
    guard: str

    @property
    def folder(self) -> Path:
        return self.workspace.patches / self.patch

    def sign(self, patch: str, key: str = "team") -> signing.Signed:
        return signing.sign(self.workspace, patch, self.workspace.root / f"{key}.pem")

    def say(self, settings: str) -> None:
        (self.workspace.home / "workspace.toml").write_text(settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("signing")
    workspace = Workspace.create(root)
    for name in ("team", "other"):
        key_pair(root, name)
    kinds = (("tune", "inference"), ("guard", "train-only"))
    for seed, (verb, purpose) in enumerate(kinds):
        with workspace.staged("patches") as staged:
            built = make_patch(staged / "made", seed=seed, verb=verb, purpose=purpose)
            id = load_manifest(built).id
            home = workspace.settle(built, "patches", id)
        workspace.ledger.append(verb, outputs={f"patch:{id}": digest_folder(home)})
    return root


@pytest.fixture
def bench(made: Path, tmp_path: Path, tiny_model_dir: Path) -> Bench:
    shutil.copytree(made, tmp_path / "home")
    workspace = Workspace.open(tmp_path / "home")
    patch, guard = (workspace.resolve("patches", verb).name for verb in ("tune", "guard"))
    return Bench(workspace, f"hf:{tiny_model_dir}", patch, guard)


def asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bench: Bench, *words: str
) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON document of the command line."""
    place = ("-w", str(bench.workspace.root), "--json")
    monkeypatch.setattr(sys, "argv", ["codetemper", *words, *place])
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0), json.loads(capsys.readouterr().out)


def forge(folder: Path) -> None:
    """Change tensors and all that speaks of them in the folder, as one who may write there can."""
    data = bytearray((folder / TENSORS).read_bytes())
    data[-1] ^= 1
    (folder / TENSORS).write_bytes(data)
    files = load_manifest(folder).files | {TENSORS: digest_file(folder / TENSORS)}
    manifest = load_manifest(folder).model_copy(update={"files": files})
    manifest = manifest.model_copy(update={"id": manifest_id(manifest)})
    (folder / MANIFEST).write_bytes(manifest.model_dump_json(indent=2).encode() + b"\n")


def test_signing_leaves_the_patch_what_it_was_and_is_accounted_for(bench: Bench) -> None:
    before = verify_patch(bench.folder)
    made = bench.sign(bench.patch[:6])
    assert (made.id, made.path) == (bench.patch, bench.folder / SIGNATURE)
    assert verify_patch(bench.folder) == before
    assert bench.workspace.verify() == []
    entry = bench.workspace.ledger.entries()[-1]
    assert entry.verb == "sign"
    assert entry.inputs == {"patch": bench.patch, "key": made.key}
    assert entry.outputs == {f"signature:{bench.patch}": digest_file(made.path)}
    assert bench.workspace.unchecked_signatures() == [bench.patch]
    bench.say(TRUSTED)
    assert bench.workspace.unchecked_signatures() == []
    assert bench.workspace.verify() == []
    other = bench.sign(bench.patch, "other")
    assert other.key != made.key
    assert ["does not hold" in p.what for p in bench.workspace.verify()] == [True]


def test_what_was_forged_whole_is_refused_wherever_it_is_loaded(
    bench: Bench, tmp_path: Path
) -> None:
    bench.say(TRUSTED)
    bench.sign(bench.patch)
    patched = f"{bench.base}+{bench.patch}"
    with models.load_model(bench.workspace, patched):
        pass
    forge(bench.folder)
    link = tmp_path / "link"
    link.symlink_to(bench.folder)
    for use in (
        lambda: models.load_model(bench.workspace, patched),
        lambda: attached(tiny_loaded(), bench.folder).__enter__(),
        lambda: attached(tiny_loaded(), link).__enter__(),
        lambda: exporting.export(bench.workspace, bench.patch, tmp_path / "out"),
    ):
        with pytest.raises(IntegrityError, match=r"signature of .* does not hold") as caught:
            use()
        assert TENSORS in caught.value.why
    assert any("does not hold" in problem.what for problem in bench.workspace.verify())
    # Without its signature, or a key to check it with, the forged folder is whole in itself.
    verify_patch(bench.folder, Trust())
    with pytest.raises(IntegrityError, match="is not signed"):
        bench.sign(bench.patch)


def test_a_folder_that_is_a_link_answers_to_the_workspace(bench: Bench, tmp_path: Path) -> None:
    bench.say(REQUIRED)
    bench.folder.rename(tmp_path / "away")
    bench.folder.symlink_to(tmp_path / "away")
    assert trust_at(bench.folder).required
    with pytest.raises(IntegrityError, match="refused"):
        verify_patch(bench.folder)
    assert trust_at(tmp_path / "away") == Trust()


@pytest.mark.parametrize("words", [("tune", "--guard-mode", "always"), ("audit-data",)])
def test_a_guard_without_a_signature_is_refused(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    rows = [{"prompt": f"def f_{n}(a):\n", "completion": f"    go({n}, a)\n"} for n in range(6)]
    data = bench.workspace.root / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = (str(data),) if words[0] == "audit-data" else (bench.base, "--data", str(data))
    call = (words[0], *given, *words[1:], "--guard", bench.guard)
    bench.say(REQUIRED)
    code, told = asked(monkeypatch, capsys, bench, *call)
    assert (code, told["error"]["what"]) == (4, f"{bench.guard} is refused")
    assert f"codetemper patch sign {bench.guard}" in told["error"]["mend"]
    bench.sign(bench.guard, "other")
    code, told = asked(monkeypatch, capsys, bench, *call)
    assert (code, told["error"]["what"]) == (4, f"the signature of {bench.guard} does not hold")
    bench.sign(bench.guard)
    # The signature is right. To screen, this guard lacks a threshold, which cannot be known then.
    code, told = asked(monkeypatch, capsys, bench, *call, *SMALL[words[0]])
    assert code == {"tune": 0, "audit-data": 3}[words[0]], told


def test_what_the_command_line_says(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str) -> tuple[int, dict[str, Any]]:
        return asked(monkeypatch, capsys, bench, *words)

    key, other = (str(bench.workspace.root / name) for name in ("team.pub", "other.pub"))
    assert say("patch", "show", bench.patch)[1]["signature"]["state"] == "unsigned"
    assert say("patch", "verify", bench.patch, "--key", key)[0] == 4
    code, told = say("patch", "sign", bench.patch, "--key", key.replace(".pub", ".pem"))
    assert (code, told["signed"]) == (0, bench.patch)
    code, told = say("verify")
    assert (code, told["whole"], told["signatures_unchecked"]) == (0, True, [bench.patch])
    code, told = say("patch", "verify", bench.patch)
    assert (code, told["signature"]["why"]) == (0, "workspace.toml trusts no key")
    code, told = say("patch", "verify", bench.patch, "--key", key)
    assert (code, told["signature"]) == (0, {"state": "valid", "key": "team.pub", "why": ""})
    assert say("patch", "verify", bench.patch, "--key", other)[0] == 4
    bench.say(REQUIRED)
    code, told = say("verify")
    assert (code, [p["path"] for p in told["problems"]]) == (4, [f"patches/{bench.guard}"])
    bench.say('version = 1\nrequire_signature = ["team.pub"]\n')
    assert say("verify")[0] == 2
    bench.say(TRUSTED)
    (bench.folder / SIGNATURE).unlink()
    code, told = say("verify")
    assert (code, "signature" in told["problems"][0]["what"]) == (4, True)


def test_without_the_extra_verify_cannot_know_unless_something_is_broken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.say(TRUSTED)
    bench.sign(bench.patch)
    monkeypatch.setitem(sys.modules, "model_signing.verifying", None)
    for check in (bench.workspace.verify, lambda: verify_patch(bench.folder)):
        with pytest.raises(MissingExtraError, match="extra 'sign'"):
            check()
    (bench.workspace.patches / bench.guard / TENSORS).write_bytes(b"")
    assert {problem.path for problem in bench.workspace.verify()} == {f"patches/{bench.guard}"}


def test_a_copy_keeps_its_signature_and_what_is_made_of_it_has_none(
    bench: Bench, tmp_path: Path
) -> None:
    bench.say(REQUIRED)
    bench.sign(bench.patch)
    exporting.export(bench.workspace, bench.patch, tmp_path / "out")
    key = Trust((bench.workspace.root / "team.pub",), required=True)
    assert verify_patch(tmp_path / "out", key).id == bench.patch
    made = load_manifest(tmp_path / "out")
    given = made.model_dump(include={"verb", "technique", "base", "base_digest", "seed", "config"})
    save_patch(tmp_path / "out", **given | {"config": {"seed": 2}}, seconds=0.0)
    assert signature_of(tmp_path / "out", key).state == "unsigned"
    with pytest.raises(IntegrityError, match="refused"):
        verify_patch(tmp_path / "out", key)


def test_verbs_that_use_what_they_make_say_so_before_they_begin(bench: Bench) -> None:
    bench.say(REQUIRED)
    for call in (
        lambda: refining.refine(bench.workspace, bench.base, ["world-shell"]),
        lambda: study.study_tuning(bench.workspace, bench.base, "none", study.StudyConfig()),
    ):
        with pytest.raises(UsageError, match="cannot run in this workspace") as caught:
            call()
        assert "codetemper patch sign" in caught.value.mend


def forked(work: Callable[[], object]) -> Any:
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    return child


@pytest.mark.parametrize("at", ["sync_tree", "sync_folder"])
def test_a_killed_call_leaves_a_whole_workspace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    bench.say(TRUSTED)
    before = {path.name for path in bench.folder.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(signing, at, lambda _: os.kill(os.getpid(), signal.SIGKILL))
        child = forked(lambda: bench.sign(bench.patch))
        child.join(300)
    assert child.exitcode == -signal.SIGKILL
    moved = {SIGNATURE} if at == "sync_folder" else set()
    assert {path.name for path in bench.folder.iterdir()} == before | moved
    assert bench.workspace.verify() == []
    bench.sign(bench.patch)
    assert bench.workspace.verify() == []


def test_two_processes_signing_agree_with_the_ledger(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.say('version = 1\ntrusted_keys = ["team.pub", "other.pub"]\n')
    moved = multiprocessing.get_context("fork").Event()

    def slowly(folder: Path) -> None:
        moved.set()
        time.sleep(1.5)

    with monkeypatch.context() as patched:
        # The first one dawdles between signature and ledger; the second comes in between.
        patched.setattr(signing, "sync_folder", slowly)
        first = forked(lambda: bench.sign(bench.patch))
    assert moved.wait(300)
    second = forked(lambda: bench.sign(bench.patch, "other"))
    for child in (first, second):
        child.join(300)
        assert child.exitcode == 0
    assert [entry.verb for entry in bench.workspace.ledger.entries()[-2:]] == ["sign", "sign"]
    assert bench.workspace.verify() == []
    found = signature_of(bench.folder, bench.workspace.trust())
    assert found.key == bench.workspace.root / "other.pub"
