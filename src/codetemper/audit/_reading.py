# SPDX-License-Identifier: Apache-2.0
"""Samples in tokens, laid out as the model reads them, with the positions that pools look at.

Special tokens that a text spells out are read as text, since a sample that could end itself would
choose what is looked at. Rows are padded on the right, like lengths together within a run of
samples, so that no more than a run is in memory.

| form | reads | ``decision`` |
|---|---|---|
| one encoder | the beginning of the text | first position |
| classifier of two stacks | the same; for the decoder shifted by one | the decoder's last |
| decoder | of a long sample as much answer as prompt | last token of the prompt |
| seq2seq | the prompt; the answer shifted by one | where the answer begins |

Where no sample has an answer, a decoder decides at the last token of the text.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from codetemper.audit._stacks import BlockStack, form_of
from codetemper.core.errors import UsageError
from codetemper.data.labelled import Labelled
from codetemper.models.virtual import virtual_tokens

#: Samples that are in tokens at a time, and most tokens of one batch.
_RUN, _TOKENS = 1024, 1 << 13


@dataclass
class Line:
    """What one stack reads of one sample.

    Attributes:
        ids: its tokens.
        decision: the position a decision is read at.
        ends: positions where a line of the text ends; the last one where none does.
    """

    ids: list[int]
    decision: int
    ends: npt.NDArray[np.int64]


@dataclass
class Batch:
    """Some samples, side by side.

    Attributes:
        rows: their numbers.
        inputs: keyword arguments of the model.
        lines: what each stack reads of each, by stack, then by sample.
    """

    rows: list[int]
    inputs: dict[str, Any]
    lines: list[list[Line]]


class Reader:
    """Lays samples out for a model.

    Attributes:
        form: what the model does with a text.
        target: the part of it that is called; a decoder's head is not needed.
    """

    def __init__(
        self, module: nn.Module, tokenizer: Any, stacks: Sequence[BlockStack], max_length: int
    ) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UsageError(
                "this tokenizer does not tell where its tokens are in the text",
                why="it has no fast version",
                mend="put a tokenizer.json into the model's folder",
            )
        config: Any = module.config
        self.form = form_of(module)
        whole: Any = module
        self.target: Any = whole if self.form == "classifier" else whole.base_model
        self._tokenizer = tokenizer
        self._pair = len(stacks) > 1
        self._reads_first = not self._pair and stacks[0].role == "encoder"
        self._limit = min(max_length, tokenizer.model_max_length, positions(module))
        self._known = int(module.get_input_embeddings().num_embeddings)  # type: ignore[operator]
        pads = (getattr(config, "pad_token_id", None), tokenizer.pad_token_id, 0)
        self._pad = next(int(pad) for pad in pads if pad is not None)
        start = getattr(config, "decoder_start_token_id", None)
        self._start = self._pad if start is None else int(start)
        end = getattr(config, "eos_token_id", None)
        self._end = int(end[0] if isinstance(end, list) else end) if end is not None else None
        self._cached = "use_cache" in inspect.signature(self.target.forward).parameters
        self._device = next(module.parameters()).device

    def batches(self, samples: Sequence[Labelled], size: int) -> Iterator[Batch]:
        """Yield samples in batches of at most ``size``, each exactly once."""
        for begin in range(0, len(samples), _RUN):
            run = [self._lines(sample) for sample in samples[begin : begin + _RUN]]
            lengths = [max(len(line.ids) for line in lines) for lines in run]
            group: list[int] = []
            for number in sorted(range(len(run)), key=lambda k: (-lengths[k], k)):
                tokens = (len(group) + 1) * lengths[(group or [number])[0]]
                if group and (len(group) == size or tokens > _TOKENS):
                    yield self._batch(begin, group, run)
                    group = []
                group.append(number)
            yield self._batch(begin, group, run)

    def _batch(self, begin: int, group: list[int], run: list[list[Line]]) -> Batch:
        by_stack = [list(lines) for lines in zip(*(run[number] for number in group), strict=True)]
        ids, mask = self._padded(by_stack[0])
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if self.form == "seq2seq":
            ids, mask = self._padded(by_stack[1])
            inputs |= {"decoder_input_ids": ids, "decoder_attention_mask": mask}
        if self._cached:
            inputs["use_cache"] = False
        return Batch([begin + number for number in group], inputs, by_stack)

    def _padded(self, lines: Sequence[Line]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(len(line.ids) for line in lines)
        ids = np.full((len(lines), longest), self._pad, dtype=np.int64)
        mask = np.zeros((len(lines), longest), dtype=np.int64)
        for row, line in enumerate(lines):
            ids[row, : len(line.ids)] = line.ids
            mask[row, : len(line.ids)] = 1
        return torch.from_numpy(ids).to(self._device), torch.from_numpy(mask).to(self._device)

    def _lines(self, sample: Labelled) -> list[Line]:
        """Return what each stack reads of a sample."""
        if self.form == "seq2seq" and sample.answer_start is not None:
            asked = self._read(sample.text[: sample.answer_start])
            answer = self._shifted(self._read(sample.text[sample.answer_start :]))
            answer.decision = 0
            return [asked, answer]
        line = self._read(sample.text, sample.answer_start)
        # A classifier shifts by itself, to the same positions.
        return [line, self._shifted(line)] if self._pair else [line]

    def _shifted(self, line: Line) -> Line:
        ends = np.unique(np.minimum(line.ends + 1, len(line.ids) - 1))
        return Line([self._start, *line.ids[:-1]], line.decision, ends)

    def _read(self, text: str, border: int | None = None) -> Line:
        """Return a text in tokens, cut to what fits."""
        tokens = self._tokens(text)
        count, first = len(tokens.ids), 0
        decision = 0 if self._reads_first else count - 1
        if self.form == "decoder" and border is not None:
            decision = max(int(np.count_nonzero(tokens.ends <= border)) - 1, 0)
            first = max(0, min(count - self._limit, decision + 1 - self._limit // 2))
        last = min(count, first + self._limit)
        kept = tokens.ids[first:last]
        if last < count and tokens.special[-1]:
            kept[-1] = tokens.ids[-1]
        newlines = np.flatnonzero(np.frombuffer(text.encode("utf-32-le"), np.uint32) == ord("\n"))
        before = np.searchsorted(newlines, np.append(tokens.begins, len(text)))
        ends = np.flatnonzero(np.diff(before))
        ends = ends[(ends >= first) & (ends < last)] - first
        at = min(decision - first, len(kept) - 1)
        return Line(kept, at, ends if len(ends) else np.array([len(kept) - 1]))

    def _tokens(self, text: str) -> _Tokens:
        """Return all tokens of a text, special ones where their text would be."""
        made = self._tokenizer(
            text,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            split_special_tokens=True,
            verbose=False,
        )
        ids, special = list(made["input_ids"]), list(made["special_tokens_mask"])
        places = list(made["offset_mapping"])
        if not ids or (self._pair and ids[-1] != self._end):
            start = self._tokenizer.bos_token_id
            empty = self._end if self._pair or start is None else start
            ids.append(self._pad if empty is None else empty)
            special.append(1)
            places.append((0, 0))
        if max(ids) >= self._known:
            raise UsageError(
                "the tokenizer does not belong to the model",
                why=f"it gives token {max(ids)}, and the model knows {self._known}",
                mend="put the tokenizer that the model was trained with into its folder",
            )
        begins, ends = np.array(places, dtype=np.int64).reshape(-1, 2).T
        plain = np.flatnonzero(np.array(special) == 0)
        tail = int(plain[-1]) + 1 if len(plain) else 1
        begins[tail:] = ends[tail:] = len(text)
        return _Tokens(ids, special, begins, ends)


@dataclass
class _Tokens:
    ids: list[int]
    special: list[int]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def positions(module: nn.Module) -> int:
    """Return how many tokens of text fit a model's positions."""
    config: Any = module.config
    known = getattr(config, "max_position_embeddings", None)
    if known is None:
        return 1 << 31
    # RoBERTa counts positions from behind the padding token's.
    taken = [
        part.padding_idx + 1
        for part in module.modules()
        if isinstance(part, nn.Embedding) and part.padding_idx is not None
        if part.num_embeddings == known != config.vocab_size
    ]
    return int(known) - max(taken, default=0) - virtual_tokens(module)
