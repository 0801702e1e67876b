# SPDX-License-Identifier: Apache-2.0
"""What completions that are being written have in common, whichever way a model reads its prompt.

``generation`` continues prompts with decoders, ``answering`` answers them with encoder-decoders.
Both draw through ``sampling`` and end a row by its end token, its stops or its budget. Nothing here
runs a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from codetemper.backends.sampling import choose, uniforms
from codetemper.backends.stopping import Reader, cut
from codetemper.core.errors import UsageError
from codetemper.core.records import Completion, Sampling

#: Finished rows are taken out once they are this share of the batch; taking out copies the cache.
LEAVE = 0.2


@dataclass
class Row:
    """One completion that is being written.

    Attributes:
        prompt: index of its prompt.
        index: which of the n.
        tokens: what it holds so far, the end token left out.
        logprob: sum over all tokens drawn, in nats.
        text: set when it is done.
        finished: whether it ended by itself.
    """

    prompt: int
    index: int
    uniform: npt.NDArray[np.float64]
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    text: str | None = None
    finished: bool = False


class Writing(ABC):
    """The prompts of one call, and how their rows go on and end.

    Attributes:
        ids: tokens of each prompt.
        before: those of them that the text of a completion goes on from.
        budgets: most tokens of a completion of each; set by ``begin``.
    """

    def __init__(
        self,
        module: nn.Module,
        tokenizer: Any,
        prompts: Sequence[str],
        sampling: Sampling,
        stops: Sequence[Sequence[str]],
    ) -> None:
        self.module, self.sampling, self.prompts = module, sampling, prompts
        self.stops = [tuple(stop for stop in row if stop) for row in stops]
        self.reader = Reader(tokenizer)
        self.ids = encode(tokenizer, prompts)
        self.before: Sequence[Sequence[int]] = self.ids
        self.ends = end_tokens(module, tokenizer)
        self.device = next(module.parameters()).device
        self.budgets: list[int] = []
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Set ``budgets``, and what else depends on how the model reads a prompt."""

    def fresh(self, prompt: int, index: int) -> Row:
        """Return a completion of a prompt that nothing is written of."""
        budget = self.budgets[prompt] if self.sampling.temperature > 0 else 0
        return Row(prompt, index, uniforms(self.sampling.seed, self.prompts[prompt], index, budget))

    def draw(self, rows: Sequence[Row], logits: torch.Tensor) -> torch.Tensor:
        """Append a token to every row that is not done, and see which are done by it.

        Args:
            rows: in the order of the logits.
            logits: [rows, vocabulary].

        Returns:
            The tokens [rows], which a row that is done has, too.
        """
        greedy = self.sampling.temperature == 0
        numbers = [
            0.0 if greedy or row.text is not None else row.uniform[len(row.tokens)] for row in rows
        ]
        uniform = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        tokens, logprobs = choose(logits, self.sampling, uniform)
        drawn = zip(rows, tokens.tolist(), logprobs.tolist(), strict=True)
        for row, token, logprob in drawn:
            if row.text is None:
                self._append(row, token, logprob)
        return tokens

    def _append(self, row: Row, token: int, logprob: float) -> None:
        row.logprob += logprob
        before, stops = self.before[row.prompt], self.stops[row.prompt]
        if token in self.ends:
            row.text, row.finished = self.reader.text(before, row.tokens), True
            return
        row.tokens.append(token)
        full = len(row.tokens) >= self.budgets[row.prompt]
        if full or self.reader.completes(token, stops):
            text, stopped = cut(self.reader.text(before, row.tokens), stops)
            if full or stopped:
                row.text, row.finished = text, stopped

    def completion(self, row: Row) -> Completion:
        """Return a row that is done as a record."""
        return Completion(
            case=str(row.prompt),
            index=row.index,
            text=row.text or "",
            tokens=len(row.tokens),
            logprob=row.logprob,
            finished=row.finished,
        )


def refuse_prompt(tokens: int, positions: int) -> UsageError:
    """Return what is said of a prompt that is too long."""
    return UsageError(
        f"a prompt of {tokens} tokens does not fit the model",
        why=f"it has {positions} positions for text, and the completion needs some",
        mend="shorten the prompt, or use a model with a longer context",
    )


def encode(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of each prompt, never empty: an empty prompt is the start token."""
    rows = tokenizer(list(prompts))["input_ids"] if prompts else []
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return [list(row) or [start] for row in rows]


def end_tokens(module: nn.Module, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end a completion, by generation config, config or tokenizer."""
    generation: Any = getattr(module, "generation_config", None)
    config: Any = module.config
    for holder in (generation, config, tokenizer):
        ends = getattr(holder, "eos_token_id", None)
        if ends is not None:
            return frozenset(ends) if isinstance(ends, list | tuple) else frozenset({int(ends)})
    return frozenset()
