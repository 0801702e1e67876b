# SPDX-License-Identifier: Apache-2.0
"""The sampling loop: n completions a prompt, one prefill a prompt, rows that leave when done.

    completions = generate(module, tokenizer, prompts, Sampling(n=10), stops)

Prompts are sorted by length and join a running batch. Each is run through the model once; its
keys and values are then copied for its n rows. Rows that are finished leave, and the next prompts
take their place, so the batch stays full until the last prompt. A draw depends on (prompt, seed,
index) alone: see ``sampling``. What an encoder-decoder answers is written by ``answering``; beam
search is not served here.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from codetemper.backends.answering import Answering
from codetemper.backends.kv_cache import Part, empty_cache, rebuild
from codetemper.backends.writing import LEAVE, Row, Writing, refuse_prompt
from codetemper.core.errors import UsageError
from codetemper.core.records import Completion, Event, OnEvent, Sampling, ignore_events
from codetemper.models.seq2seq import is_encoder_decoder
from codetemper.models.virtual import virtual_tokens


@dataclass
class Batch:
    """Rows in flight, all ending at the same column of the cache.

    Attributes:
        pads: columns of left padding of each row.
        last: token each row goes on from.
    """

    rows: list[Row]
    cache: Any
    pads: torch.Tensor
    last: torch.Tensor


class Generation(Writing):
    """One call of ``generate`` with a decoder: what is still to do."""

    def begin(self) -> None:
        """Find how the module is called, and in which order prompts join."""
        config: Any = self.module.config
        self.layers = int(config.get_text_config(decoder=True).num_hidden_layers)
        self.keep = takes_logits_to_keep(self.module)
        # Virtual tokens of a patch take positions and columns of the cache, in front of the text.
        self.virtual = virtual_tokens(self.module)
        positions = int(getattr(config, "max_position_embeddings", None) or 2**31)
        self.positions = positions - self.virtual
        self.budgets = [self._budget(row) for row in self.ids]
        # Longest first: later prompts then fit under the columns that are there.
        self.waiting = sorted(range(len(self.prompts)), key=lambda k: (-len(self.ids[k]), k))

    def _budget(self, ids: Sequence[int]) -> int:
        room = self.positions - len(ids)
        if room < 1:
            raise refuse_prompt(len(ids), self.positions)
        return min(room, self.sampling.max_new_tokens)

    def run(self, size: int, on_event: OnEvent) -> list[list[Completion]]:
        """Write all completions, with about ``size`` rows in flight."""
        done: list[list[Completion | None]] = [[None] * self.sampling.n for _ in self.prompts]
        total, ready = len(self.prompts) * self.sampling.n, 0
        batch: Batch | None = None
        while batch is not None or self.waiting:
            batch, finished = self._renew(batch, size)
            for row in finished:
                done[row.prompt][row.index] = self.completion(row)
            if finished:
                ready += len(finished)
                on_event(Event(stage="generate", done=ready, total=total, unit="completions"))
            if batch is not None:
                self._advance(batch)
        return [[completion for completion in row if completion is not None] for row in done]

    def _renew(self, batch: Batch | None, size: int) -> tuple[Batch | None, list[Row]]:
        """Take out finished rows and take in waiting prompts, where it is worth a copy."""
        rows = [] if batch is None else batch.rows
        alive = [k for k, row in enumerate(rows) if row.text is None]
        gone = len(rows) - len(alive)
        free = size - len(alive)
        joins = self.waiting and (not alive or free >= max(self.sampling.n, LEAVE * size))
        if not joins and alive and gone < max(1.0, LEAVE * len(rows)):
            return batch, []
        finished = [row for row in rows if row.text is not None]
        parts: list[tuple[Batch, list[int]]] = []
        if batch is not None and alive:
            parts.append((batch, alive))
        if joins:
            count = max(1, free // self.sampling.n)
            fresh = self._prefill(self.waiting[:count])
            del self.waiting[:count]
            living = [k for k, row in enumerate(fresh.rows) if row.text is None]
            finished += [row for row in fresh.rows if row.text is not None]
            if living:
                parts.append((fresh, living))
        return (self._joined(parts) if parts else None), finished

    def _joined(self, parts: Sequence[tuple[Batch, list[int]]]) -> Batch:
        """Make one batch of rows of several, without columns that are padding for all."""
        pieces, pads, lasts, lengths = [], [], [], []
        for batch, alive in parts:
            rows = torch.tensor(alive, device=self.device)
            pad = batch.pads[rows]
            trim = int(pad.min())
            prompts = [batch.rows[k] for k in alive]
            source = self._cache_rows(batch, prompts, rows)
            pieces.append(Part(batch.cache, source, trim))
            pads.append(pad - trim)
            lasts.append(batch.last[rows])
            lengths.append(batch.cache.get_seq_length() - trim)
        length = max(lengths)
        shifted = [pad + length - own for pad, own in zip(pads, lengths, strict=True)]
        return Batch(
            rows=[batch.rows[k] for batch, alive in parts for k in alive],
            cache=rebuild(pieces),
            pads=torch.cat(shifted),
            last=torch.cat(lasts),
        )

    def _cache_rows(self, batch: Batch, rows: Sequence[Row], at: torch.Tensor) -> torch.Tensor:
        """Rows of the cache that belong to rows of the batch: a prefill has one for n of them."""
        held = batch.cache.layers[0].keys.shape[0]
        return at if held == len(batch.rows) else at // self.sampling.n

    def _prefill(self, chosen: Sequence[int]) -> Batch:
        """Run prompts once each and draw the first token of each of their rows."""
        n = self.sampling.n
        longest = max(len(self.ids[k]) for k in chosen)
        pads = torch.tensor([longest - len(self.ids[k]) for k in chosen], device=self.device)
        padded = [[0] * (longest - len(self.ids[k])) + list(self.ids[k]) for k in chosen]
        cache = empty_cache(self.layers)
        logits = self._forward(torch.tensor(padded, device=self.device), cache, pads)
        rows = [self.fresh(k, index) for k in chosen for index in range(n)]
        pads = pads.repeat_interleave(n)
        batch = Batch(rows, cache, pads, torch.zeros_like(pads))
        batch.last = self.draw(rows, logits.repeat_interleave(n, dim=0))
        return batch

    def _advance(self, batch: Batch) -> None:
        """Run one column and draw the next token of each row."""
        logits = self._forward(batch.last[:, None], batch.cache, batch.pads)
        batch.last = self.draw(batch.rows, logits)

    def _forward(self, tokens: torch.Tensor, cache: Any, pads: torch.Tensor) -> torch.Tensor:
        """Return the logits after the last column, [rows, vocabulary]."""
        start = max(0, cache.get_seq_length() - self.virtual)
        columns = torch.arange(start + tokens.shape[1], device=self.device)
        kept = {"logits_to_keep": 1} if self.keep else {}
        output = self.module(
            input_ids=tokens,
            attention_mask=(columns >= pads[:, None]).long(),
            # Clamped above for rows that are done and wait to be taken out.
            position_ids=(columns[start:] - pads[:, None]).clamp(0, self.positions - 1),
            past_key_values=cache,
            use_cache=True,
            **kept,
        )
        return output.logits[:, -1]


def generate(
    module: nn.Module,
    tokenizer: Any,
    prompts: Sequence[str],
    sampling: Sampling,
    stops: Sequence[Sequence[str]] | None = None,
    *,
    batch_size: int = 64,
    on_event: OnEvent = ignore_events,
) -> list[list[Completion]]:
    """Write ``sampling.n`` completions of each prompt.

    Args:
        module: a transformers model that writes, in evaluation mode.
        tokenizer: its tokenizer.
        prompts: texts to continue; to an encoder-decoder, texts to answer.
        sampling: how to draw.
        stops: for each prompt, strings before the first of which a completion is cut.
        batch_size: rows in flight at a time; it moves speed and memory, not results.
        on_event: told how many completions are done.

    Returns:
        For each prompt its n completions; ``case`` is the prompt's position. ``tokens`` counts
        the tokens drawn without the end token, ``logprob`` sums over all that were drawn.

    Raises:
        UsageError: an encoder-decoder that gives labels, or a prompt that does not fit the model.
    """
    stops = stops if stops is not None else [()] * len(prompts)
    writes = Answering if is_encoder_decoder(module) else Generation
    if writes is Answering and not module.can_generate():  # type: ignore[operator]
        raise UsageError(
            f"{type(module).__name__} cannot continue a prompt",
            why="it is an encoder-decoder that does not write",
            mend="use a causal language model, or an encoder-decoder with a language head",
        )
    with torch.inference_mode():
        return writes(module, tokenizer, prompts, sampling, stops).run(batch_size, on_event)


def takes_logits_to_keep(module: nn.Module) -> bool:
    """Whether the model can compute the logits of the last column only."""
    return "logits_to_keep" in inspect.signature(module.forward).parameters
