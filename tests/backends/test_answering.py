# SPDX-License-Identifier: Apache-2.0
"""Answers of encoder-decoders: equal to transformers' own, independent of the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BartConfig
from transformers import BartForConditionalGeneration as Bart

from codetemper.backends.generation import generate
from codetemper.backends.scoring import logprobs
from codetemper.core.errors import UsageError
from codetemper.core.records import Event, Sampling
from tests.backends.test_generation import GREEDY, PROMPTS
from tests.tiny import ENCODERS, VOCABULARY, tiny_model, tiny_tokenizer


def module_of(kind: str) -> Any:
    """Return a tiny encoder-decoder; bart has learnt positions, and t5 has none."""
    if kind == "t5":
        return tiny_model("t5")
    part = {"layers": 2, "attention_heads": 4, "ffn_dim": 72}
    sides = ("encoder", "decoder")
    size = {f"{side}_{name}": value for side in sides for name, value in part.items()}
    torch.manual_seed(7)
    config = BartConfig(
        vocab_size=VOCABULARY, d_model=32, max_position_embeddings=40, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, forced_eos_token_id=None,
        init_std=0.2, **size,
    )  # fmt: skip
    return Bart(config).eval()


def reference(module: Any, prompt: str, count: int) -> list[int]:
    """What transformers' generate answers to one prompt alone."""
    tokens = torch.tensor([tiny_tokenizer()(prompt)["input_ids"]])
    written = module.generate(
        tokens, attention_mask=torch.ones_like(tokens), do_sample=False, num_beams=1,
        max_new_tokens=count,
    )  # fmt: skip
    return [int(token) for token in written[0, 1:]]


def text(tokens: list[int]) -> str:
    ends = tokens.index(2) if 2 in tokens else len(tokens)
    return str(tiny_tokenizer().decode(tokens[:ends], skip_special_tokens=True))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_greedy_answers_equal_transformers(kind: str) -> None:
    module = module_of(kind)
    theirs = [text(reference(module, prompt, 12)) for prompt in PROMPTS]
    assert len(set(theirs)) > len(PROMPTS) // 2, "a model that ignores its prompt shows nothing"
    for batch_size in (1, 3, 64):
        ours = generate(module, tiny_tokenizer(), PROMPTS, GREEDY, batch_size=batch_size)
        assert [answer.text for (answer,) in ours] == theirs


def test_draws_depend_on_prompt_seed_and_index_only() -> None:
    module, tokenizer = tiny_model("t5"), tiny_tokenizer()
    many = Sampling(n=4, temperature=1.0, max_new_tokens=20, seed=3)
    events: list[Event] = []
    whole = generate(module, tokenizer, PROMPTS, many, on_event=events.append)
    small = generate(module, tokenizer, PROMPTS, many, batch_size=5)
    turned = generate(module, tokenizer, PROMPTS[::-1], many)[::-1]
    other = generate(module, tokenizer, PROMPTS, many.model_copy(update={"seed": 4}))
    texts = [[one.text for one in row] for row in whole]
    assert [[one.index for one in row] for row in whole] == [[0, 1, 2, 3]] * len(PROMPTS)
    for same in (small, turned):
        assert [[one.text for one in row] for row in same] == texts
    assert [[one.text for one in row] for row in other] != texts
    assert all(len({one.text for one in row}) == 4 for row in whole)
    assert (events[-1].done, events[-1].total) == (20, 20)


def test_an_answer_ends_at_its_stop_and_counts_its_tokens() -> None:
    module, tokenizer = tiny_model("t5"), tiny_tokenizer()
    ((free,),) = generate(module, tokenizer, PROMPTS[:1], GREEDY)
    stop = free.text[len(free.text) // 2]
    ((cut,),) = generate(module, tokenizer, PROMPTS[:1], GREEDY, [(stop,)])
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.finished
    tokens = reference(module, PROMPTS[0], 12)
    with torch.no_grad():
        logits = module(
            input_ids=torch.tensor([tokenizer(PROMPTS[0])["input_ids"]]),
            decoder_input_ids=torch.tensor([[0, *tokens[:-1]]]),
        ).logits[0]
    wanted = torch.log_softmax(logits, -1)[torch.arange(len(tokens)), tokens].sum()
    assert free.logprob == pytest.approx(float(wanted), abs=1e-3)


def test_what_cannot_answer_is_refused() -> None:
    shape = {"vocab_size": VOCABULARY, "num_labels": 2, "eos_token_id": 2}
    config = AutoConfig.for_model("t5", **shape, **ENCODERS["t5"])
    labels = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(UsageError, match="cannot continue"):
        generate(labels, tiny_tokenizer(), ["x"], GREEDY)
    with pytest.raises(UsageError, match="41 tokens does not fit"):
        generate(module_of("bart"), tiny_tokenizer(), ["é" * 20 + "x"], GREEDY)
    with pytest.raises(UsageError, match="cannot score"):
        logprobs(tiny_model("t5"), tiny_tokenizer(), ["x"], ["y"])
    silent = tiny_model("t5")
    silent.config.decoder_start_token_id = None
    silent.generation_config.decoder_start_token_id = None
    with pytest.raises(UsageError, match="begins with"):
        generate(silent, tiny_tokenizer(), ["x"], GREEDY)
