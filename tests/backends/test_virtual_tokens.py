# SPDX-License-Identifier: Apache-2.0
"""Sampling and scoring with virtual tokens on: equal to plain peft on each text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel

from codetemper.backends.generation import generate
from codetemper.backends.scoring import logprobs
from codetemper.core.errors import UsageError
from codetemper.core.records import Sampling
from codetemper.models.attach import attached
from tests.backends.test_generation import PROMPTS, text
from tests.models.adapters import tiny_loaded
from tests.models.test_virtual import make
from tests.tiny import tiny_model, tiny_tokenizer

COUNT = 6
GREEDY = Sampling(n=1, temperature=0.0, max_new_tokens=COUNT)
AFTER = ["\n    a", " main(void)", " *", " x", "!"]


def written(stranger: Any, prompt: str) -> str:
    """What plain peft writes with transformers' generate after one prompt alone."""
    tokens = torch.tensor([tiny_tokenizer()(prompt)["input_ids"]])
    whole = stranger.generate(
        input_ids=tokens, attention_mask=torch.ones_like(tokens), do_sample=False,
        max_new_tokens=COUNT, pad_token_id=0,
    )  # fmt: skip
    return text(prompt, [int(token) for token in whole[0, tokens.shape[1] :]])


def scored(stranger: Any, prompt: str, after: str, skipped: int) -> np.ndarray:
    """Log-probabilities of a continuation by a plain forward pass of plain peft."""
    given, both = (tiny_tokenizer()(part)["input_ids"] for part in (prompt, prompt + after))
    whole = torch.tensor([both])
    assert both[: len(given)] == given
    with torch.no_grad():
        logits = stranger(input_ids=whole).logits[0, skipped:-1]
    picked = torch.log_softmax(logits, -1).gather(-1, whole[0, 1:, None])[len(given) - 1 :, 0]
    return np.asarray(picked)


@pytest.mark.parametrize("form", ["prompt", "prefix"])
@pytest.mark.parametrize(
    ("kind", "changes"), [("llama", {}), ("mistral", {"sliding_window": 6}), ("gpt2", {})]
)
def test_a_padded_batch_equals_plain_peft_row_by_row(
    kind: str, changes: dict[str, Any], form: str, tmp_path: Path
) -> None:
    model, tokenizer = tiny_loaded(kind, **changes), tiny_tokenizer()
    before = [c.text for (c,) in generate(model.module, tokenizer, PROMPTS, GREEDY)]
    folder = make(tmp_path / "p", model, form)
    stranger = PeftModel.from_pretrained(tiny_model(kind, **changes), str(folder)).eval()
    theirs = [written(stranger, prompt) for prompt in PROMPTS]
    assert sum(a != b for a, b in zip(before, theirs, strict=True)) > 1
    with attached(model, folder):
        for batch_size in (2, 64):
            ours = generate(model.module, tokenizer, PROMPTS, GREEDY, batch_size=batch_size)
            assert [completion.text for (completion,) in ours] == theirs
        scores = logprobs(model.module, tokenizer, PROMPTS, AFTER, batch_size=3)
    skipped = 3 if form == "prompt" else 0
    for prompt, after, score in zip(PROMPTS, AFTER, scores, strict=True):
        assert np.allclose(score, scored(stranger, prompt, after, skipped), atol=1e-4)
    again = [c.text for (c,) in generate(model.module, tokenizer, PROMPTS, GREEDY)]
    assert again == before


@pytest.mark.parametrize("form", ["prompt", "prefix"])
def test_draws_do_not_depend_on_the_batch(form: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_loaded("llama"), tiny_tokenizer()
    sampling = Sampling(n=3, temperature=1.0, max_new_tokens=8, seed=3)
    with attached(model, make(tmp_path / "p", model, form)):
        whole, small = (
            [[c.text for c in row] for row in
             generate(model.module, tokenizer, PROMPTS, sampling, batch_size=size)]
            for size in (64, 4)
        )  # fmt: skip
    assert whole == small
    assert all(len(set(row)) > 1 for row in whole)


def test_virtual_tokens_take_room_from_the_text(tmp_path: Path) -> None:
    model, tokenizer = tiny_loaded("gpt2", n_positions=32), tiny_tokenizer()
    sampling = Sampling(n=1, temperature=0.0, max_new_tokens=50)
    with attached(model, make(tmp_path / "p", model, "prefix")):
        ((completion,),) = generate(model.module, tokenizer, ["x" * 27], sampling)
        assert (completion.tokens, completion.finished) == (2, False)
        with pytest.raises(UsageError, match="does not fit") as refused:
            generate(model.module, tokenizer, ["x" * 29], sampling)
    assert "29 positions for text" in refused.value.why
