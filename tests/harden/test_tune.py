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
from codetemper.core.records import Event
from codetemper.data.examples import Layout, encode
from codetemper.data.mixing import General
from codetemper.harden.tune import CARD, LIKE_THE_STUDY, Config, TuneResult, tune
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from tests.harden.material import FAST, PAIRS, loaded, pair, run
from tests.tiny import tiny_model, tiny_tokenizer


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
    assert loss(stranger) < tuned.loss - 0.5
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


def test_other_granularities_and_splits_are_left_out(tuned: Tuned, tmp_path: Path) -> None:
    block = FAST.model_copy(update={"granularity": "block"})
    with pytest.raises(UsageError, match="by block none"):
        tune(tuned.model, PAIRS, block, tmp_path)
    held = [pair(number, split="validation") for number in range(3)]
    (tmp_path / "patch").mkdir()
    short = FAST.model_copy(update={"epochs": 1.0})
    assert tune(tuned.model, [*PAIRS, *held], short, tmp_path / "patch").examples == 8


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


@pytest.mark.parametrize("method", ["ia3", "prompt", "prefix", "full"])
def test_every_method_learns_with_every_term_and_leaves_the_base(
    method: str, tmp_path: Path
) -> None:
    model = loaded()
    rate = 1e-3 if method == "full" else 3e-2
    terms = {"changed_weight": 2.0, "unlikelihood": 0.5, "kl": 0.1}
    changes = {"method": method, "learning_rate": rate, "virtual_tokens": 4, "epochs": 4.0}
    result = run(model, tmp_path / "patch", FAST.model_copy(update=changes | terms))
    assert result.losses[-1][1] < result.losses[0][1]
    assert result.packed == (method in ("ia3", "full"))
    assert weights_digest(model.module) == model.digest
    assert list((tmp_path / "patch").iterdir())


@pytest.mark.parametrize(("term", "much"), [("unlikelihood", 100.0), ("contrast", 2.0)])
def test_what_the_fix_replaced_gets_less_likely(term: str, much: float, tmp_path: Path) -> None:
    """After as many steps of plain tuning the vulnerable token is likelier than with the term."""
    chance = {}
    for weight in (0.0, much):
        folder = tmp_path / str(weight)
        changes = {"unlikelihood": 0.0, "contrast": 0.0, "epochs": 2.0, term: weight}
        run(loaded(), folder, FAST.model_copy(update=changes))
        module = PeftModel.from_pretrained(tiny_model("llama"), str(folder))
        total = 0.0
        for example in encode(PAIRS, tiny_tokenizer(), Layout(max_length=64)).items:
            assert example.vulnerable is not None
            ids, last = example.vulnerable.ids, len(example.vulnerable.ids) - 1
            with torch.no_grad():
                scores = module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            total += scores[last - 1, ids[last]].exp().item()
        chance[weight] = total
    assert chance[much] < 0.8 * chance[0.0]


def test_general_data_is_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "patch").mkdir()
    general = [General("", f"text {number}") for number in range(20)]
    config = FAST.model_copy(update={"mix_share": 0.5, "epochs": 1.0})
    result = tune(loaded(), PAIRS, config, tmp_path / "patch", general=general)
    assert (result.examples, result.mixed, result.steps) == (8, 8, 4)


def test_like_the_study_trains_what_it_trained(tmp_path: Path) -> None:
    study = Config.model_validate(LIKE_THE_STUDY)
    assert (study.rank, study.alpha, study.dropout, study.epochs) == (8, 16, 0.05, 5.0)
    held = [pair(number, split="validation") for number in range(2)]
    (tmp_path / "llama").mkdir()
    result = tune(loaded(), [*PAIRS, *held], study, tmp_path / "llama")
    # At the end too, where there are fewer steps than lie between two evaluations.
    assert result.steps == 10
    assert [step for step, _ in result.validations] == [10]
    names = load_file(tmp_path / "llama" / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in names} == {"q_proj", "k_proj", "v_proj"}
    with pytest.raises(UsageError, match="says nothing of gpt2"):
        tune(loaded("gpt2"), [*PAIRS, *held], study, tmp_path)


def test_what_early_stopping_needs_is_asked_for(tuned: Tuned, tmp_path: Path) -> None:
    by_loss = FAST.model_copy(update={"early_stop": "loss"})
    with pytest.raises(UsageError, match="nothing to validate on"):
        tune(tuned.model, PAIRS, by_loss, tmp_path)
    with pytest.raises(UsageError, match="no score to stop by"):
        tune(tuned.model, PAIRS, FAST.model_copy(update={"early_stop": "score"}), tmp_path)


def test_the_card_and_the_settings() -> None:
    assert (CARD.name, CARD.patch, CARD.paper) == ("tune", "adapter", "2408.09078")
    assert all(field.description for field in Config.model_fields.values())
    with pytest.raises(ValidationError):
        Config.model_validate({"ranks": 3})
