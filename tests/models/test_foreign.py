# SPDX-License-Identifier: Apache-2.0
"""PEFT folders from elsewhere: what is taken, what is refused before it is on any model."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from codetemper.core.errors import CodetemperError, IntegrityError, UsageError
from codetemper.models.attach import attached, refuse_misfit
from codetemper.models.expression import parse
from codetemper.models.foreign import ForeignAdapter, take_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from codetemper.models.projection import lora_factors
from tests.models.adapters import as_patch, lora, tiny_loaded
from tests.tiny import tiny_model

TOKENS = torch.tensor([[5, 9, 11, 40, 7]])
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def saved(folder: Path, form: PeftConfig, kind: str = "llama") -> tuple[Path, torch.Tensor]:
    """Have peft write an adapter, and compute with it."""
    torch.manual_seed(3)
    model = get_peft_model(tiny_model(kind), form).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        logits = model(input_ids=TOKENS).logits
    model.save_pretrained(folder)
    return folder, logits


def say(folder: Path, **settings: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | settings))


def taken(folder: Path) -> ForeignAdapter:
    target = folder.parent / "taken"
    target.mkdir()
    return take_adapter(folder, target)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return saved(tmp_path / "adapter", lora())[0]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {"use_rslora": True, "rank_pattern": {"layers.0.self_attn.q_proj": 2}}),
        ("llama", {"use_dora": True, "alpha_pattern": {"layers.1.*v_proj": 3}}),
        ("llama", {"modules_to_save": ["lm_head"], "task_type": None}),
        ("llama", {"target_modules": ["q_proj", "embed_tokens"]}),
        ("roberta", {"target_modules": ["query"], "task_type": None}),
    ],
)
def test_forms_of_lora_compute_what_peft_computes(
    tmp_path: Path, kind: str, changes: dict[str, Any]
) -> None:
    folder, logits = saved(tmp_path / "adapter", lora(**changes), kind)
    model = tiny_loaded(kind)
    (tmp_path / "taken").mkdir()
    assert take_adapter(folder, tmp_path / "taken").form == "LORA"
    refuse_misfit(model, tmp_path / "taken")
    with attached(model, as_patch(tmp_path / "taken", model)), torch.no_grad():
        assert torch.equal(model.module(input_ids=TOKENS).logits, logits)
    assert weights_digest(model.module) == model.digest


def test_a_dora_is_not_read_as_if_it_were_a_sum(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path / "adapter", lora(use_dora=True))
    with pytest.raises(UsageError, match="cannot be told"):
        lora_factors(folder)


@pytest.mark.parametrize("kind", ["t5", "roberta"])
def test_virtual_tokens_go_in_front_of_running_text_only(tmp_path: Path, kind: str) -> None:
    form = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    folder, _ = saved(tmp_path / "adapter", form)
    taken(folder)
    with pytest.raises(UsageError, match="cannot carry virtual tokens"):
        refuse_misfit(tiny_loaded(kind), tmp_path / "taken")


def test_virtual_tokens_of_another_width_do_not_fit(tmp_path: Path) -> None:
    form = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    taken(saved(tmp_path / "adapter", form)[0])
    with pytest.raises(UsageError, match="does not fit hf:tiny-llama"):
        refuse_misfit(tiny_loaded(hidden_size=64), tmp_path / "taken")


def test_two_files_are_taken_unchanged_and_what_lies_beside_them_is_not(adapter: Path) -> None:
    (adapter / "training_args.bin").write_bytes(b"\x80not opened")
    found = taken(adapter)
    copies = {path.name: path.read_bytes() for path in (adapter.parent / "taken").iterdir()}
    assert copies == {name: (adapter / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    assert found.left_out == ("README.md", "training_args.bin")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"megatron_config": {"a": 1}, "megatron_core": "os"}, "megatron_config"),
        ({"layer_replication": [[0, 2], [1, 3]]}, "layer_replication"),
        ({"setting_of_tomorrow": 0.5}, "setting_of_tomorrow"),
        ({"init_lora_weights": "pissa"}, "changes the weights of the base"),
        ({"bias": "all"}, "changes the weights of the base"),
        ({"peft_type": "OFT"}, "its type is OFT"),
        ({"target_modules": "q_proj", "layers_to_transform": [0]}, "peft does not take"),
        ({"auto_mapping": {"base_model_class": "A", "parent_library": "os"}}, "names os"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "evil.Model"),
        ({"trust_remote_code": True}, "run code"),
        ({"r": 10**9}, "no tensor is longer"),
        ({"rank_pattern": {"q_proj": 10**9}}, "no tensor is longer"),
    ],
)
def test_settings_that_are_not_known_to_be_safe_are_refused(
    adapter: Path, settings: dict[str, Any], why: str
) -> None:
    say(adapter, **settings)
    with pytest.raises(CodetemperError) as refused:
        taken(adapter)
    assert why in refused.value.why


def test_settings_of_other_versions_may_stand_there_empty(adapter: Path) -> None:
    say(adapter, enable_lora=None, merge_weights=False, megatron_core="megatron.core")
    assert taken(adapter).form == "LORA"


def _longer_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _pickled(path: Path) -> None:
    path.write_bytes(b"\x80\x04cposix\nsystem\n.")


@pytest.mark.parametrize("damage", [_longer_header, _cut, _pickled])
def test_broken_tensors_are_found(adapter: Path, damage: Callable[[Path], None]) -> None:
    damage(adapter / WEIGHTS)
    with pytest.raises(IntegrityError, match=WEIGHTS):
        taken(adapter)


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.PT"])
@pytest.mark.parametrize("alone", [True, False])
def test_weights_as_a_pickle_are_refused_unopened(adapter: Path, name: str, alone: bool) -> None:
    (adapter / name).write_bytes(b"")
    (adapter / name).chmod(0)
    if alone:
        (adapter / WEIGHTS).unlink()
    with pytest.raises(UsageError, match="is not opened") as refused:
        taken(adapter)
    assert "safetensors" in refused.value.mend


@pytest.mark.parametrize("missing", [CONFIG, WEIGHTS, ""])
def test_no_adapter(adapter: Path, missing: str) -> None:
    folder = adapter if missing else adapter / "nowhere"
    (adapter / (missing or "README.md")).unlink()
    (adapter.parent / "taken").mkdir()
    with pytest.raises(UsageError, match="is not a PEFT adapter"):
        take_adapter(folder, adapter.parent / "taken")


def test_weights_of_the_base_are_never_written(adapter: Path) -> None:
    name = "base_model.model.model.norm.weight"
    tensors = load_file(adapter / WEIGHTS)
    model = tiny_loaded()
    own = model.module.get_parameter("model.norm.weight").detach()
    for value, fits in ((own, True), (own + 1, False)):
        save_file(tensors | {name: value.clone()}, adapter / WEIGHTS)
        if fits:
            refuse_misfit(model, adapter)
            continue
        with pytest.raises(UsageError, match="does not fit hf:tiny-llama") as refused:
            refuse_misfit(model, adapter)
        assert "weight of the model itself" in refused.value.why


def lost(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(list(tensors.items())[1:])


def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("layers.2", "layers.7"): value for name, value in tensors.items()}


@pytest.mark.parametrize("change", [lost, renamed])
def test_other_names_do_not_fit(
    adapter: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    save_file(change(load_file(adapter / WEIGHTS)), adapter / WEIGHTS)
    with pytest.raises(UsageError, match="does not fit hf:tiny-llama"):
        refuse_misfit(tiny_loaded(), adapter)


@pytest.mark.parametrize(
    ("model", "fits"),
    [
        (lambda: tiny_loaded(), True),
        (lambda: tiny_loaded(hidden_size=64), False),
        (lambda: tiny_loaded(num_hidden_layers=2), False),
        (lambda: tiny_loaded(num_hidden_layers=4), False),
        (lambda: tiny_loaded("gpt2"), False),
    ],
)
def test_other_models_do_not_fit(
    adapter: Path, model: Callable[[], LoadedModel], fits: bool
) -> None:
    held = model()
    if fits:
        refuse_misfit(held, adapter)
    else:
        with pytest.raises(UsageError, match=f"does not fit {held.expression}"):
            refuse_misfit(held, adapter)
    assert weights_digest(held.module) == held.digest


@pytest.mark.parametrize(
    ("base", "revision", "model", "doubted"),
    [
        ("org/name", None, "hf:org/name", False),
        ("org/name", "main", "hf:org/name", False),
        ("seedling", None, "seedling+tune-1", False),
        ("org/name", "9e3c", "hf:org/name@9e3c", False),
        ("org/name", "9e3c", "hf:org/name", True),
        ("other/name", None, "hf:org/name", True),
        (None, None, "hf:org/name", True),
    ],
)
def test_what_it_says_of_its_base_is_compared(
    base: str | None, revision: str | None, model: str, doubted: bool
) -> None:
    assert bool(ForeignAdapter("LORA", base, revision, ()).doubts(parse(model))) == doubted
