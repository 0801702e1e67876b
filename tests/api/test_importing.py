# SPDX-License-Identifier: Apache-2.0
"""``patch import``: an adapter that peft wrote becomes a patch, or nothing stays behind."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from codetemper.api import account, evaluation, exporting, importing, reporting, signing
from codetemper.api.auditing_parts import Asked, inspected, read_material, weights_of
from codetemper.api.models import load_model
from codetemper.cli.app import main
from codetemper.core.digests import digest_file
from codetemper.core.errors import CodetemperError, IntegrityError, UsageError
from codetemper.core.records import Sampling
from codetemper.core.workspace import Workspace
from codetemper.data.labelled import Labelled, write_labelled
from codetemper.models.patch import verify_patch
from tests.keys import key_pair

TOKENS = torch.tensor([[5, 9, 11, 40, 7]])
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Bench:
    """A workspace, a tiny decoder that is open, and where adapters for it go."""

    workspace: Workspace
    base: str
    handle: Any
    root: Path

    def adapter(self, seed: int = 0, **changes: Any) -> Path:
        """Have peft itself write an adapter for the decoder, as anyone would."""
        torch.manual_seed(seed)
        plain = AutoModelForCausalLM.from_pretrained(self.base.removeprefix("hf:"))
        form = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]} | changes
        model = get_peft_model(
            plain, LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **form)
        )
        model.save_pretrained(self.root / f"adapter-{seed}")
        return self.root / f"adapter-{seed}"

    def made(self, folder: Path) -> Any:
        return importing.import_patch(self.workspace, self.base, folder, loaded=self.handle)


@pytest.fixture
def bench(tmp_path: Path, tiny_model_dir: Path, opened_handle: Any) -> Bench:
    return Bench(Workspace.create(tmp_path), f"hf:{tiny_model_dir}", opened_handle, tmp_path)


def logits(module: Any) -> torch.Tensor:
    with torch.no_grad():
        return module(input_ids=TOKENS).logits


def in_peft(bench: Bench, folder: Path) -> torch.Tensor:
    plain = AutoModelForCausalLM.from_pretrained(bench.base.removeprefix("hf:")).eval()
    return logits(PeftModel.from_pretrained(plain, folder).eval())


def test_an_adapter_comes_in_and_leaves_as_it_was(bench: Bench) -> None:
    folder = bench.adapter()
    made = bench.made(folder)
    assert verify_patch(bench.workspace.patches / made.id) == made
    assert made.files == {name: digest_file(folder / name) for name in (CONFIG, WEIGHTS)}
    assert (made.verb, made.kind, made.purpose) == ("import", "adapter", "inference")
    assert made.config["base_named"] == bench.base.removeprefix("hf:")
    assert made.report == {"warnings": [], "left_out": ["README.md"]}
    with load_model(bench.workspace, f"{bench.base}+{made.id}") as handle:
        assert torch.allclose(logits(handle.loaded.module), in_peft(bench, folder), atol=1e-5)
    out = bench.root / "out"
    exporting.export(bench.workspace, made.id, out, form="peft")
    assert (out / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    assert torch.equal(in_peft(bench, out), in_peft(bench, folder))
    with pytest.raises(UsageError, match="as a whole model"):
        exporting.export(bench.workspace, made.id, bench.root / "whole", form="full")


def test_twice_is_one_patch_and_a_revert_stays(bench: Bench) -> None:
    folder = bench.adapter()
    first = bench.made(folder)
    entry = bench.workspace.ledger.entries()[-1]
    assert (entry.verb, entry.inputs["model"]) == ("import", bench.base)
    assert entry.inputs[WEIGHTS] == digest_file(folder / WEIGHTS)
    account.revert(bench.workspace, first.id)
    folder.rename(bench.root / "elsewhere")
    assert bench.made(bench.root / "elsewhere").id == first.id
    (state,) = account.patches(bench.workspace)
    assert (state.manifest, state.state) == (first, "reverted")
    assert bench.made(bench.adapter(seed=1)).id != first.id
    assert bench.workspace.verify() == []


def test_one_adapter_goes_on_another(bench: Bench) -> None:
    under = bench.made(bench.adapter())
    patched = f"{bench.base}+{under.id}"
    made = importing.import_patch(
        bench.workspace, patched[:-4], bench.adapter(seed=1), loaded=bench.handle
    )
    assert made.base == patched
    with load_model(bench.workspace, f"{patched}+{made.id}") as handle:
        assert torch.isfinite(logits(handle.loaded.module)).all()
    with pytest.raises(UsageError, match="cannot be stacked"):
        importing.import_patch(
            bench.workspace,
            patched,
            bench.adapter(seed=2, modules_to_save=["lm_head"]),
            loaded=bench.handle,
        )


def _pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")


def _wider(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    wide = {n: torch.cat([t, t], 1) if "lora_A" in n else t for n, t in tensors.items()}
    save_file(wide, folder / WEIGHTS)


def _cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9])


@pytest.mark.parametrize(
    ("damage", "kind"), [(_pickled, UsageError), (_wider, UsageError), (_cut, IntegrityError)]
)
def test_a_refusal_leaves_nothing(bench: Bench, damage: Any, kind: type[CodetemperError]) -> None:
    folder = bench.adapter()
    damage(folder)
    before = logits(bench.handle.loaded.module)
    with pytest.raises(kind):
        bench.made(folder)
    assert list(bench.workspace.patches.iterdir()) == []
    assert list((bench.workspace.home / "tmp").iterdir()) == []
    assert bench.workspace.ledger.entries() == []
    assert torch.equal(logits(bench.handle.loaded.module), before)


def test_where_signatures_are_required_it_waits_for_one(bench: Bench) -> None:
    key_pair(bench.root, "team")
    settings = 'version = 1\ntrusted_keys = ["team.pub"]\nrequire_signatures = true\n'
    (bench.workspace.home / "workspace.toml").write_text(settings)
    made = bench.made(bench.adapter())
    with pytest.raises(IntegrityError, match=f"{made.id} is refused") as refused:
        load_model(bench.workspace, f"{bench.base}+{made.id}")
    assert f"codetemper patch sign {made.id}" in refused.value.mend
    signing.sign(bench.workspace, made.id, bench.root / "team.pem")
    load_model(bench.workspace, f"{bench.base}+{made.id}").close()


def test_its_weights_are_compared_with_those_of_others(bench: Bench) -> None:
    ids = [bench.made(bench.adapter(seed=seed)).id for seed in range(3)]
    model, *zoo = (f"{bench.base}+{id}" for id in ids)
    material = read_material(bench.workspace, Asked(model=model, siblings=tuple(zoo)))
    assert inspected(bench.workspace, material) == ()
    place = {"device": "cpu", "dtype": "auto"}
    found = weights_of(bench.workspace, material, bench.handle, None, **place)
    assert found is not None
    assert (found.answer, "(given: 2)" in found.missing[0]) == ("inconclusive", True)
    assert {"q_proj", "v_proj"} <= {row.name for row in found.rows}


def test_what_the_command_line_says(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["codetemper", *words, "-w", str(bench.root)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), capsys.readouterr().out

    folder = bench.adapter()
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"base_model_name_or_path": "org/[red]name"}))
    words = ("patch", "import", bench.base, str(folder))
    code, text = say(*words, "--json")
    told = json.loads(text)
    assert (code, told["config"]["base_named"]) == (0, "org/[red]name")
    assert "trained on org/[red]name" in told["report"]["warnings"][0]
    code, text = say(*words)
    assert (code, "trained on org/[red]name, not on" in text) == (0, True)
    assert "left where they are: README.md" in text
    model = f"{bench.base}+{told['patch']}"
    data = bench.root / "data.jsonl"
    write_labelled(data, [
        Labelled(f"s{n}", f"def f{n}(a):\n    return a + {n}\n", None, 12, "python")
        for n in range(12)
    ])  # fmt: skip
    code, text = say("audit", model, "--data", str(data), "--json")
    assert (code, json.loads(text)["model"]) == (3, model), text
    (folder / "adapter_model.bin").write_bytes(b"")
    code, text = say(*words, "--json")
    assert (code, "is not opened" in json.loads(text)["error"]["what"]) == (2, True)


def test_it_is_measured_and_reported_like_any_patch(bench: Bench) -> None:
    made = bench.made(bench.adapter())
    changed = f"{bench.base}+{made.id}"
    for model in (bench.base, changed):
        evaluation.evaluate(
            bench.workspace, model, "world-shell", Sampling(n=1, max_new_tokens=4), limit=2
        )
    page = reporting.report(bench.workspace, bench.base, changed).path.read_text()
    assert made.id in page
