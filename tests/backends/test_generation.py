# SPDX-License-Identifier: Apache-2.0
"""The sampling loop: equal to transformers under greedy decoding, independent of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from codetemper.backends import generation, writing
from codetemper.backends.generation import generate
from codetemper.core.errors import UsageError
from codetemper.core.records import Event, Sampling
from tests.tiny import DECODERS, tiny_model, tiny_tokenizer

PROMPTS = (
    "def add(a, b):\n    return",
    "int",
    "SELECT name FROM users WHERE id = 3;\nSELECT",
    "for item in items:\n    print(item)\nfor item in",
    "é",
)
GREEDY = Sampling(n=1, temperature=0.0, max_new_tokens=12)


def reference(module: Any, prompt: str, count: int) -> list[int]:
    """What transformers' generate writes after one prompt alone."""
    tokens = torch.tensor([tiny_tokenizer()(prompt)["input_ids"]])
    written = module.generate(
        tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=count,
        pad_token_id=0,
    )  # fmt: skip
    return [int(token) for token in written[0, tokens.shape[1] :]]


def text(prompt: str, tokens: list[int]) -> str:
    tokenizer = tiny_tokenizer()
    ends = tokens.index(2) if 2 in tokens else len(tokens)
    given = tokenizer(prompt)["input_ids"]
    whole = tokenizer.decode(given + tokens[:ends], skip_special_tokens=True)
    return whole[len(tokenizer.decode(given, skip_special_tokens=True)) :]


@pytest.mark.parametrize("kind", DECODERS)
def test_greedy_decoding_equals_transformers(kind: str) -> None:
    module = tiny_model(kind)
    theirs = [text(prompt, reference(module, prompt, 12)) for prompt in PROMPTS]
    assert len(set(theirs)) > len(PROMPTS) // 2, "a model that ignores its prompt shows nothing"
    for batch_size in (1, 3, 64):
        ours = generate(module, tiny_tokenizer(), PROMPTS, GREEDY, batch_size=batch_size)
        assert [completion.text for (completion,) in ours] == theirs


def test_greedy_decoding_with_a_sliding_window_equals_transformers() -> None:
    module = tiny_model("mistral", sliding_window=6)
    for prompt, (ours,) in zip(
        PROMPTS, generate(module, tiny_tokenizer(), PROMPTS, GREEDY), strict=True
    ):
        assert ours.text == text(prompt, reference(module, prompt, 12))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_draws_depend_on_prompt_seed_and_index_only(kind: str) -> None:
    module, tokenizer = tiny_model(kind), tiny_tokenizer()
    many = Sampling(n=4, temperature=1.0, max_new_tokens=20, seed=3)
    whole = generate(module, tokenizer, PROMPTS, many, batch_size=64)
    small = generate(module, tokenizer, PROMPTS, many, batch_size=5)
    turned = generate(module, tokenizer, PROMPTS[::-1], many)[::-1]
    fewer = generate(module, tokenizer, PROMPTS, many.model_copy(update={"n": 2}))
    texts = [[c.text for c in row] for row in whole]
    assert [[c.text for c in row] for row in small] == texts
    assert [[c.text for c in row] for row in turned] == texts
    assert [[c.text for c in row] for row in fewer] == [row[:2] for row in texts]
    assert [[c.logprob for c in row] for row in small] == [
        pytest.approx([c.logprob for c in row], abs=1e-3) for row in whole
    ]
    other = generate(module, tokenizer, PROMPTS, many.model_copy(update={"seed": 4}))
    assert [[c.text for c in row] for row in other] != texts
    assert all(len({c.text for c in row}) == 4 for row in whole)


def test_draws_follow_the_models_distribution() -> None:
    """First tokens of many samples against the softmax, by chi-square over the likely tokens."""
    module, tokenizer = tiny_model("llama"), tiny_tokenizer()
    count, temperature = 4000, 1.5
    sampling = Sampling(n=count, temperature=temperature, max_new_tokens=1)
    (row,) = generate(module, tokenizer, ["int"], sampling, batch_size=count)
    with torch.no_grad():
        logits = module(input_ids=torch.tensor([tokenizer("int")["input_ids"]])).logits[0, -1]
    mass = torch.softmax(logits.double() / temperature, -1).numpy()
    drawn = np.array([c.logprob for c in row])
    known = torch.log_softmax(logits.double(), -1).numpy()
    seen = np.bincount(np.abs(drawn[:, None] - known[None]).argmin(1), minlength=len(mass))
    likely = mass * count >= 5
    squares = (seen - mass * count)[likely] ** 2 / (mass * count)[likely]
    freedom = int(likely.sum())
    assert freedom > 10
    assert squares.sum() < freedom + 4 * np.sqrt(2 * freedom)


def test_top_p_keeps_the_nucleus() -> None:
    module, tokenizer = tiny_model("llama"), tiny_tokenizer()
    sampling = Sampling(n=500, temperature=0.3, top_p=0.5, max_new_tokens=1)
    (row,) = generate(module, tokenizer, ["int"], sampling, batch_size=500)
    with torch.no_grad():
        logits = module(input_ids=torch.tensor([tokenizer("int")["input_ids"]])).logits[0, -1]
    mass, order = torch.softmax(logits.double() / 0.3, -1).sort(descending=True)
    inside = order[: int((mass.cumsum(-1) < 0.5).sum()) + 1]
    known = torch.log_softmax(logits.double(), -1)[inside]
    drawn = {round(c.logprob or 0.0, 3) for c in row}
    assert 1 < len(inside) < 40
    assert drawn == {round(float(value), 3) for value in known}


def test_stops_cut_and_finish() -> None:
    module, tokenizer = tiny_model("llama"), tiny_tokenizer()
    sampling = Sampling(n=8, temperature=1.0, max_new_tokens=24, seed=1)
    (free,) = generate(module, tokenizer, PROMPTS[:1], sampling)
    for stop in ("a", "e", "é", "\n", "re", free[0].text[3:6]):
        (stopped,) = generate(module, tokenizer, PROMPTS[:1], sampling, [(stop, "never ever")])
        for before, after in zip(free, stopped, strict=True):
            assert after.text == before.text.split(stop)[0]
            assert after.finished == (before.finished or stop in before.text)
            assert (after.tokens or 0) <= (before.tokens or 0)


def test_stops_are_each_prompts_own() -> None:
    module, tokenizer = tiny_model("llama"), tiny_tokenizer()
    free = generate(module, tokenizer, PROMPTS[:2], GREEDY)
    stop = free[0][0].text[2]
    both = generate(module, tokenizer, PROMPTS[:2], GREEDY, [(stop,), ()])
    assert both[0][0].text == free[0][0].text.split(stop)[0]
    assert both[1][0].text == free[1][0].text


def test_the_end_token_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    module, tokenizer = tiny_model("llama"), tiny_tokenizer()
    (free,) = generate(module, tokenizer, PROMPTS[:1], GREEDY)
    third = reference(module, PROMPTS[0], 12)[2]
    monkeypatch.setattr(module.generation_config, "eos_token_id", [2, third])
    ((ended,),) = generate(module, tokenizer, PROMPTS[:1], GREEDY)
    assert (ended.tokens, ended.finished, free[0].finished) == (2, True, False)
    assert free[0].text.startswith(ended.text)


def test_logprob_is_the_untempered_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    module, tokenizer = tiny_model("qwen2"), tiny_tokenizer()
    seen: list[list[int]] = []
    read = writing.Reader.text
    monkeypatch.setattr(
        writing.Reader, "text",
        lambda self, prompt, tokens: seen.append([*prompt, *tokens]) or read(self, prompt, tokens),
    )  # fmt: skip
    sampling = Sampling(n=1, temperature=0.7, max_new_tokens=9, seed=5)
    ((completion,),) = generate(module, tokenizer, PROMPTS[:1], sampling)
    tokens = torch.tensor([seen[-1]])
    with torch.no_grad():
        scores = torch.log_softmax(module(input_ids=tokens).logits[0, :-1], -1)
    picked = scores.gather(-1, tokens[0, 1:, None])[-(completion.tokens or 0) :]
    assert completion.tokens == 9
    assert completion.logprob == pytest.approx(float(picked.sum()), abs=1e-3)


def test_a_prompt_runs_through_the_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever n is: the prompt columns are computed for one row a prompt."""
    module, shapes = tiny_model("llama"), []
    monkeypatch.setattr(
        module, "forward",
        lambda forward=module.forward, **inputs: shapes.append(inputs["input_ids"].shape)
        or forward(**inputs),
    )  # fmt: skip
    monkeypatch.setattr(generation, "takes_logits_to_keep", lambda module: True)
    sampling = Sampling(n=10, temperature=1.0, max_new_tokens=4)
    generate(module, tiny_tokenizer(), PROMPTS, sampling, batch_size=1000)
    prefills = [shape for shape in shapes if shape[1] > 1]
    assert [shape[0] for shape in prefills] == [len(PROMPTS)]


def test_long_prompts_and_budgets() -> None:
    module, tokenizer = tiny_model("gpt2", n_positions=32), tiny_tokenizer()
    ((completion,),) = generate(
        module, tokenizer, ["x" * 30], Sampling(n=1, temperature=0.0, max_new_tokens=50)
    )
    assert completion.tokens == 2
    assert not completion.finished
    with pytest.raises(UsageError, match="does not fit"):
        generate(module, tokenizer, ["x" * 32], GREEDY)
    assert generate(module, tokenizer, [], GREEDY) == []


def test_progress_counts_completions() -> None:
    events: list[Event] = []
    sampling = Sampling(n=3, max_new_tokens=5)
    generate(
        tiny_model("llama"), tiny_tokenizer(), PROMPTS, sampling, batch_size=4,
        on_event=events.append,
    )  # fmt: skip
    counts = [event.done for event in events]
    assert counts == sorted(set(counts))
    assert (counts[-1], events[0].total) == (15, 15)
