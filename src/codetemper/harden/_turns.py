# SPDX-License-Identifier: Apache-2.0
"""Training in turns: steps on secure samples, then steps on the data, each held near the other.

    turns = Turns(secure, steps=(5, 45), rho=1.0)
    tune(model, pairs, config, folder, turns=turns)

Bi-state optimisation with a proximal term (Lisa, 2405.18641): round after round the weights go

    w' = argmin  loss on secure samples + rho / 2 * |v - w |^2     by ``steps[0]`` steps from w
    w  = argmin  loss on the data       + rho / 2 * |v - w'|^2     by ``steps[1]`` steps from w'

so the anchor of either state is where the other one ended, and that of the first is the start. One
optimiser with one learning rate serves both, as in the published code; that code leaves the term
out over the first tenth of the steps, and here as in the formulas it is there throughout. The norm
is that of what is trained: of a low-rank adapter its two factors, not their product. Nothing here
reads a batch or knows a loss: the term is put into the gradient after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from codetemper.core.records import FixPair


@dataclass(frozen=True)
class Turns:
    """Which steps are on secure samples, and how both kinds are held to where the other ended.

    Attributes:
        secure: samples known to be secure.
        steps: of a turn on them, and of a turn on the data.
        rho: weight of the proximal term.
    """

    secure: tuple[FixPair, ...]
    steps: tuple[int, int]
    rho: float

    def beside(self, steps: int) -> int:
        """Return how many steps on secure samples go with so many on the data."""
        aligned, own = self.steps
        return aligned * math.ceil(steps / own)

    def aligns(self, step: int) -> bool:
        """Whether a step, counted from 0, is on secure samples."""
        return step % sum(self.steps) < self.steps[0]

    def switches(self, step: int) -> bool:
        """Whether a turn begins with a step."""
        return step == 0 or self.aligns(step) != self.aligns(step - 1)


def order(turns: Turns, *, own: int, secure: int, steps: int, size: int, seed: int) -> list[int]:
    """Return what all steps learn, one after the other, as numbers of examples.

    Args:
        turns: says which step is on what.
        own: examples of the data, whose numbers come first.
        secure: secure examples, numbered after them.
        steps: in all.
        size: examples of a step, in all its batches and processes.
        seed: of the shuffling, which is the trainer's own: pass n goes by seed + n.

    Returns:
        ``steps * size`` numbers. Each kind goes on where its last turn ended, pass after pass, and
        no step is smaller than others at the end of a pass.
    """
    kinds = {False: _passes(0, own, seed), True: _passes(own, secure, seed)}
    return [number for step in range(steps) for number in islice(kinds[turns.aligns(step)], size)]


def _passes(first: int, count: int, seed: int) -> Iterator[int]:
    shuffling = torch.Generator()
    while count:
        shuffling.manual_seed(seed)
        for number in torch.randperm(count, generator=shuffling).tolist():
            yield first + number
        seed += 1


class Anchor(TrainerCallback):  # type: ignore[misc]
    """Where the last turn ended: one copy of what is trained, and the pull towards it.

    Args:
        trained: what is trained, by name.
        turns: say when it is taken, and how hard it pulls.
    """

    def __init__(self, trained: Mapping[str, nn.Parameter], turns: Turns) -> None:
        self._trained, self._turns = dict(trained), turns
        # Contiguous, as files of tensors are.
        self._weights = {
            name: parameter.detach().clone(memory_format=torch.contiguous_format)
            for name, parameter in self._trained.items()
        }

    @torch.no_grad()
    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the weights as they are where a turn begins."""
        if self._turns.switches(state.global_step):
            for name, parameter in self._trained.items():
                self._weights[name].copy_(parameter)

    @torch.no_grad()
    def pull(self) -> None:
        """Add the proximal term's gradient, ``rho * (w - anchor)``, to what is there."""
        for name, parameter in self._trained.items():
            # What has no gradient does not move, and is where it was.
            if parameter.grad is not None:
                parameter.grad.add_(parameter - self._weights[name], alpha=self._turns.rho)

    def write(self, path: Path) -> None:
        """Write the anchor, in safetensors."""
        save_file({name: weights.cpu() for name, weights in self._weights.items()}, path)

    def read(self, path: Path) -> None:
        """Go on with the anchor of a file that ``write`` made."""
        for name, weights in load_file(path).items():
            self._weights[name].copy_(weights)
