# SPDX-License-Identifier: Apache-2.0
r"""What a repair moved elsewhere: sealed texts and earlier repairs, read before and under it.

    monitor = Monitor(engine, sealed, earlier)         # the model as it is without the repair
    with engine.drafting() as draft:
        put(draft, edit.deltas)
        reading = monitor.read(draft)
        reasons = over(reading, RepairBudgets(kl=0.02))   # empty: within all of them

Sealed texts are reference texts of which nothing was used to make the repair: no statistics, no
guard constraints. Read are, over their answer tokens: the accuracy, with an exact sign test over
texts (tokens of one text stand and fall together); how many predictions flipped; and mean and
largest :math:`KL(p_{before} \| p_{after})` in nats, of the head's own distribution (before a
cap on logits, where a model has one). Of earlier repairs it is read which are still right, and of
every changed matrix :math:`\lVert\Delta W\rVert_F / \lVert W\rVert_F`; that one is told and has no
budget, because it says little: a change along directions that no text uses is large and does
nothing. Nothing is run or judged here; free runs are the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from codetemper.core.repairs import RepairBudgets, RepairFlip, RepairReading
from codetemper.core.stats import mcnemar_exact
from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.draft import Draft
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.failures import Passage

#: Numbers of logits that are held at a time.
_LOGITS = 1 << 23
#: Flipped predictions that a reading names, those with the largest KL first.
NAMED = 20
#: Halvings of the step when a repair is shrunk to its budgets.
_HALVINGS = 6


class Monitor:
    """A model's predictions as they were, to compare with.

    Args:
        engine: the model without the repair; earlier patches may be on it.
        sealed: reference texts that nothing else has used.
        earlier: answers of earlier repairs, all their wordings.

    Attributes:
        engine: the model.
    """

    def __init__(
        self, engine: Engine, sealed: Sequence[Passage], earlier: Sequence[Passage] = ()
    ) -> None:
        self.engine, self._sealed = engine, tuple(sealed)
        self._before: Observation | None = engine.observe(sealed) if sealed else None
        self._earlier = _of_right(engine, earlier)

    def read(self, draft: Draft) -> RepairReading:
        """Look at the sealed texts and the earlier repairs with a change on the model."""
        still = dict(_rights(self.engine, self._earlier))
        broken = tuple(name for name, right in still.items() if not right)
        weights = {layer: _share(self.engine, draft, layer) for layer in sorted(draft.deltas)}
        if self._before is None:
            return RepairReading(
                texts=0, tokens=0, accuracy=(0.0, 0.0), better=0, worse=0, p=1.0, flips=0.0, kl=0.0,
                kl_max=0.0, flipped=(), earlier=len(still), broken=broken, weights=weights,
            )  # fmt: skip
        before, after = self._before, self.engine.observe(self._sealed)
        kl = self._divergence(before, after)
        was, now = ~before.wrong, ~after.wrong
        better, worse = _by_text(before, was, now)
        return RepairReading(
            texts=len(self._sealed),
            tokens=len(before),
            accuracy=(float(was.double().mean()), float(now.double().mean())),
            better=better,
            worse=worse,
            p=mcnemar_exact(better, worse),
            flips=float((before.predicted != after.predicted).double().mean()),
            kl=float(kl.mean()),
            kl_max=float(kl.max()),
            flipped=self._flips(before, after, kl),
            earlier=len(still),
            broken=broken,
            weights=weights,
        )

    def _divergence(self, before: Observation, after: Observation) -> torch.Tensor:
        """Return KL(before || after) at every point, [T], in float64."""
        head, dtype = self.engine.head, self.engine.head_weight.dtype
        size = max(1, _LOGITS // len(self.engine.head_weight))
        found = []
        with torch.no_grad():
            for old, new in zip(before.hidden.split(size), after.hidden.split(size), strict=True):
                p = head(old.to(dtype)).double().log_softmax(-1)
                q = head(new.to(dtype)).double().log_softmax(-1)
                found.append((p.exp() * (p - q)).sum(-1).clamp_min(0.0))
        return torch.cat(found).cpu()

    def _flips(
        self, before: Observation, after: Observation, kl: torch.Tensor
    ) -> tuple[RepairFlip, ...]:
        places = (before.predicted != after.predicted).nonzero()[:, 0].tolist()
        worst = sorted(places, key=lambda n: (-float(kl[n]), n))[:NAMED]
        found = []
        for n in worst:
            passage = self._sealed[int(before.passage[n])]
            found.append(
                RepairFlip(
                    text=passage.failure,
                    token=int(before.position[n]) - passage.first,
                    wanted=int(before.wanted[n]),
                    before=int(before.predicted[n]),
                    after=int(after.predicted[n]),
                    kl=float(kl[n]),
                )
            )
        return tuple(found)


def over(reading: RepairReading, budgets: RepairBudgets) -> tuple[str, ...]:
    """Return which budgets a reading passes, a sentence each; none where all are kept."""
    lost = reading.accuracy[0] - reading.accuracy[1]
    told = []
    if budgets.accuracy is not None and lost > budgets.accuracy:
        told.append(
            f"accuracy on sealed texts fell by {lost:.4f} (p = {reading.p:.3g}), budget "
            f"{budgets.accuracy:g}"
        )
    if budgets.flips is not None and reading.flips > budgets.flips:
        told.append(f"{reading.flips:.4f} of predictions flipped, budget {budgets.flips:g}")
    if budgets.kl is not None and reading.kl > budgets.kl:
        told.append(f"mean KL is {reading.kl:.4f} nats a token, budget {budgets.kl:g}")
    if budgets.broken is not None and len(reading.broken) > budgets.broken:
        told.append(
            f"{len(reading.broken)} of {reading.earlier} earlier repairs came undone, budget "
            f"{budgets.broken}: {', '.join(reading.broken[:5])}"
        )
    return tuple(told)


def shrunk(
    monitor: Monitor,
    draft: Draft,
    deltas: Mapping[int, Delta],
    passages: Sequence[Passage],
    budgets: RepairBudgets,
) -> tuple[float, RepairReading] | None:
    """Find the largest step, below 1, at which a change keeps to its budgets.

    One step for all layers, by bisection; the change of that size is on the model afterwards.

    Args:
        monitor: of the model without the change.
        draft: where the change is put.
        deltas: the whole change.
        passages: the repaired answers; those that are right under the whole change must stay so.
        budgets: what it may move.

    Returns:
        The step and what was read there; None where no step keeps to the budgets with the answers
        right, and then the whole change is on the model.
    """
    engine = monitor.engine
    put(draft, deltas)
    repaired = [p for p, right in _pairs(engine, passages) if right]
    low, high, kept = 0.0, 1.0, None
    for _ in range(_HALVINGS):
        step = (low + high) / 2
        put(draft, scaled(deltas, step))
        reading = monitor.read(draft)
        if over(reading, budgets):
            high = step
            continue
        low = step
        if all(right for _, right in _pairs(engine, repaired)):
            kept = step, reading
    put(draft, deltas if kept is None else scaled(deltas, kept[0]))
    return kept


def put(draft: Draft, deltas: Mapping[int, Delta]) -> None:
    """Have exactly these changes on the model."""
    draft.restore()
    for layer, delta in deltas.items():
        draft.put(layer, delta)


def scaled(deltas: Mapping[int, Delta], step: float) -> dict[int, Delta]:
    """Return changes times a factor."""
    return {layer: replace(delta, left=delta.left * step) for layer, delta in deltas.items()}


def still_right(engine: Engine, passages: Sequence[Passage]) -> dict[str, bool]:
    """Return of each failure whether all wordings of it are answered rightly, as the model is."""
    return dict(_rights(engine, passages))


def _pairs(engine: Engine, passages: Sequence[Passage]) -> list[tuple[Passage, bool]]:
    if not passages:
        return []
    return list(zip(passages, engine.observe(passages, margin=0.0).right, strict=True))


def _rights(engine: Engine, passages: Sequence[Passage]) -> list[tuple[str, bool]]:
    found: dict[str, bool] = {}
    for passage, right in _pairs(engine, passages):
        found[passage.failure] = found.get(passage.failure, True) and right
    return list(found.items())


def _of_right(engine: Engine, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    right = dict(_rights(engine, passages))
    return tuple(passage for passage in passages if right[passage.failure])


def _by_text(before: Observation, was: torch.Tensor, now: torch.Tensor) -> tuple[int, int]:
    """Return how many texts have more tokens right than before, and how many fewer."""
    change = torch.zeros(len(before.passages), dtype=torch.int64, device=was.device)
    change.index_add_(0, before.passage, now.long() - was.long())
    return int((change > 0).sum()), int((change < 0).sum())


def _share(engine: Engine, draft: Draft, layer: int) -> float:
    old = draft.original(layer).float()
    return float((engine.written(layer).float() - old).norm() / old.norm().clamp_min(1e-30))
