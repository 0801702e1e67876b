# SPDX-License-Identifier: Apache-2.0
"""``tune`` on a tiny random model: it learns the bodies, and nothing of the base changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from safetensors.torch import load_file

from codetemper.core.errors import UsageError
from codetemper.core.records import Event, FixPair
from codetemper.data.examples import Layout, encode
from codetemper.harden.tune import CARD, Config, TuneResult, tune
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from tests.tiny import tiny_model, tiny_tokenizer

FAST = Config(rank=4, alpha=8, epochs=6, batch_size=4, learning_rate=1e-2, max_length=64)


def pair(number: int, body: str | None = None) -> FixPair:
    prompt = f"def add_{number}(a, b):\n"
    return FixPair(
        id=str(number),
        language="python",
        before=prompt,
        after=prompt + (f"    return a + b + {number}\n" if body is None else body),
        body_start=len(prompt),
        name=f"add_{number}",
        path="a.py",
        repository="project",
        commit="0" * 40,
        date="2024-01-01T00:00:00+00:00",
    )


PAIRS = tuple(pair(number) for number in range(8))


def loaded() -> LoadedModel:
    module = tiny_model("llama")
    return LoadedModel(
        "hf:tiny", module, tiny_tokenizer(), weights_digest(module), torch.device("cpu")
    )


def run(model: LoadedModel, folder: Path, config: Config = FAST) -> TuneResult:
    folder.mkdir()
    return tune(model, PAIRS, config, folder)


@dataclass
class Tuned:
    """One run that several tests look at, with what the base was like before it."""

    model: LoadedModel
    folder: Path
    loss: float
    names: list[str]
    config: dict[str, Any]
    result: TuneResult
    events: list[Event]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    model, folder = loaded(), tmp_path_factory.mktemp("tuned") / "patch"
    folder.mkdir()
    before = loss(model.module)
    names = [name for name, _ in model.module.named_modules()]
    config = model.module.config.to_dict()
    events: list[Event] = []
    result = tune(model, PAIRS, FAST, folder, on_event=events.append)
    return Tuned(model, folder, before, names, config, result, events)


@torch.no_grad()
def loss(module: torch.nn.Module) -> float:
    """Mean loss per learnt token, in nats."""
    losses = []
    for example in encode(PAIRS, tiny_tokenizer(), Layout(max_length=64)).items:
        assert example.fixed is not None
        ids = torch.tensor([example.fixed.ids])
        labels = torch.where(torch.tensor([example.fixed.roles]) > 0, ids, -100)
        losses.append(module(input_ids=ids, labels=labels).loss.item())
    return sum(losses) / len(losses)


def test_it_learns_and_plain_peft_loads_what_it_wrote(tuned: Tuned) -> None:
    result, folder = tuned.result, tuned.folder
    assert result.losses[-1][1] < result.losses[0][1]
    assert (result.steps, result.examples) == (12, 8)
    assert {p.name for p in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["patch"]
    assert str(folder.parent) not in (folder / "adapter_config.json").read_text()
    stranger = PeftModel.from_pretrained(tiny_model("llama"), str(folder))
    assert loss(stranger) < tuned.loss - 1.0
    adapter = sum(p.numel() for n, p in stranger.named_parameters() if "lora_" in n)
    assert result.parameters_changed == adapter


def test_the_base_is_what_it_was(tuned: Tuned) -> None:
    module = tuned.model.module
    assert weights_digest(module) == tuned.model.digest
    assert [name for name, _ in module.named_modules()] == tuned.names
    assert module.config.to_dict() == tuned.config
    assert "forward" not in vars(module)
    assert not module.training
    assert loss(module) == tuned.loss


def test_progress_goes_to_the_callback(tuned: Tuned) -> None:
    assert [event.done for event in tuned.events] == list(range(1, 13))
    assert {event.total for event in tuned.events} == {12}
    assert tuned.events[-1].note.startswith("loss ")
    assert tuned.result.report()["losses"] == [list(entry) for entry in tuned.result.losses]


def test_the_same_seed_gives_the_same_bytes(
    tuned: Tuned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = loaded()
    torch.rand(3)
    state = torch.random.get_rng_state()
    run(model, tmp_path / "patch")
    assert torch.equal(torch.random.get_rng_state(), state)
    tensors = "adapter_model.safetensors"
    assert (tmp_path / "patch" / tensors).read_bytes() == (tuned.folder / tensors).read_bytes()
    assert capsys.readouterr().out == ""


def test_settings_are_followed(tuned: Tuned, tmp_path: Path) -> None:
    changes = {"target_modules": ("q_proj",), "seed": 1, "epochs": 1.0}
    result = run(loaded(), tmp_path / "patch", FAST.model_copy(update=changes))
    assert 0 < result.parameters_changed < tuned.result.parameters_changed
    assert result.steps == 2
    names = load_file(tmp_path / "patch" / "adapter_model.safetensors")
    key = next(name for name in names if "lora_A" in name)
    assert all("q_proj" in name for name in names)
    other = load_file(tuned.folder / "adapter_model.safetensors")
    assert not torch.allclose(names[key], other[key], atol=0.05)


def test_nothing_to_learn_is_refused(tuned: Tuned, tmp_path: Path) -> None:
    for pairs in ([], [pair(0, "")]):
        with pytest.raises(UsageError, match="nothing to tune on"):
            tune(tuned.model, pairs, FAST, tmp_path)


def test_layers_the_model_lacks_are_refused(tuned: Tuned, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="c_attn"):
        run(tuned.model, tmp_path / "p", FAST.model_copy(update={"target_modules": ("c_attn",)}))


def test_a_diverged_run_is_refused_and_leaves_the_base_alone(tmp_path: Path) -> None:
    model = loaded()
    wild = Config(rank=4, epochs=6, learning_rate=1e30, scheduler="constant_with_warmup")
    with pytest.raises(UsageError, match="no longer a number"):
        run(model, tmp_path / "patch", wild)
    assert list((tmp_path / "patch").iterdir()) == []
    assert weights_digest(model.module) == model.digest


def test_the_card_and_the_settings() -> None:
    assert (CARD.name, CARD.patch, CARD.paper) == ("tune", "adapter", "2408.09078")
    assert all(field.description for field in Config.model_fields.values())
    with pytest.raises(ValidationError):
        Config.model_validate({"ranks": 3})
