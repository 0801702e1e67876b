# SPDX-License-Identifier: Apache-2.0
r"""What a part of the model should write so that failing tokens come out right.

    found = search(engine, passages, wrong, ~wrong, [path], config)    # [N, d]

For each failing token a vector is added to what a module writes at the predicting position, and
learnt by Adam against

.. math:: NLL(failing) + kl \cdot KL(base \| now; others) + 0.02 \, \|\delta\| / \|v_0\|

where *others* are the answer's tokens that were right, and :math:`v_0` is what the module wrote. It
is kept within ``Config.value_clamp`` lengths of :math:`v_0`. A passage whose failing tokens cost
less than 0.05 nats each is done. This is the value search of ROME and MEMIT with code in place of
facts: there is no subject, so failing positions themselves are looked up, and rate and decay are in
units of :math:`v_0`, so that they mean the same in every layer and model. Nothing here changes a
weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from codetemper.harden.repair._forward import Recorder
from codetemper.harden.repair.descent import learning
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.settings import Config
from codetemper.models.hooks import hooked

#: Weight of the length of what is added, in lengths of what was written.
_DECAY = 0.02
#: A token that costs less than this, in nats, is right.
_ENOUGH = 0.05


def search(
    engine: Engine,
    passages: Sequence[Passage],
    wrong: torch.Tensor,
    kept: torch.Tensor,
    paths: Sequence[str],
    config: Config,
) -> torch.Tensor:
    """Find what the first of some modules should write more.

    Args:
        engine: the model.
        passages: answers, all of whose tokens are seen.
        wrong: which of them are looked up, a boolean for each token of each answer [T], in order.
        kept: which of them are to stay as predicted now, [T].
        paths: modules to which something is added, all together.
        config: ``value_*`` are read.

    Returns:
        What is added to the output of ``paths[0]`` at each failing token, [N, d] in float32.
    """
    found = []
    counts = [len(passage.wanted) for passage in passages]
    split = wrong.split(counts), kept.split(counts)
    with learning(engine, ()):
        for begin in range(0, len(passages), engine.batch_size):
            chosen = slice(begin, begin + engine.batch_size)
            some, still = (torch.cat(each[chosen]) for each in split)
            if bool(some.any()):
                found.append(_Search(engine, passages[chosen], some, still, paths, config).run())
    return torch.cat(found)


@dataclass
class _Added:
    """What is added to one module's output.

    Attributes:
        base: what it wrote at the failing tokens, [N, d] in float32.
        size: root mean square of each row of that, [N, 1].
        move: what is added, in units of ``size``, [N, d].
    """

    base: torch.Tensor
    size: torch.Tensor
    move: torch.Tensor

    @property
    def value(self) -> torch.Tensor:
        return self.move * self.size

    def ratio(self) -> torch.Tensor:
        """Return its length in lengths of what was written, [N]."""
        return (self.move.pow(2).mean(-1) + 1e-12).sqrt()

    def clamp(self, most: float) -> None:
        """Shorten rows to at most ``most`` lengths of what was written."""
        with torch.no_grad():
            self.move *= (most / self.ratio().clamp_min(1e-12)).clamp_max(1.0)[:, None]


class _Search:
    """The search for one batch of passages."""

    def __init__(
        self,
        engine: Engine,
        passages: Sequence[Passage],
        wrong: torch.Tensor,
        kept: torch.Tensor,
        paths: Sequence[str],
        config: Config,
    ) -> None:
        self._engine, self._passages, self._config = engine, passages, config
        self._wrong, self._kept = wrong, kept
        rows = [row for row, p in enumerate(passages) for _ in p.wanted]
        positions = [p.first + n for p in passages for n in range(len(p.wanted))]
        self._row = torch.tensor(rows, device=engine.device)
        self._at = (self._row[wrong], torch.tensor(positions, device=engine.device)[wrong])
        with outputs(engine, paths) as written, torch.no_grad():
            self._base = self._logits()[0].float().log_softmax(-1)[kept]
        self._added = {path: self._start(written[path][0][self._at]) for path in paths}
        self._first = paths[0]

    def run(self) -> torch.Tensor:
        """Search; return what is added to the first module, [N, d]."""
        moves = [added.move for added in self._added.values()]
        optimiser = torch.optim.Adam(moves, lr=self._config.value_rate)
        for _ in range(self._config.value_steps):
            with adding(self._engine, self._at, {p: a.value for p, a in self._added.items()}):
                logits, wanted = self._logits()
            failing, loss = self._losses(logits.float().log_softmax(-1), wanted)
            open_ = self._wrong_mean(failing) > _ENOUGH
            if not bool(open_.any()):
                break
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            before = [move.detach().clone() for move in moves]
            optimiser.step()
            done = ~open_[self._at[0]]
            with torch.no_grad():
                for move, old in zip(moves, before, strict=True):
                    move[done] = old[done]
            for added in self._added.values():
                added.clamp(self._config.value_clamp)
        return self._added[self._first].value.detach()

    def _start(self, base: torch.Tensor) -> _Added:
        base = base.float()
        size = base.pow(2).mean(-1, keepdim=True).sqrt().clamp_min(1e-12)
        return _Added(base, size, torch.zeros_like(base).requires_grad_(True))

    def _logits(self) -> tuple[torch.Tensor, torch.Tensor]:
        with Recorder(self._engine, ()) as recorder:
            self._engine.module(input_ids=self._engine.padded(self._passages), use_cache=False)
            return recorder.logits(self._passages)

    def _wrong_mean(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mean of values of failing tokens for each passage; 0 where it has none."""
        return _means(values, self._at[0], len(self._passages))

    def _losses(
        self, likely: torch.Tensor, wanted: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the cost of each failing token, and the sum of all passages' losses."""
        wrong = self._wrong
        failing = -likely[wrong].gather(1, wanted[wrong, None])[:, 0]
        loss = self._wrong_mean(failing).sum()
        if self._config.value_kl > 0 and bool(self._kept.any()):
            drift = (self._base.exp() * (self._base - likely[self._kept])).sum(-1)
            means = _means(drift, self._row[self._kept], len(self._passages))
            loss = loss + self._config.value_kl * means.sum()
        for added in self._added.values():
            loss = loss + _DECAY * self._wrong_mean(added.ratio()).sum()
        return failing.detach(), loss


def _means(values: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
    """Return means of values by row, [count]; 0 of rows without any."""
    empty = torch.zeros(count, dtype=values.dtype, device=values.device)
    number = empty.index_add(0, rows, torch.ones_like(values))
    return empty.index_add(0, rows, values) / number.clamp_min(1)


@contextmanager
def outputs(engine: Engine, paths: Sequence[str]) -> Iterator[dict[str, list[torch.Tensor]]]:
    """Note what modules write in each forward inside, [B, S, d]."""
    found: dict[str, list[torch.Tensor]] = {path: [] for path in paths}

    def noting(path: str) -> Any:
        def hook(part: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            found[path].append(_first_of(output).detach())

        return hook

    with hooked(engine.module, after={path: noting(path) for path in paths}):
        yield found


@contextmanager
def adding(
    engine: Engine, at: tuple[torch.Tensor, torch.Tensor], values: dict[str, torch.Tensor]
) -> Iterator[None]:
    """Add to what modules write.

    Args:
        engine: the model.
        at: rows and positions, [N] each.
        values: by module, [N, d].
    """

    def hook_for(value: torch.Tensor) -> Any:
        def hook(part: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            made = _first_of(output)
            made = made.index_put(at, value.to(made.dtype), accumulate=True)
            return (made, *output[1:]) if isinstance(output, tuple) else made

        return hook

    with hooked(engine.module, after={path: hook_for(value) for path, value in values.items()}):
        yield


def _first_of(output: Any) -> torch.Tensor:
    """Return what a module hands on; blocks of some architectures return a tuple."""
    found: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return found
