# SPDX-License-Identifier: Apache-2.0
"""Virtual tokens: nobody outside the model sees them, and a row computes what it does alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, PrefixTuningConfig, PromptTuningConfig
from transformers import DynamicCache

from codetemper.core.errors import UsageError
from codetemper.models.attach import attached, save_trained, training_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.virtual import first_prefix, virtual_tokens
from tests.models.adapters import as_patch, tiny_loaded
from tests.tiny import tiny_model

TOKENS = torch.tensor([[5, 9, 11, 40, 7], [8, 3, 12, 6, 6]])
FORMS = {"prompt": PromptTuningConfig, "prefix": PrefixTuningConfig}


def logits(module: Any, **inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        return module(**({"input_ids": TOKENS} | inputs)).logits


def form(kind: str, count: int = 3) -> Any:
    return FORMS[kind](num_virtual_tokens=count, task_type="CAUSAL_LM")


def make(folder: Path, model: LoadedModel, kind: str) -> Path:
    """A patch with random virtual tokens for a model."""
    folder.mkdir()
    torch.manual_seed(1)
    with training_adapter(model, form(kind)) as wrapped:
        save_trained(wrapped, folder, base=model.expression)
    return as_patch(folder, model)


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_bigcode", "gemma2", "codegen"])
def test_text_columns_equal_plain_peft(family: str, kind: str, tmp_path: Path) -> None:
    model = tiny_loaded(family)
    before = logits(model.module)
    folder = make(tmp_path / "p", model, kind)
    with attached(model, folder) as wrapped:
        ours = logits(model.module)
        assert torch.equal(logits(wrapped), ours)
    theirs = logits(PeftModel.from_pretrained(tiny_model(family), str(folder)).eval())
    skipped = 3 if kind == "prompt" else 0
    assert ours.shape == before.shape
    assert torch.allclose(ours, theirs[:, skipped:], atol=1e-5)
    assert not torch.allclose(ours, before, atol=1e-2)
    assert torch.equal(logits(model.module), before)


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("changes", [{}, {"sliding_window": 4}])
def test_a_padded_row_computes_what_it_does_alone(
    kind: str, changes: dict[str, int], tmp_path: Path
) -> None:
    model = tiny_loaded("mistral", **changes)
    with attached(model, make(tmp_path / "p", model, kind)):
        alone = logits(model.module, input_ids=TOKENS[:1, :3])
        left = torch.tensor([[0, 0, 5, 9, 11], [8, 3, 12, 6, 6]])
        mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
        padded = logits(
            model.module, input_ids=left, attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        )  # fmt: skip
        assert torch.allclose(padded[:1, 2:], alone, atol=1e-5)
        right = logits(
            model.module, input_ids=torch.tensor([[5, 9, 11, 0, 0]]),
            attention_mask=torch.tensor([[1, 1, 1, 0, 0]]),
        )  # fmt: skip
        assert torch.allclose(right[:, :3], alone, atol=1e-5)


@pytest.mark.parametrize("kind", FORMS)
def test_a_cache_goes_on_where_it_stopped(kind: str, tmp_path: Path) -> None:
    model = tiny_loaded("llama")
    with attached(model, make(tmp_path / "p", model, kind)):
        whole = logits(model.module)
        cache = DynamicCache()
        first = logits(model.module, input_ids=TOKENS[:, :3], past_key_values=cache)
        assert cache.get_seq_length() == 3 + virtual_tokens(model.module) == 6
        assert "update" not in vars(cache)
        rest = logits(
            model.module, input_ids=TOKENS[:, 3:], past_key_values=cache,
            position_ids=torch.tensor([[3, 4]] * 2),
        )  # fmt: skip
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5)


def test_states_and_losses_are_those_of_the_text(tmp_path: Path) -> None:
    model = tiny_loaded("llama")
    with attached(model, make(tmp_path / "p", model, "prompt")):
        output = model.module(input_ids=TOKENS, labels=TOKENS, output_hidden_states=True)
        kept = model.module(input_ids=TOKENS, logits_to_keep=2).logits
        given = model.module(inputs_embeds=model.module.get_input_embeddings()(TOKENS)).logits
        whole = logits(model.module)
    scores = torch.log_softmax(whole[:, :-1], -1).gather(-1, TOKENS[:, 1:, None])
    assert torch.allclose(output.loss, -scores.mean(), atol=1e-5)
    assert {state.shape[1] for state in output.hidden_states} == {5}
    assert torch.allclose(kept, whole[:, -2:], atol=1e-6)
    assert torch.allclose(given, whole, atol=1e-6)


@pytest.mark.parametrize("kind", FORMS)
def test_only_the_virtual_tokens_learn(kind: str) -> None:
    model = tiny_loaded("llama")
    base = logits(model.module)
    with training_adapter(model, form(kind)) as wrapped:
        wrapped.train()
        wrapped(input_ids=TOKENS, labels=TOKENS).loss.backward()
        learning = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
        assert list(learning) == ["prompt_encoder.task.embedding.weight"]
        (parameter,) = learning.values()
        assert parameter.grad is not None
        assert (parameter.grad.abs().sum(1) > 0).all()
        with wrapped.disable_adapter():
            assert virtual_tokens(model.module) == 0
            assert torch.equal(logits(wrapped), base)
        assert virtual_tokens(model.module) == 3
        with pytest.raises(UsageError, match="one set of virtual tokens"):
            wrapped.add_adapter("more", form(kind))
    assert torch.equal(logits(model.module), base)
    assert virtual_tokens(model.module) == 0


def test_a_prefix_of_words_is_the_words_in_front(tmp_path: Path) -> None:
    """Keys and values of real tokens as a prefix equal those tokens before the text."""
    model = tiny_loaded("llama")
    words = [20, 21, 22]
    given = torch.tensor([words, words])
    whole = logits(model.module, input_ids=torch.cat([given, TOKENS], 1))
    start = first_prefix(model.module, words)
    with training_adapter(model, form("prefix")) as wrapped:
        with torch.no_grad():
            wrapped.prompt_encoder["task"].embedding.weight.copy_(start)
        assert torch.allclose(logits(wrapped), whole[:, 3:], atol=1e-5)


def test_what_virtual_tokens_cannot_do_is_refused(tmp_path: Path) -> None:
    model = tiny_loaded("llama")
    with training_adapter(model, form("prefix")) as wrapped:
        wrapped.train()
        packed = torch.tensor([[0, 1, 2, 0, 1]] * 2)
        with pytest.raises(UsageError, match="packed"):
            wrapped(input_ids=TOKENS, position_ids=packed)
        with pytest.raises(UsageError, match="plain attention mask"):
            wrapped(input_ids=TOKENS, attention_mask=torch.ones(2, 1, 5, 5))
        model.module.gradient_checkpointing_enable()
        with pytest.raises(UsageError, match="checkpointing"):
            wrapped(input_ids=TOKENS)
    assert not model.module.is_gradient_checkpointing
    with pytest.raises(UsageError, match="encoder-decoder"):
        training_adapter(tiny_loaded("t5"), form("prompt")).__enter__()


def test_a_failure_in_the_middle_leaves_the_cache_alone(tmp_path: Path) -> None:
    model = tiny_loaded("llama")
    cache = DynamicCache()
    with training_adapter(model, form("prefix")):
        model.module.model.layers[1].register_forward_pre_hook(lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.module(input_ids=TOKENS, past_key_values=cache)
    assert "update" not in vars(cache)
