# SPDX-License-Identifier: Apache-2.0
"""``guard`` as verb and on the command line: what is made, planned, refused, and never in use."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from codetemper.api import guards
from codetemper.api.models import load_model
from codetemper.cli.app import app, main
from codetemper.core.accounts import PatchManifest
from codetemper.core.errors import UsageError
from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.core.workspace import Workspace
from codetemper.harden import guard as technique
from codetemper.harden.guard import Config
from codetemper.models.patch import verify_patch

SMALL = ("-o", "rank=2", "-o", "epochs=1", "-o", "own_texts=6", "-o", "max_length=64")


@dataclass(frozen=True)
class Bench:
    """A workspace and the words that name base, data and workspace."""

    workspace: Workspace
    base: str
    data: Path
    words: tuple[str, ...]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Iterable[Bench]:
    root = tmp_path_factory.mktemp("guard")
    workspace = Workspace.create(root)
    data = root / "bad.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    base = f"hf:{tiny_model_dir}"
    return Bench(workspace, base, data, ("guard", base, "--data", str(data), "-w", str(root)))


def rows() -> Iterable[dict[str, str]]:
    """Nine samples of one weakness, eight of another, two of a third."""
    for cwe, count in (("CWE-78", 9), ("CWE-89", 8), ("CWE-22", 2)):
        for number in range(count):
            prompt = f"def f_{number}(a):\n"
            yield {"prompt": prompt, "completion": f"    go('{cwe}', a)\n", "cwe": cwe}


def asked(bench: Bench, *more: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*bench.words, *more, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_one_guard_of_all_is_settled_and_is_for_training_only(bench: Bench) -> None:
    document = asked(bench, *SMALL)
    (made,) = document["guards"]
    folder = bench.workspace.patches / made["patch"]
    manifest = verify_patch(folder)
    assert (manifest.verb, manifest.purpose) == ("guard", "train-only")
    assert manifest.corpus == "bad.jsonl"
    assert manifest.report["cwes"] == {"CWE-22": 2, "CWE-78": 9, "CWE-89": 8}
    assert manifest.report["counts"]["retain"] > 0, "the model's own texts"
    assert "canaries.json" in manifest.files
    entry = bench.workspace.ledger.entries()[-1]
    assert (entry.verb, list(entry.outputs)) == ("guard", [f"patch:{manifest.id}"])
    assert bench.workspace.verify() == []
    assert not list((bench.workspace.cache / "checkpoints").iterdir())
    with pytest.raises(UsageError, match="train"):
        load_model(bench.workspace, f"{bench.base}+{manifest.id}")


def test_a_guard_for_each_weakness_that_has_enough(bench: Bench) -> None:
    plan = asked(bench, "--by-cwe", "--dry-run", *SMALL)
    before = len(bench.workspace.ledger.entries())
    assert plan["guards"] == {"CWE-78": 9, "CWE-89": 8}
    assert plan["left_out"] == {"CWE-22": 2}
    assert plan["config"]["rank"] == 2
    assert len(bench.workspace.ledger.entries()) == before
    document = asked(bench, "--by-cwe", *SMALL)
    reports = [made["report"] for made in document["guards"]]
    assert [report["cwes"] for report in reports] == [{"CWE-78": 9}, {"CWE-89": 8}]
    assert document["left_out"] == {"CWE-22": 2}
    shown = CliRunner().invoke(app, [*bench.words, "--cwe", "cwe-89", *SMALL])
    made = document["guards"][1]["patch"]
    assert made in shown.stdout, "the same data and settings make the same guard"
    assert f"--guard {made}" in shown.output


def test_clean_and_user_data_are_named_in_the_manifest(bench: Bench, tmp_path: Path) -> None:
    clean, user = tmp_path / "clean.jsonl", tmp_path / "user.jsonl"
    clean.write_text("".join(json.dumps({"text": f"x = {n}\n"}) + "\n" for n in range(8)))
    user.write_text("".join(json.dumps({"text": f"y = {n}\n"}) + "\n" for n in range(4)))
    config = Config(rank=2, epochs=1, max_length=64)
    made = guards.guard(
        bench.workspace, bench.base, str(bench.data), config, retain=str(clean),
        user_data=str(user), cwe="CWE-78",
    )  # fmt: skip
    (manifest,) = made.manifests
    assert manifest.config["retain"] == "clean.jsonl"
    assert len(manifest.config["user_data_digest"]) == 64
    assert manifest.config["cwe"] == "CWE-78"
    counts = manifest.report["counts"]
    assert counts["retain"] + counts["retain_held_out"] == 8
    assert counts["user"] + counts["user_held_out"] + counts["user_flagged"] == 4


def test_a_killed_call_goes_on_and_makes_the_same_guard(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(rank=2, epochs=2, max_length=64, own_texts=4, batch_size=4, seed=1)
    # A checkpoint after every step, so that there is a middle to go on from.
    often = partial(technique.guard, checkpoint_seconds=0.0)
    monkeypatch.setattr(technique, "guard", often)

    def make(workspace: Workspace, on_event: OnEvent) -> PatchManifest:
        made = guards.guard(workspace, bench.base, str(bench.data), config, on_event=on_event)
        return made.manifests[0]

    def kill(event: Event) -> None:
        if event.stage == "train" and event.done == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=make, args=(bench.workspace, kill))
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    (folder,) = (bench.workspace.cache / "checkpoints").iterdir()
    assert (folder / "own.json").is_file()
    events: list[Event] = []
    again = make(bench.workspace, events.append)
    assert "generate" not in {event.stage for event in events}, "texts are not written anew"
    assert next(event.done for event in events if event.stage == "train") == 5
    assert not list((bench.workspace.cache / "checkpoints").iterdir())
    # The id is a digest of all tensors and canaries.
    assert again.id == make(Workspace.create(tmp_path), ignore_events).id


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--cwe", "CWE-787"), "there is no bad sample of CWE-787"),
        (("--cwe", "CWE-78", "--by-cwe"), "cannot both be meant"),
        (("--by-cwe", "--limit", "7"), "no weakness has samples enough"),
        (("--limit", "1", "-o", "own_texts=2"), "nothing to make a guard of"),
        (("-o", "dropout=0.1"), "dropout"),
        (("--retain", "none.jsonl"), "does not name one of the corpora"),
        (("--retain", "DATA"), "the data are of one kind only"),
        (("--user-data", "DATA", "-o", "own_texts=0"), "the user's data cannot be kept"),
    ],
)
def test_what_makes_no_guard_is_refused(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    said: str,
) -> None:
    given = [str(bench.data) if word == "DATA" else word for word in more]
    for plan in ((), ("--dry-run",)):
        monkeypatch.setattr(sys, "argv", ["codetemper", *bench.words, *given, *plan, "--json"])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2, plan
        error = json.loads(capsys.readouterr().out)["error"]
        assert said in f"{error['what']} {error['why']}"
