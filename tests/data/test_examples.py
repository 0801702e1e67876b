# SPDX-License-Identifier: Apache-2.0
"""Fix pairs in tokens: what carries loss, and what a short window keeps."""

from __future__ import annotations

from codetemper.core.records import FixPair
from codetemper.data.examples import encode
from tests.tiny import tiny_tokenizer


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


PAIRS = tuple(pair(number) for number in range(2))


def test_prompts_carry_no_loss_and_the_end_token_does() -> None:
    tokenizer = tiny_tokenizer()
    examples = encode(PAIRS[:1], tokenizer, 64)
    (ids,), (labels,) = examples.input_ids, examples.labels
    prompt = tokenizer("def add_0(a, b):\n")["input_ids"]
    assert ids[: len(prompt)] == prompt
    assert labels[: len(prompt)] == [-100] * len(prompt)
    assert labels[len(prompt) :] == ids[len(prompt) :]
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids[len(prompt) : -1]) == "    return a + b + 0\n"
    assert examples.completion_tokens == len(ids) - len(prompt)


def test_long_functions_lose_the_beginning_of_the_prompt_then_the_end() -> None:
    tokenizer = tiny_tokenizer()
    whole = encode([pair(0)], tokenizer, 1000)
    length = len(whole.input_ids[0])
    room = encode([pair(0)], tokenizer, length - 2)
    assert (room.truncated, room.lost) == (1, 0)
    assert room.input_ids[0] == whole.input_ids[0][2:]
    long = encode([pair(0, "    return a\n" * 50)], tokenizer, 32)
    assert long.truncated == 1
    assert len(long.input_ids[0]) == 32
    assert long.labels[0].count(-100) == 8
    assert tokenizer.eos_token_id not in long.labels[0]
    complete = encode([pair(0, "    return a\n" * 50)], tokenizer, 10_000)
    assert long.lost == complete.completion_tokens - long.completion_tokens


def test_pairs_without_a_body_are_skipped() -> None:
    examples = encode([pair(0, ""), pair(1), pair(2, "\n")], tiny_tokenizer(), 64)
    assert (examples.skipped, len(examples.input_ids)) == (2, 1)


def test_a_token_never_spans_the_border() -> None:
    tokenizer = tiny_tokenizer()
    # The tokenizer knows ":\n   " as part of its text, so the whole is not prompt plus body.
    prompt = "def add_0(a, b):\n"
    alone = tokenizer(prompt)["input_ids"]
    whole = tokenizer(PAIRS[0].after)["input_ids"]
    assert whole[: len(alone)] != alone
    ids = encode(PAIRS[:1], tokenizer, 64).input_ids[0]
    assert ids[: len(alone)] == alone
    assert tokenizer.decode(ids[:-1]) == PAIRS[0].after
