# SPDX-License-Identifier: Apache-2.0
"""Answers of encoder-decoders: the encoder reads a prompt once, the decoder writes n answers.

    completions = Answering(module, tokenizer, prompts, sampling, stops).run(64, on_event)

``generation.generate`` comes here with such a model. Prompts of like length are read together; the
rows of a batch begin at one column, so the decoder has no padding and any model's positions hold.
Rows that are done leave, with their keys and values; the next prompts begin when all are done. A
draw depends on (prompt, seed, index) alone: see ``sampling``. Beam search is not served here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutput

from codetemper.backends.writing import LEAVE, Row, Writing, refuse_prompt
from codetemper.core.records import Completion, Event, OnEvent
from codetemper.models.seq2seq import first_token


@dataclass
class _Batch:
    """Rows in flight, all as long.

    Attributes:
        states: what the encoder made of each row's prompt [rows, tokens, d].
        mask: which of these are of the prompt [rows, tokens].
        last: token each row goes on from [rows].
        cache: the decoder's keys and values; None before its first step.
    """

    rows: list[Row]
    states: torch.Tensor
    mask: torch.Tensor
    last: torch.Tensor
    cache: Any = None


class Answering(Writing):
    """One call of ``generate`` with an encoder-decoder."""

    def begin(self) -> None:
        """Find the decoder's first token, and how much each answer may hold."""
        # An answer begins a text of its own.
        self.before = [()] * len(self.prompts)
        self.first = first_token(self.module)
        positions = int(getattr(self.module.config, "max_position_embeddings", None) or 2**31)
        longest = max(map(len, self.ids), default=0)
        if longest > positions:
            raise refuse_prompt(longest, positions)
        self.budgets = [min(positions, self.sampling.max_new_tokens)] * len(self.prompts)

    def run(self, size: int, on_event: OnEvent) -> list[list[Completion]]:
        """Write all completions, with about ``size`` rows in flight."""
        n, done = self.sampling.n, 0
        found: list[list[Completion]] = [[] for _ in self.prompts]
        order = sorted(range(len(self.prompts)), key=lambda k: (-len(self.ids[k]), k))
        count = max(1, size // n)
        for begin in range(0, len(order), count):
            for row in self._written(order[begin : begin + count]):
                found[row.prompt].append(self.completion(row))
                done += 1
            total = len(order) * n
            on_event(Event(stage="generate", done=done, total=total, unit="completions"))
        return found

    def _written(self, chosen: Sequence[int]) -> list[Row]:
        """Write the answers to some prompts, in the order of these."""
        batch = self._read(chosen)
        rows = batch.rows
        while batch.rows:
            self._advance(batch)
            alive = [k for k, row in enumerate(batch.rows) if row.text is None]
            if len(batch.rows) - len(alive) >= max(1.0, LEAVE * len(batch.rows)):
                self._leave(batch, alive)
        return rows

    def _read(self, chosen: Sequence[int]) -> _Batch:
        """Run the encoder over prompts once each, for all of their rows."""
        n, longest = self.sampling.n, max(len(self.ids[k]) for k in chosen)
        padded = [[*self.ids[k], *[0] * (longest - len(self.ids[k]))] for k in chosen]
        lengths = torch.tensor([len(self.ids[k]) for k in chosen], device=self.device)
        mask = (torch.arange(longest, device=self.device) < lengths[:, None]).long()
        encoder: Any = self.module.get_encoder()  # type: ignore[operator]
        tokens = torch.tensor(padded, device=self.device)
        states = encoder(input_ids=tokens, attention_mask=mask).last_hidden_state
        rows = [self.fresh(k, index) for k in chosen for index in range(n)]
        last = torch.full((len(rows),), self.first, device=self.device)
        return _Batch(rows, states.repeat_interleave(n, 0), mask.repeat_interleave(n, 0), last)

    def _advance(self, batch: _Batch) -> None:
        """Run one column of the decoder and draw the next token of each row."""
        output = self.module(
            encoder_outputs=BaseModelOutput(last_hidden_state=batch.states),
            attention_mask=batch.mask,
            decoder_input_ids=batch.last[:, None],
            past_key_values=batch.cache,
            use_cache=True,
        )
        batch.cache = output.past_key_values
        batch.last = self.draw(batch.rows, output.logits[:, -1])

    def _leave(self, batch: _Batch, alive: Sequence[int]) -> None:
        """Take out the rows that are done."""
        batch.rows = [batch.rows[k] for k in alive]
        if batch.rows:
            at = torch.tensor(alive, device=self.device)
            batch.states, batch.mask, batch.last = (
                part[at] for part in (batch.states, batch.mask, batch.last)
            )
            batch.cache.batch_select_indices(at)
