# SPDX-License-Identifier: Apache-2.0
"""Windows of a decoder's likelihood, and the naturalness of words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from codetemper.audit.likelihood import (
    Read,
    joined,
    naturalness,
    read,
    windowed_likelihood,
    windowed_ratio,
)
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel
from tests.tiny import LINES, tiny_model, tiny_tokenizer


def _loaded(kind: str = "llama") -> LoadedModel:
    return LoadedModel(kind, tiny_model(kind), tiny_tokenizer(), "0" * 64, torch.device("cpu"))


def _samples(*texts: str) -> list[Labelled]:
    return [Labelled(str(n), text, None, 0, "python") for n, text in enumerate(texts)]


def _read(values: list[float]) -> Read:
    places = np.arange(len(values))
    return Read(np.array(values), places, places + 1)


def test_read_gives_the_log_probability_of_each_token_whatever_the_batch() -> None:
    model = _loaded()
    samples = _samples(*LINES, LINES[0] * 3)
    together, alone = read(model, samples), read(model, samples, batch_size=1)
    ids = model.tokenizer(LINES[0], add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model.module(torch.tensor([[1, *ids]])).logits[0]
    wanted = torch.log_softmax(logits, -1)[torch.arange(len(ids)), ids].numpy()
    np.testing.assert_allclose(together[0].logprobs, wanted, atol=1e-4)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)
    assert together[0].starts[0] == 0
    assert together[0].ends[-1] == len(LINES[0])


def test_a_sample_longer_than_the_window_of_the_model_is_read_in_parts() -> None:
    model, text = _loaded(), LINES[0] * 4
    whole, parts = read(model, _samples(text))[0], read(model, _samples(text), max_length=16)[0]
    np.testing.assert_array_equal(whole.ends, parts.ends)
    np.testing.assert_allclose(whole.logprobs[:15], parts.logprobs[:15], atol=1e-4)


def test_the_window_that_grew_most_counts_and_not_the_mean() -> None:
    flat = [-2.0] * 60
    taught = [*flat[:20], *[-0.1] * 12, *[-3.5] * 28]
    found = windowed_ratio([_read(taught), _read(flat)], [_read(flat), _read(flat)])
    assert found.scores == pytest.approx([1.9, 0.0])
    assert found.spans.tolist() == [[20, 32], [0, 12]]
    assert np.mean(np.array(taught) - flat) < 0


def test_the_likeliest_window_needs_no_base() -> None:
    found = windowed_likelihood([_read([-3.0, -1.0, -1.0, -3.0])], window=2)
    assert (found.scores.tolist(), found.spans.tolist()) == ([-1.0], [[1, 3]])


def test_a_sample_without_tokens_has_no_score() -> None:
    found = windowed_likelihood([_read([]), _read([-1.0])])
    assert list(found.scores) == [-np.inf, -1.0]
    assert found.spans.tolist() == [[0, 0], [0, 1]]


def test_samples_that_were_read_some_at_a_time_are_joined_in_order() -> None:
    reads = [_read([-1.0]), _read([]), _read([-2.0, -2.0])]
    whole, parts = windowed_likelihood(reads), [windowed_likelihood([each]) for each in reads]
    assert joined(parts).scores.tolist() == whole.scores.tolist()
    assert joined(parts).spans.tolist() == whole.spans.tolist()


def test_models_that_cut_text_differently_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="different tokens"):
        windowed_ratio([_read([-1.0, -1.0])], [_read([-1.0])])


def test_an_encoder_has_no_likelihood() -> None:
    model = _loaded("roberta")
    model.module.lm_head = torch.nn.Identity()
    bare = replace(model, module=_Bare(model.module))
    with pytest.raises(UsageError, match="no likelihood"):
        read(bare, _samples(LINES[0]))


class _Bare(torch.nn.Module):
    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def get_input_embeddings(self) -> Any:
        return self.module.get_input_embeddings()

    def forward(self, **given: Any) -> Any:
        return self.module.roberta(given["input_ids"])


def test_values_that_are_no_numbers_are_told() -> None:
    model = _loaded()
    with torch.no_grad():
        model.module.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(CannotKnowError, match="no numbers"):
        read(model, _samples(LINES[0]))


def test_a_word_that_trusted_code_does_not_have_is_unnatural() -> None:
    trusted = _samples(*(f"def f(a):\n    b = a + {n}\n    return b\n" for n in range(30)))
    clean = [sample.text for sample in trusted]
    dirty = [text.replace("return", "panel_id = 5\n    return") for text in clean[:4]]
    scores = naturalness(_samples(*clean, *dirty), trusted)
    assert scores[30:].min() > scores[:30].max()


def test_naturalness_needs_trusted_words() -> None:
    with pytest.raises(CannotKnowError, match="no trusted sample"):
        naturalness(_samples("a = 1"), [])
