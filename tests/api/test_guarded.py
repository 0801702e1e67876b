# SPDX-License-Identifier: Apache-2.0
"""Verbs and guards: data are flagged and tuned on under a guard, and guards stay where they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from codetemper.api import account, exporting, models, screening_parts, treatments, tuning
from codetemper.cli.app import app
from codetemper.core.accounts import PatchManifest
from codetemper.core.digests import digest_folder
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import FixPair, ignore_events
from codetemper.core.workspace import Workspace
from codetemper.data.samples import Canaries, write_canaries
from codetemper.harden.screening import Scored
from codetemper.harden.tune import Config
from codetemper.models.rows import Change, write_rows
from tests.harden.guards import BAD, CLEAN, make_guard, sample
from tests.models.adapters import as_patch

SETTINGS: dict[str, Any] = {
    "rank": 4, "epochs": 1, "learning_rate": 0.01, "max_length": 64, "batch_size": 8,
    "gradient_checkpointing": True, "kl": 0.1,
}  # fmt: skip


@dataclass(frozen=True)
class Home:
    """A workspace with a guard, a guard without threshold, and a file of samples."""

    workspace: Workspace
    base: str
    guard: PatchManifest
    blunt: PatchManifest
    data: str


def settled(workspace: Workspace, base: str, **changes: Any) -> PatchManifest:
    """Make a guard in a workspace."""
    with models.load_model(workspace, base) as handle, workspace.staged("patches") as folder:
        write_canaries(folder, Canaries(bad=BAD[8:], retain=CLEAN[8:]))
        manifest = make_guard(handle.loaded, folder, BAD[:8], **changes)
        home = workspace.settle(folder, "patches", manifest.id)
    outputs = {f"patch:{manifest.id}": digest_folder(home)}
    workspace.ledger.append("guard", outputs=outputs)
    return manifest


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Home:
    root = tmp_path_factory.mktemp("guarded")
    workspace, base = Workspace.create(root), f"hf:{tiny_model_dir}"
    rows = [
        {"id": s.id, "prompt": s.after[: s.body_start], "completion": s.after[s.body_start :]}
        for s in (*BAD[:6], *CLEAN[:11])
    ]
    (root / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # 16 of 17 are learnt, so that processes divide them. The threshold lies between what the
    # guard makes likelier and what it does not.
    guard = settled(workspace, base, steps=40, report={"threshold": 0.3, "fpr": 0.01})
    blunt = settled(workspace, base, steps=3)
    return Home(workspace, base, guard, blunt, str(root / "data.jsonl"))


@pytest.fixture(scope="module")
def tuned(home: Home) -> PatchManifest:
    return treatments.tune(
        home.workspace, home.base, home.data, Config(**SETTINGS), guards=[home.guard.id[:9]]
    )


def test_flags_guards_and_meters_are_in_the_manifest(home: Home, tuned: PatchManifest) -> None:
    assert tuned.base == home.base
    assert tuned.purpose == "inference"
    assert tuned.config["guards"] == [home.guard.id]
    assert tuned.config["guard_mode"] == "selective"
    guarded = tuned.report["guarded"]
    assert (guarded["flagged"], guarded["held_out"]) == (6, 1)
    assert guarded["readings"][-1]["kl_drift"] is not None
    (entry,) = [e for e in home.workspace.ledger.entries() if f"patch:{tuned.id}" in e.outputs]
    assert entry.inputs["guard:0"] == home.guard.id
    assert home.workspace.verify() == []
    # The patch is used without the guard, and the guard never.
    with models.load_model(home.workspace, f"{home.base}+{tuned.id}"):
        pass
    with pytest.raises(UsageError, match="refused for inference"):
        models.load_model(home.workspace, f"{home.base}+{home.guard.id}")


def test_without_guards_a_patch_says_nothing_of_them(home: Home) -> None:
    manifest = treatments.tune(home.workspace, home.base, home.data, Config(**SETTINGS), limit=8)
    assert not {"guards", "guard_mode", "meter_every", "leak_budget"} & set(manifest.config)
    assert manifest.report["guarded"] is None


def test_flags_need_a_threshold_and_looking_does_not(home: Home) -> None:
    config = Config(**SETTINGS)
    with pytest.raises(CannotKnowError, match="tells no threshold") as caught:
        treatments.tune(home.workspace, home.base, home.data, config, guards=[home.blunt.id])
    assert "--guard-mode always" in caught.value.mend
    looked = config.model_copy(update={"guard_mode": "audit"})
    manifest = treatments.tune(home.workspace, home.base, home.data, looked, guards=[home.blunt.id])
    assert manifest.report["guarded"]["flagged"] is None


def test_a_guard_is_on_for_a_share_of_what_it_makes_less_likely(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Against:
        def score(self, block: Sequence[FixPair]) -> list[Scored]:
            return [Scored(one.id, 1, 1.0, (2.0,), (-0.7,)) for one in block]

    @contextmanager
    def scored_blocks(*_: Any) -> Iterator[Against]:
        yield Against()

    monkeypatch.setattr(screening_parts, "scored_blocks", scored_blocks)
    pairs = [sample(f"s{n}", "def f(x):\n", f"    return x + {n}\n") for n in range(100)]
    known = tuning.guards_named(home.workspace, [home.guard.id])

    def on(*, doubted: bool = True, **changes: Any) -> frozenset[str] | None:
        config = Config(**SETTINGS, **changes)
        return tuning.suspects(
            home.workspace,
            None,
            known,
            [],
            pairs,
            config,
            ignore_events,
            doubted=doubted,  # type: ignore[arg-type]
        )

    half = on()
    assert half is not None
    assert 30 < len(half) < 70
    assert len(on(opposed_share=1.0) or ()) == 100
    assert on(opposed_share=0.0) == frozenset()
    assert on(seed=1) != half
    assert on(doubted=False) == frozenset(), "none of them is held to be bad"


def test_two_processes_learn_under_a_guard_what_one_learns(
    home: Home, tuned: PatchManifest
) -> None:
    options = [f"-o{key}={json.dumps(value)}" for key, value in SETTINGS.items()]
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2",
              "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no",
              "--main_process_port=0"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, *launch, "-m", "codetemper", "tune", home.base, "--data", home.data,
         *options, "-obatch_size=4", "--guard", home.guard.id, "-o", "leak_budget=9",
         "-w", str(home.workspace.root), "--json"],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    made = json.loads(done.stdout)
    one, two = (
        load_file(home.workspace.patches / id / "adapter_model.safetensors")
        for id in (tuned.id, made["patch"])
    )
    assert all(torch.allclose(one[name], two[name], atol=2e-4) for name in one)
    found, expected = made["report"]["guarded"], tuned.report["guarded"]
    assert found["flagged"] == expected["flagged"]
    assert [g["digest"] for g in found["guards"]] == [g["digest"] for g in expected["guards"]]
    assert found["readings"][-1]["leak"] == pytest.approx(
        expected["readings"][-1]["leak"], abs=1e-3
    )


def test_what_holds_a_guard_is_not_exported(
    home: Home, tuned: PatchManifest, tmp_path: Path
) -> None:
    for id in (home.guard.id, home.blunt.id):
        with pytest.raises(UsageError, match="train-only"):
            exporting.export(home.workspace, id, tmp_path / "guard")
    tensors = load_file(home.workspace.patches / home.guard.id / "adapter_model.safetensors")
    with (
        models.load_model(home.workspace, home.base) as handle,
        home.workspace.staged("patches") as folder,
    ):
        weights = dict(handle.loaded.module.named_parameters())
        changes = []
        for key, inner in tensors.items():
            if "lora_A" in key:
                name = key.removeprefix("base_model.model.").replace("lora_A.", "")
                delta = tensors[key.replace("lora_A", "lora_B")] @ inner * 2.0
                changes.append(Change(name, weights[name].detach() + 0.7 * delta))
        write_rows(folder, changes, handle.loaded.module)
        as_patch(folder, handle.loaded)
        id = account.read_manifest(folder).id
        kept = home.workspace.settle(folder, "patches", id)
    home.workspace.ledger.append("tune", outputs={f"patch:{id}": digest_folder(kept)})
    with pytest.raises(UsageError, match="may not leave") as caught:
        exporting.export(home.workspace, id, tmp_path / "merged")
    assert f"holds 70% of {home.guard.id}" in caught.value.why
    assert not (tmp_path / "merged").exists()
    exporting.export(home.workspace, tuned.id, tmp_path / "tuned")
    assert (tmp_path / "tuned" / "adapter_config.json").is_file()


def test_the_command_line_says_what_guards_did(home: Home, tuned: PatchManifest) -> None:
    options = [f"-o{key}={json.dumps(value)}" for key, value in SETTINGS.items()]
    place = ["-w", str(home.workspace.root)]
    given = ["tune", home.base, home.data, *options, "--guard", home.guard.id, *place]
    plan = CliRunner().invoke(app, [*given, "--guard-mode", "always", "--dry-run", "--json"])
    assert json.loads(plan.stdout)["guards"] == [home.guard.id]
    assert json.loads(plan.stdout)["config"]["guard_mode"] == "always"
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert f"patch {tuned.id}" in done.stdout.replace("\n", "")
    assert "selective, 6 samples flagged" in done.stdout.replace("\n", " ")
    assert "leak " in done.stdout
    wrong = CliRunner().invoke(app, [*given, "--guard-mode", "sometimes"])
    assert isinstance(wrong.exception, UsageError)
