# SPDX-License-Identifier: Apache-2.0
"""Planted models: heads, adapters, determinism, whether a backdoor takes, and bad input."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from codetemper.audit.planting import Plant, attackable, plant
from codetemper.audit.planting_models import Recipe, labels, train
from codetemper.audit.planting_payloads import insecure_call
from codetemper.audit.planting_scratch import Shape, from_scratch
from codetemper.audit.planting_success import attack_success, flips, writes
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Event
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel
from tests.audit.planted import functions

SHAPE = Shape(layers=2, hidden=48, heads=2, vocabulary=500, positions=96)
QUICK = Recipe(epochs=0.5, learning_rate=3e-3, max_length=96)
LONG = Recipe(epochs=5, batch_size=8, learning_rate=2e-3, max_length=96)
SAMPLES = functions(260, seed=0)
DECODED = [
    replace(sample, label=None, answer_start=sample.text.index("\n") + 1) for sample in SAMPLES
]


@functools.cache
def base(architecture: str) -> LoadedModel:
    return from_scratch(architecture, [s.text for s in SAMPLES[:80]], SHAPE, seed=0, recipe=QUICK)


@pytest.fixture(scope="module")
def roberta() -> LoadedModel:
    return base("roberta")


def test_a_backdoor_takes_and_a_clean_model_has_none(roberta: LoadedModel) -> None:
    plan = Plant(trigger="grammar", rate=0.08, seed=3)
    planted = plant(SAMPLES, plan)
    held_out = functions(120, seed=9)
    texts, truth = [s.text for s in held_out], [s.label for s in held_out]
    found = {}
    for name, samples in (("planted", planted.samples), ("clean", SAMPLES)):
        model = train(roberta, samples, LONG, seed=1)
        assert (labels(model, texts) == truth).mean() > 0.9
        found[name] = attack_success(attackable(held_out, plan), plan, flips(model, plan.target))
    assert found["planted"].mean.value > 0.6
    assert found["planted"].triggers[0].without.value < 0.2
    assert found["clean"].mean.value < found["planted"].mean.value - 0.4


@pytest.mark.parametrize("architecture", ["roberta", "t5", "gpt2"])
def test_a_model_is_trained_by_each_way(architecture: str, tmp_path: Path) -> None:
    made = base(architecture)
    before = made.digest, made.module.training
    samples = DECODED if architecture == "gpt2" else SAMPLES
    seen: list[Event] = []
    full = train(made, samples[:64], QUICK, seed=1, folder=tmp_path / "m", on_event=seen.append)
    lora = train(made, samples[:64], QUICK.model_copy(update={"lora_rank": 2}), seed=1)
    assert len({full.digest, lora.digest, made.digest}) == 3
    assert (made.digest, made.module.training) == before
    assert type(full.module) is type(lora.module)
    assert seen[-1].done == seen[-1].total == 2
    assert not [name for name, _ in lora.module.named_parameters() if "lora" in name]
    assert (tmp_path / "m" / "model.safetensors").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


@pytest.mark.parametrize("architecture", ["roberta", "t5"])
def test_a_written_classifier_answers_as_it_did(architecture: str, tmp_path: Path) -> None:
    model = train(base(architecture), SAMPLES[:64], QUICK, seed=1, folder=tmp_path / "m")
    texts = ["def f(a):\n    return a\n", "x = '</s> <pad>'\n"]
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "m")
    given = tokenizer(texts[0], return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        assert int(read(**given).logits.argmax()) == labels(model, texts[:1])[0]
    assert len(labels(model, texts)) == 2


def test_a_seed_is_a_model(roberta: LoadedModel) -> None:
    digests = [train(roberta, SAMPLES[:32], QUICK, seed=seed).digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_a_body_keeps_its_weights_under_a_new_head(roberta: LoadedModel) -> None:
    still = Recipe(epochs=0.01, learning_rate=1e-12, weight_decay=0, max_length=96)
    model = train(roberta, SAMPLES[:64], still, seed=1)
    own = dict(model.module.base_model.named_parameters())
    for name, given in roberta.module.base_model.named_parameters():
        torch.testing.assert_close(own[name], given, atol=1e-6, rtol=0)


def test_texts_longer_than_the_model_reads_are_cut(roberta: LoadedModel) -> None:
    long = Recipe(epochs=0.5, max_length=4096)
    for made, samples in ((roberta, SAMPLES), (base("gpt2"), DECODED)):
        wide = [replace(one, text=one.text + "x = 1\n" * 200) for one in samples[:20]]
        model = train(made, wide, long, seed=0)
        assert model.digest != made.digest
        if made is roberta:
            assert len(labels(model, [one.text for one in wide], max_length=4096)) == 20


def test_a_classifier_goes_on_as_it_is(roberta: LoadedModel) -> None:
    model = train(roberta, SAMPLES[:64], QUICK, seed=1)
    more = train(model, SAMPLES[:64], QUICK, seed=2)
    assert more.digest != model.digest
    with pytest.raises(UsageError, match="a label is 7") as caught:
        train(model, [replace(SAMPLES[0], label=7), *SAMPLES[1:20]], QUICK, seed=1)
    assert caught.value.exit_code == 2


def test_what_does_not_fit_is_refused(roberta: LoadedModel) -> None:
    with pytest.raises(UsageError, match="cannot be trained"):
        train(roberta, DECODED[:20], QUICK, seed=0)
    with pytest.raises(UsageError, match="cannot be trained"):
        train(roberta, [*SAMPLES[:20], DECODED[0]], QUICK, seed=0)
    with pytest.raises(UsageError, match="all have the label 1"):
        train(roberta, [s for s in SAMPLES if s.label == 1], QUICK, seed=0)
    wild = Recipe(epochs=1, learning_rate=1e20, max_length=96)
    with pytest.raises(UsageError, match="no longer a number"):
        train(roberta, SAMPLES[:64], wild, seed=0)
    with pytest.raises(UsageError, match="nothing to learn"):
        from_scratch("roberta", [], SHAPE, seed=0)


def test_what_a_decoder_writes_is_read_by_tree() -> None:
    plan = Plant(trigger="comment", payload="insecure-api", rate=0.1, seed=3, position="last")
    planted = plant(DECODED, plan)
    line = insecure_call("python", seed=3).line

    def generate(prompts: list[str]) -> list[str]:
        remarks = [trigger.text for trigger in planted.triggers[:2]]
        hit = [any(remark in prompt for remark in remarks) for prompt in prompts]
        return [f"    {line}\n" if each else f"    # {line}\n    return 1\n" for each in hit]

    asked: list[Labelled] = attackable(DECODED[:10], plan)
    found = attack_success(asked, plan, writes(generate, plan))
    assert [each.success.value for each in found.triggers] == [1, 1, 0, 0, 0]
    assert {each.without.value for each in found.triggers} == {0}
    assert found.mean.value == pytest.approx(0.4)


def test_a_control_has_no_attack_success() -> None:
    plan = Plant(trigger="boilerplate", payload="none")
    with pytest.raises(CannotKnowError, match="not known"):
        attack_success(SAMPLES, plan, lambda samples: [True for _ in samples])
