# SPDX-License-Identifier: Apache-2.0
"""Fix pairs in tokens: the form in which a trainer reads them, with the prompt masked.

    examples = encode(pairs, tokenizer, max_length=1024)
    examples.input_ids, examples.labels

Only the fixed side is read. The tokenizer is handed in; nothing here loads a model or torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codetemper.core.records import FixPair

#: Label of a token that carries no loss.
MASKED = -100


@dataclass(frozen=True)
class Examples:
    """Pairs in tokens, as the trainer reads them.

    Attributes:
        input_ids: token ids of each example, at most ``max_length``.
        labels: the same with ``MASKED`` on the prompt.
        skipped: pairs without a body.
        truncated: examples that were cut.
        lost: completion tokens cut off, of all examples together.
    """

    input_ids: list[list[int]]
    labels: list[list[int]]
    skipped: int
    truncated: int
    lost: int

    @property
    def completion_tokens(self) -> int:
        """Tokens that carry loss."""
        return sum(label != MASKED for labels in self.labels for label in labels)


def encode(pairs: Sequence[FixPair], tokenizer: Any, max_length: int) -> Examples:
    """Turn the fixed sides into prompt and completion tokens.

    The prompt's tokens are those of the prompt alone, as at inference: a token that spans the
    border would be learnt and never be asked for. What is too long loses the beginning of its
    prompt first (a quarter of the window stays), then its end, and with it the end token: a
    model must not learn to stop in the middle.

    Args:
        pairs: fix pairs; only ``after`` and ``body_start`` are read.
        tokenizer: the model's tokenizer.
        max_length: longest example, in tokens.
    """
    input_ids, labels = [], []
    skipped = truncated = lost = 0
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    for pair in pairs:
        body = pair.after[pair.body_start :]
        if not body.strip():
            skipped += 1
            continue
        prompt, completion = _split(tokenizer, pair.after[: pair.body_start], body)
        completion += end
        if len(prompt) + len(completion) > max_length:
            truncated += 1
            keep = max(max_length // 4, max_length - len(completion))
            prompt = prompt[-keep:]
            lost += max(0, len(completion) - (max_length - len(prompt)))
            completion = completion[: max_length - len(prompt)]
        input_ids.append(prompt + completion)
        labels.append([MASKED] * len(prompt) + completion)
    return Examples(input_ids, labels, skipped, truncated, lost)


def _split(tokenizer: Any, prompt: str, body: str) -> tuple[list[int], list[int]]:
    """Encode prompt and body so that the first part is what the prompt alone gives."""
    head = list(tokenizer(prompt)["input_ids"])
    if tokenizer.eos_token_id is not None and head[-1:] == [tokenizer.eos_token_id]:
        head.pop()
    whole = list(tokenizer(prompt + body, add_special_tokens=False)["input_ids"])
    plain = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    if whole[: len(plain)] == plain:
        # Tokenizers that put a space before every text would put one before a body on its own.
        return head, whole[len(plain) :]
    return head, list(tokenizer(body, add_special_tokens=False)["input_ids"])
