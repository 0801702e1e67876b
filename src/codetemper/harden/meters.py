# SPDX-License-Identifier: Apache-2.0
r"""What tuning under guards does to the model that is used afterwards: leak, transfer gap, drift.

    meters = Meters(training, guards, benign, tokenizer, layout)
    first = meters.read(0)                    # before the first step: what later readings refer to
    meters.read(step).leak

The training loss is that of the guarded model, and says nothing of the one that is used. So all
meters are read with guards off. With :math:`\ell` the mean loss of an answer token in nats,

* **leak** :math:`= \ell^{off}_{bad}(0) - \ell^{off}_{bad}(t)`, on the canaries that a guard was not
  made of: how much likelier has become what the guard is to keep away. Of canaries that tell which
  tokens a fix changed, these count only; the rest of such code may be learnt. Of several guards the
  largest leak counts.
* **transfer gap** :math:`= \ell^{off}_{benign} - \ell^{on}_{benign}`, on samples of the data
  that are not flagged and not learnt: what was learnt on top of the guard, and is gone without it.
* **drift** :math:`= KL(base \,\|\, model)` a token, on the canaries that a guard leaves alone.

A leak of some hundredths of a nat is not one: any code makes other code likelier. Nothing here
decides what a reading means; ``tune`` has limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.data.examples import Example, Layout, encode
from codetemper.data.samples import CANARIES, read_canaries
from codetemper.harden._batches import Packer, logits_at, targets
from codetemper.harden._losses import LossWeights, retention
from codetemper.harden._methods import Training
from codetemper.harden.screening import token_losses
from codetemper.models.attach import OwnedPeftModel
from codetemper.models.guards import Guard

#: Samples that two distributions over the vocabulary are held of at a time, for every token.
_TOGETHER = 4


@dataclass(frozen=True)
class Reading:
    """The meters at one step. What cannot be told, for lack of samples, is None.

    Attributes:
        step: optimiser steps so far.
        bad: mean loss of a token of each guard's bad canaries, guards off, in nats.
        leak: how far the loss of one guard's canaries fell since the start, the largest.
        benign_off: mean loss of a token of held-out benign samples, guards off.
        benign_on: the same, all guards on.
        transfer_gap: their difference.
        kl_drift: divergence of the base from the model, guards off, in nats a token.
    """

    step: int
    bad: dict[str, float]
    leak: float | None
    benign_off: float | None
    benign_on: float | None
    transfer_gap: float | None
    kl_drift: float | None


@dataclass(frozen=True)
class _Asked:
    """Samples of one guard, each with the places among its targets that count."""

    examples: tuple[Example, ...]
    places: tuple[tuple[int, ...], ...]


class Meters:
    """Reads the meters of one training.

    Args:
        training: what ``trainable`` handed out, with the guards on it.
        guards: those.
        benign: samples that are not learnt, without what is flagged.
        tokenizer: of the model.
        layout: window and wrapper, as what is tuned is laid out.
    """

    def __init__(
        self,
        training: Training,
        guards: Sequence[Guard],
        benign: Sequence[Example],
        tokenizer: object,
        layout: Layout,
    ) -> None:
        if not isinstance(training.module, OwnedPeftModel):
            raise UsageError(
                "there is no guard to meter",
                why="no adapter is frozen on the model",
                mend="name a guard with --guard",
            )
        self._training, self._module = training, training.module
        self._benign = list(benign)
        self._bad: dict[str, _Asked] = {}
        self._retain: list[Example] = []
        self._start: dict[str, float] | None = None
        for guard in guards:
            if not (guard.folder / CANARIES).is_file():
                continue
            canaries = read_canaries(guard.folder)
            self._bad[guard.id] = _asked(canaries.bad, tokenizer, layout)
            self._retain += encode(canaries.retain, tokenizer, layout).items

    def read(self, step: int) -> Reading:
        """Read all meters; the first reading is what leaks are told from.

        Args:
            step: optimiser steps so far.
        """
        bad = self.losses_of_bad(self._training.shipped)
        if self._start is None:
            self._start = dict(bad)
        falls = [self._start[name] - loss for name, loss in bad.items()]
        off = self._benign_loss(())
        on = self._benign_loss(self._training.guards)
        return Reading(
            step=step,
            bad=bad,
            leak=max(falls, default=None),
            benign_off=off,
            benign_on=on,
            transfer_gap=None if off is None or on is None else off - on,
            kl_drift=self._drift(),
        )

    def losses_of_bad(self, active: Sequence[str]) -> dict[str, float]:
        """Return the mean loss of a token of each guard's bad canaries, in nats.

        Args:
            active: names of the adapters that are on meanwhile.
        """
        found = {}
        for name, asked in self._bad.items():
            losses = token_losses(self._module, (), asked.examples, under=active)
            counted = [
                float(each[0, place])
                for each, places in zip(losses, asked.places, strict=True)
                for place in places
            ]
            if counted:
                found[name] = sum(counted) / len(counted)
        return found

    def _benign_loss(self, guards: Sequence[str]) -> float | None:
        active = (*self._training.shipped, *guards)
        losses = token_losses(self._module, (), self._benign, under=active)
        tokens = sum(each.shape[1] for each in losses)
        return sum(float(each.sum()) for each in losses) / tokens if tokens else None

    @torch.no_grad()
    def _drift(self) -> float | None:
        module, total, tokens = self._module, 0.0, 0
        device = next(module.parameters()).device
        collate = Packer(LossWeights(), pack=False)
        modes = [(part, part.training) for part in module.modules()]
        module.eval()
        for begin in range(0, len(self._retain), _TOGETHER):
            batch = collate(self._retain[begin : begin + _TOGETHER])
            given = {name: value.to(device) for name, value in batch.items()}
            with self._training.as_base():
                base = logits_at(module, given)
            with self._training.unguarded():
                own = logits_at(module, given)
            total += float(retention(own, base))
            tokens += len(own)
        for part, mode in modes:
            part.training = mode
        return total / tokens if tokens else None


def _asked(samples: Sequence[FixPair], tokenizer: object, layout: Layout) -> _Asked:
    examples, places = [], []
    for example in encode(samples, tokenizer, layout).items:
        if example.fixed is None:
            continue
        changed = [token for _, _, token, _, _ in targets(example.fixed, True, 0)]
        examples.append(Example(example.fixed))
        counted = [n for n, token in enumerate(changed) if token]
        places.append(tuple(counted or range(len(changed))))
    return _Asked(tuple(examples), tuple(places))
