# SPDX-License-Identifier: Apache-2.0
"""From answers in tokens to tensors: a prompt stands once, and all its answers hang on it.

    batch = lay_out(answers, Layout.SHARED)     # input_ids, position_ids, trunk, branch, index, ...
    scores = answer_scores(model, batch)        # log p(answer | prompt), [answers]

Answers to one prompt make a tree that is laid flat: ``[prompt | answer | answer | ...]``. Every
answer's positions go on from the prompt's end, and a mask lets each token see the tokens before it
of the prompt and of its own answer. So the prompt is computed once for a pair of answers, or for
any number, and the numbers are those of ``[prompt | answer]`` in rows of their own, up to rounding.
Trees are packed into rows. Whether a model keeps to such a mask is tried by ``layout_of``; where it
does not, answers are packed as sequences (``_batches``), or each has a row.

The head is computed where answers are foretold. Their log-probabilities are taken without a
second tensor of the logits' size: of the tokens' distributions only the gradient is ever formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import nn

from codetemper.harden._batches import fill, logits_at, packs

#: Longest difference of logits, relative to their size, that counts as rounding.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Tokens:
    """One answer and what it answers, in tokens.

    Attributes:
        prompt: tokens of the prompt; at least one.
        answer: tokens of the answer, the end token included; at least one.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


class Layout(Enum):
    """How answers share rows."""

    SHARED = "shared"
    """A prompt stands once for all its answers."""
    PACKED = "packed"
    """Every answer has its prompt; several stand in a row."""
    PLAIN = "plain"
    """Every answer has its prompt and a row."""


def lay_out(answers: Sequence[Tokens], layout: Layout, *, pad: int = 0) -> dict[str, torch.Tensor]:
    """Make one batch of tensors.

    Args:
        answers: what is scored, in the order of the scores.
        layout: how they share rows.
        pad: token to fill up with; it is never seen by an answer.

    Returns:
        ``input_ids``, ``position_ids`` [rows, width]; for ``SHARED`` also ``trunk`` and ``branch``
        [rows, width]: which tree a token is of, and which of its branches, 0 being the prompt;
        ``index`` [n], where in the flattened rows each answer token is foretold; ``labels`` [n],
        the token; ``owner`` [n], which answer it is of; ``lengths`` [answers], tokens of each.
    """
    trees: dict[tuple[int, ...] | int, list[int]] = {}
    for number, tokens in enumerate(answers):
        trees.setdefault(tokens.prompt if layout is Layout.SHARED else number, []).append(number)
    grown = list(trees.values())
    sizes = [
        len(answers[tree[0]].prompt) + sum(len(answers[n].answer) for n in tree) for tree in grown
    ]
    width = max(sizes, default=1)
    rows = fill(sizes, 0 if layout is Layout.PLAIN else width)
    ids = torch.full((len(rows), width), pad)
    positions, trunk, branch = (torch.zeros_like(ids) for _ in range(3))
    index = torch.empty(sum(len(tokens.answer) for tokens in answers), dtype=torch.long)
    lengths = torch.tensor([len(tokens.answer) for tokens in answers])
    starts = [0, *lengths.cumsum(0).tolist()]
    for row, chosen in enumerate(rows):
        at = 0
        for tree in chosen:
            prompt = answers[grown[tree][0]].prompt
            first, end = row * width + at, at + len(prompt)
            ids[row, at:end] = torch.tensor(prompt)
            positions[row, at:end] = torch.arange(len(prompt))
            trunk[row, at : at + sizes[tree]] = tree + 1
            for number, which in enumerate(grown[tree]):
                answer = answers[which].answer
                begin, end = end, end + len(answer)
                ids[row, begin:end] = torch.tensor(answer)
                positions[row, begin:end] = torch.arange(len(prompt), len(prompt) + len(answer))
                branch[row, begin:end] = number + 1
                places = index[starts[which] : starts[which + 1]]
                places.copy_(torch.arange(begin - 1, end - 1)).add_(row * width)
                # The prompt's last token foretells the first of every answer.
                places[0] = first + len(prompt) - 1
            at = end
        # A sequence of its own, seen by none.
        positions[row, at:] = torch.arange(width - at)
    batch = {
        "input_ids": ids,
        "position_ids": positions,
        "index": index,
        "labels": torch.tensor([token for tokens in answers for token in tokens.answer]),
        "owner": torch.repeat_interleave(torch.arange(len(answers)), lengths),
        "lengths": lengths,
    }
    return batch | ({"trunk": trunk, "branch": branch} if layout is Layout.SHARED else {})


def sight(batch: dict[str, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """Return what tokens see of each other, as a mask to add to attention, [rows, 1, w, w].

    A token sees itself and those before it that are of the same tree, and of the prompt or of the
    same branch.
    """
    trunk, branch = batch["trunk"], batch["branch"]
    width = trunk.shape[1]
    seen = trunk[:, :, None] == trunk[:, None, :]
    seen &= (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
    seen &= torch.ones(width, width, dtype=torch.bool, device=trunk.device).tril()
    mask = torch.zeros(seen.shape, dtype=dtype, device=trunk.device)
    return mask.masked_fill_(~seen, float("-inf"))[:, None]


def answer_scores(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the log-probability of each answer after its prompt, summed, in nats, [answers].

    Args:
        model: what is called: the module, or what wraps it for several processes.
        batch: of ``lay_out``, on the model's device.
    """
    scores = _LogProbabilities.apply(_logits(model, batch), batch["labels"])
    zero = scores.new_zeros(len(batch["lengths"]))
    return zero.index_add(0, batch["owner"], scores)


def _logits(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    if "trunk" in batch:
        batch = batch | {"attention_mask": sight(batch, next(model.parameters()).dtype)}
    return logits_at(model, batch)


class _LogProbabilities(torch.autograd.Function):
    """``log softmax(logits)[label]``, [n]: the logits are kept, and nothing else of their size.

    The gradient of a score with respect to the logits is ``onehot(label) - softmax(logits)``. In
    float32 it is written over the logits, which nobody needs any more then: a model that does keep
    its logits for its own backward pass is told by torch, and that is an error, not a wrong number.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Compute in float32 whatever the logits are."""
        total = torch.logsumexp(logits.float(), 1)
        ctx.save_for_backward(logits, labels, total)
        return logits.gather(1, labels[:, None])[:, 0].float() - total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the gradient of the logits."""
        (given,) = grads
        logits, labels, total = ctx.saved_tensors
        found = logits.float().sub_(total[:, None]).exp_().mul_(-given[:, None])
        found.scatter_add_(1, labels[:, None], given[:, None])
        return found.to(logits.dtype), None


@torch.no_grad()
def layout_of(module: nn.Module, longest: int) -> Layout:
    """Say how answers may share rows with this model, by trying it.

    Args:
        module: a causal language model.
        longest: tokens of the longest prompt with its answer. Where a model sees no further back
            than a window that is shorter, prompts are not shared: the mask would show more.
    """
    config: Any = module.config
    text = config.get_text_config(decoder=True)
    near = [getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size")]
    if all(window is None or window >= longest for window in near) and _shares(module):
        return Layout.SHARED
    return Layout.PACKED if packs(module) else Layout.PLAIN


def _shares(module: nn.Module) -> bool:
    size = int(module.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    words = [number * 7 % size for number in range(1, 40)]
    answers = [
        Tokens(tuple(words[:9]), tuple(words[9:14])),
        Tokens(tuple(words[20:24]), tuple(words[24:26])),
        Tokens(tuple(words[:9]), tuple(words[14:20])),
        Tokens(tuple(words[20:24]), tuple(words[30:33])),
    ]
    device = next(module.parameters()).device
    mode = module.training
    module.eval()
    try:
        found = []
        for layout in (Layout.SHARED, Layout.PLAIN):
            batch = {n: t.to(device) for n, t in lay_out(answers, layout).items()}
            found.append(_logits(module, batch))
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False
    finally:
        module.train(mode)
    shared, alone = found
    return bool((shared - alone).abs().max() <= _ROUNDING * alone.abs().max().clamp(min=1.0))
