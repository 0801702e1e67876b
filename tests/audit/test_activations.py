# SPDX-License-Identifier: Apache-2.0
"""Pooled hidden states are those of the model, of every architecture, and cost one pass."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, T5EncoderModel

from codetemper.audit import _reading
from codetemper.audit.activations import POOLS, Features, Place, extract
from codetemper.core.errors import UsageError
from codetemper.core.records import Event
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.models.attach import attached
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from tests.models.adapters import make_patch, tiny_loaded
from tests.tiny import DECODERS, ENCODERS, VOCABULARY, tiny_model, tiny_tokenizer

TEXTS = (
    "def add(a, b):\n    return a + b\n",
    "int main(void) { return 0; }",
    "for item in items:\n    print(item)\n\nfor x in y:\n    add(x)\n" * 2,
    "x",
)
ASKED = "def add(a, b):\n"
LABELLED = [Labelled(str(k), text, k % 2) for k, text in enumerate(TEXTS)]
ANSWERED = [Labelled(str(k), ASKED + text, None, len(ASKED)) for k, text in enumerate(TEXTS)]


def classifier(kind: str) -> Any:
    """A tiny random sequence classifier."""
    shape = {"bos_token_id": 1, "eos_token_id": 2, "vocab_size": VOCABULARY, **ENCODERS[kind]}
    torch.manual_seed(3)
    made = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(kind, **shape))
    return made.eval()


def loaded(module: Any) -> LoadedModel:
    return LoadedModel(
        "hf:tiny", module, tiny_tokenizer(), weights_digest(module), torch.device("cpu")
    )


def model(kind: str) -> Any:
    if kind.endswith("-classifier"):
        return classifier(kind.removesuffix("-classifier"))
    if kind == "t5-encoder":
        shape = {"eos_token_id": 2, "vocab_size": VOCABULARY, **ENCODERS["t5"]}
        torch.manual_seed(3)
        return T5EncoderModel(AutoConfig.for_model("t5", **shape)).eval()
    return tiny_model(kind)


def stacks(kind: str, sample: Labelled) -> dict[str, tuple[Any, list[str], int]]:
    """What transformers says of one sample by itself: states by layer, tokens, decision."""
    module, tokenizer = model(kind), tiny_tokenizer()
    start = sample.answer_start
    whole = tokenizer(sample.text)["input_ids"]
    if not kind.startswith("t5") or kind == "t5-encoder":
        seen = module(input_ids=torch.tensor([whole]), output_hidden_states=True)
        prompt = len(tokenizer(sample.text[:start])["input_ids"]) if start else len(whole)
        role = "decoder" if kind in DECODERS else "encoder"
        at = prompt - 1 if kind in DECODERS else 0
        return {role: (seen.hidden_states, tokenizer.convert_ids_to_tokens(whole), at)}
    ids = [*whole, 2]
    answer, at = ids, len(ids) - 1
    if start is not None and kind == "t5":
        ids = [*tokenizer(sample.text[:start])["input_ids"], 2]
        answer, at = [*tokenizer(sample.text[start:])["input_ids"], 2], 0
    shifted = [0, *answer[:-1]]
    given = {"decoder_input_ids": torch.tensor([shifted])} if kind == "t5" else {}
    seen = module(input_ids=torch.tensor([ids]), output_hidden_states=True, **given)
    names = tokenizer.convert_ids_to_tokens
    return {
        "encoder": (seen.encoder_hidden_states, names(ids), len(ids) - 1),
        "decoder": (seen.decoder_hidden_states, names(shifted), at),
    }


def pooled(states: Floats, tokens: list[str], decision: int, pool: str) -> Floats:
    ends = [k for k, token in enumerate(tokens) if "Ċ" in token] or [len(tokens) - 1]
    return {
        "decision": states[decision],
        "eos": states[-1],
        "mean": states.mean(0),
        "max": states.max(0),
        "line": states[ends].mean(0),
    }[pool]


@torch.no_grad()
def check(kind: str, samples: list[Labelled], folder: Path) -> Features:
    found = extract(loaded(model(kind)), samples, folder=folder, batch_size=3)
    assert found.count == len(samples)
    for number, sample in enumerate(samples):
        for role, (layers, tokens, decision) in stacks(kind, sample).items():
            own = [place for place in found.places if place.stack == role]
            assert {place.layer for place in own} == set(range(len(layers)))
            for place in own:
                states = layers[place.layer][0].double().numpy()
                expected = pooled(states, tokens, decision, place.pool)
                actual = found.of(place)[number]
                assert np.allclose(actual, expected, rtol=1e-3, atol=1e-3), place.name
    return found


@pytest.mark.parametrize("kind", DECODERS)
def test_states_of_decoders_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    found = check(kind, ANSWERED, tmp_path)
    assert {place.pool for place in found.places} == set(POOLS)
    assert found.logits is None


@pytest.mark.parametrize(
    "kind", ["roberta", "roberta-classifier", "t5", "t5-classifier", "t5-encoder"]
)
def test_states_of_encoders_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    found = check(kind, LABELLED, tmp_path)
    if kind.endswith("classifier"):
        module, ids = model(kind), tiny_tokenizer()(TEXTS[2])["input_ids"]
        ids = [*ids, 2] if kind.startswith("t5") else ids
        with torch.no_grad():
            logits = module(input_ids=torch.tensor([ids])).logits.numpy()
        assert found.logits is not None
        assert np.allclose(found.logits[2], logits[0], atol=1e-3)


def test_an_encoder_decoder_with_answers_is_read_where_they_begin(tmp_path: Path) -> None:
    check("t5", ANSWERED, tmp_path)


def test_a_pool_that_sees_the_same_is_left_out(tmp_path: Path) -> None:
    found = extract(loaded(tiny_model("llama")), LABELLED, folder=tmp_path)
    assert "eos" not in {place.pool for place in found.places}
    found = extract(loaded(classifier("t5")), LABELLED, folder=tmp_path)
    kinds = {(place.stack, place.pool) for place in found.places}
    assert ("encoder", "decision") not in kinds
    assert ("decoder", "eos") not in kinds
    assert {("encoder", "eos"), ("decoder", "decision")} <= kinds


def test_a_patch_that_is_on_is_seen_and_leaves_nothing(tmp_path: Path) -> None:
    patch = make_patch(tmp_path / "patch", seed=1)
    base = tiny_loaded()
    place = Place("decoder", 3, "mean")
    before = extract(base, ANSWERED, folder=tmp_path).of(place).copy()
    with attached(base, patch):
        patched = extract(base, ANSWERED, folder=tmp_path).of(place).copy()
    after = extract(base, ANSWERED, folder=tmp_path).of(place)
    assert not np.allclose(patched, before, atol=1e-2)
    assert np.array_equal(after, before)
    assert weights_digest(base.module) == base.digest
    hooks = [
        len(part._forward_hooks) + len(part._forward_pre_hooks) for part in base.module.modules()
    ]
    assert sum(hooks) == 0


def test_the_same_seed_gives_the_same_bytes_and_distances_stay(tmp_path: Path) -> None:
    module = loaded(tiny_model("llama", hidden_size=256))
    texts = [Labelled(str(k), f"def f{k}(a):\n    return a + {k * k}\n", 0) for k in range(20)]
    stored = []
    for name, seed, width in (("a", 0, 64), ("b", 0, 64), ("c", 1, 64), ("whole", 0, 256)):
        (tmp_path / name).mkdir()
        found = extract(module, texts, folder=tmp_path / name, seed=seed, width=width)
        stored.append(found.of(Place("decoder", 2, "mean")))
    assert np.array_equal(stored[0], stored[1])
    assert not np.allclose(stored[0], stored[2])
    assert stored[0].shape == (20, 64)
    near, far = (np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (stored[0], stored[3]))
    above = np.triu_indices(20, 1)
    assert np.mean(near[above] / far[above]) == pytest.approx(1, abs=0.15)


def test_each_sample_is_read_once_in_batches_of_like_length(tmp_path: Path) -> None:
    module = tiny_model("gpt2")
    rows: list[int] = []
    handle = module.transformer.h[0].register_forward_pre_hook(
        lambda part, args: rows.append(len(args[0]))
    )
    events: list[Event] = []
    samples = [Labelled(str(k), "x = 1\n" * (1 + k % 7), None, 0) for k in range(40)]
    extract(loaded(module), samples, folder=tmp_path, batch_size=16, on_event=events.append)
    handle.remove()
    assert rows == [2, 16, 16, 8]  # the first is the probe
    assert [event.done for event in events] == [16, 32, 40]
    assert events[-1].total == 40


def test_memory_does_not_grow_with_the_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "_RUN", 32)
    module = loaded(tiny_model("llama"))
    peaks = []
    for count in (64, 64, 640):
        samples = [Labelled(str(k), f"x = {k}\n", 0) for k in range(count)]
        tracemalloc.start()
        found = extract(module, samples, folder=tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    kept = found.of(found.places[0]).nbytes // 2 * len(found.places)
    # The first call also fills caches. What was written is many times the difference.
    assert peaks[2] - peaks[1] < kept / 8
    assert kept > 1_000_000


def test_states_that_are_no_numbers_end_it_and_name_the_layer(tmp_path: Path) -> None:
    module = tiny_model("llama")
    with torch.no_grad():
        module.model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
    with pytest.raises(UsageError, match="activations are not numbers") as caught:
        extract(loaded(module), ANSWERED, folder=tmp_path)
    assert "layer 2 gives NaN or infinity for sample" in caught.value.why


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tokenizer does not belong"):
        extract(loaded(tiny_model("llama", vocab_size=60)), LABELLED, folder=tmp_path)


def test_no_samples_and_unknown_pools_are_refused(tmp_path: Path) -> None:
    module = loaded(tiny_model("llama"))
    with pytest.raises(UsageError, match="nothing to read"):
        extract(module, [], folder=tmp_path)
    with pytest.raises(UsageError, match="no pool 'median'"):
        extract(module, LABELLED, pools=["median"], folder=tmp_path)  # type: ignore[list-item]


@pytest.mark.parametrize("kind", ["roberta", "t5"])
def test_a_text_cannot_end_itself(kind: str, tmp_path: Path) -> None:
    samples = [Labelled("0", "a = 1 </s> b = 2", 0), Labelled("1", "</s></s>", 1)]
    module = loaded(classifier(kind))
    spelled = module.tokenizer("</s>", split_special_tokens=True)["input_ids"]
    assert 2 not in spelled
    found = extract(module, samples, folder=tmp_path)
    assert found.logits is not None
    with torch.no_grad():
        ids = [*spelled, *spelled, *([2] if kind == "t5" else [])]
        expected = module.module(input_ids=torch.tensor([ids])).logits.numpy()
    assert np.allclose(found.logits[1], expected[0], atol=1e-3)


def test_long_samples_keep_what_is_decided_on(tmp_path: Path) -> None:
    long = "x = 1\n" * 300
    # RoBERTa has 130 positions, of which two are taken.
    for kind in ("roberta", "t5"):
        extract(loaded(classifier(kind)), [Labelled("0", long, 0)], folder=tmp_path)
    asked = long + "def f():\n"
    cut = [Labelled("0", asked + long, None, len(asked))]
    module = loaded(tiny_model("llama"))
    found = extract(module, cut, folder=tmp_path, max_length=64).of(Place("decoder", 0, "decision"))
    last = module.tokenizer(asked)["input_ids"][-1]
    assert np.allclose(found[0], module.module.model.embed_tokens.weight[last].detach(), atol=1e-6)
