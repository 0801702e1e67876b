# SPDX-License-Identifier: Apache-2.0
r"""Whether a failure is one for a few neurons: a verdict for each, before anything is kept.

    passages = tokens_of(tokenizer, reworded(failures))
    routes = route(engine, passages, tokenizer, probe=solve_one_round, ...)
    [r.failure for r in routes if r.verdict in ATTEMPTED]

Verdicts, the first that holds:

* ``reject``: the model answers rightly already, or differs in blanks alone;
* ``conflict``: an earlier repair wants another token where the keys are the same;
* ``retrain``: too many wrong tokens for a local change, or a round of solving brought less than
  ``PROGRESS`` of the gap that the linear model foretold;
* ``views``: one round put the prompt right, and another wording of it not: repair with wordings;
* ``repair``: all others.

Signals are read in one forward of the answers, before, and one round of solving for each failure by
itself (the probe; the model is as before afterwards). ``score`` orders failures by how likely a
repair of them is to last while others are piled on top of it, from the signals alone; see
``score_of`` and ``wear``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.core.repairs import Failure, RepairRoute, RepairVerdict
from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.monitor import put
from codetemper.harden.repair.wear import Wear

Probe = Callable[[Sequence[Passage]], Edit]
"""Solves one round for some passages; the model is as before afterwards."""

#: Verdicts with which a repair is tried.
ATTEMPTED: tuple[RepairVerdict, ...] = ("repair", "views")
#: Least share of the foretold fall of the gaps that one round must bring.
PROGRESS = 0.3
#: More wrong tokens in an answer than this are no local failure, nor is a larger share of an
#: answer of more than ``_SHORT`` tokens.
WRONG_TOKENS, _WRONG_SHARE, _SHORT = 16, 0.6, 8
#: A token that leads by fewer logits may be turned by a small change elsewhere.
CLOSE = 1.0
#: Weights of ``score_of``: constant, ``withstood``, logarithm of 1 + ``close``.
_SCORE = (-0.4, 6.4, -1.4)
#: What ``withstood`` is taken to be where there are no reference texts.
_UNKNOWN = 0.5
#: Keys more alike than this are one place to a linear map (cosine, mean over layers).
SAME_KEY = 0.98


def reworded(failures: Sequence[Failure]) -> list[Failure]:
    """Return failures with one more wording, that nobody gave: a line break in front.

    It is looked at and not repaired: what a line break undoes will not last.
    """
    return [f.model_copy(update={"views": (*f.views, f"\n{f.prompt}")}) for f in failures]


def route(
    engine: Engine,
    passages: Sequence[Passage],
    tokenizer: Any,
    *,
    probe: Probe | None = None,
    reference: Sequence[Passage] = (),
    earlier: Mapping[str, Sequence[Passage]] | None = None,
    wear: Wear | None = None,
    on_event: OnEvent = ignore_events,
) -> list[RepairRoute]:
    """Say of each failure whether it can be repaired locally.

    Args:
        engine: the model, earlier patches on it.
        passages: failing answers, the first of each failure the one to repair, the others wordings
            that are looked at.
        tokenizer: the model's.
        probe: solves one round; None looks only.
        reference: texts that are to stay as they are, to tell places apart from.
        earlier: answers of earlier repairs by id of their patch.
        wear: foretells what later repairs would do; None: nothing is foretold.
        on_event: called with ``Event(stage="route", unit="failures")``.

    Returns:
        One route for each failure, in order.
    """
    known = _Known(engine, reference, earlier or {})
    groups: dict[str, list[Passage]] = {}
    for passage in passages:
        groups.setdefault(passage.failure, []).append(passage)
    found = []
    for number, group in enumerate(groups.values(), 1):
        found.append(_route(engine, group, tokenizer, known, probe, wear))
        on_event(Event(stage="route", done=number, total=len(groups), unit="failures"))
    return found


def _route(
    engine: Engine,
    passages: Sequence[Passage],
    tokenizer: Any,
    known: _Known,
    probe: Probe | None,
    wear: Wear | None,
) -> RepairRoute:
    seen = engine.observe(passages, layers=known.layers)
    own = seen.passage == 0
    failing = own & seen.wrong
    wrong, tokens = int(failing.sum()), int(own.sum())
    views = seen.right[1:]
    signals: dict[str, int | float] = {
        "wrong": wrong,
        "share": wrong / tokens,
        "gap": float(seen.gap[own].max()),
        "close": int((seen.gap[own] > -CLOSE).sum()),
        "views_wrong": 1 - sum(views) / len(views) if views else 0.0,
    }

    def routed(
        verdict: RepairVerdict, because: str, score: float = 0.0, patch: str | None = None
    ) -> RepairRoute:
        return RepairRoute(
            failure=passages[0].failure, verdict=verdict, because=because, patch=patch,
            score=score, signals=signals,
        )  # fmt: skip

    if not wrong:
        return routed("reject", "the model answers it rightly already")
    if _blank(tokenizer, seen, failing):
        return routed("reject", "it differs in blanks alone")
    signals["overlap"] = known.overlap(seen, failing)
    if wear is not None:
        signals["withstood"] = wear.withstood(seen, own)
    patch = known.conflict(seen, failing)
    if patch is not None:
        because = f"{patch} wants another token where the keys are the same"
        return routed("conflict", because, patch=patch)
    if wrong > WRONG_TOKENS or (tokens > _SHORT and wrong > _WRONG_SHARE * tokens):
        because = f"{wrong} of {tokens} tokens are wrong"
        return routed("retrain", because, score_of(signals))
    if probe is not None:
        signals |= _probed(engine, passages, probe)
    score = score_of(signals)
    if signals.get("progress", 1.0) < PROGRESS:
        because = f"one round brought {signals['progress']:.0%} of the fall that was foretold"
        return routed("retrain", because, score)
    if signals.get("fixed") == 1.0 and signals["views_fixed"] < 1.0:
        because = "one round put the prompt right, another wording of it not"
        return routed("views", because, score)
    return routed("repair", f"{wrong} of {tokens} tokens are wrong", score)


def score_of(signals: Mapping[str, float]) -> float:
    """Return how likely a repair is to last, between 0 and 1, for putting failures in order.

    A logistic sum of ``withstood`` and of the logarithm of ``close``: a repair comes undone where
    later ones move what leads by little. Weights were fitted on failures of a small model
    (benchmarks/repair), where a repair lasted if it stood in half of the piles with nine others;
    there other signals added nothing. On another model it is an order, and no probability.
    """
    constant, withstood, close = _SCORE
    total = constant + withstood * signals.get("withstood", _UNKNOWN)
    total += close * math.log1p(signals["close"])
    return 1 / (1 + math.exp(-total))


def _blank(tokenizer: Any, seen: Observation, failing: torch.Tensor) -> bool:
    """Whether all wrong tokens are blanks where blanks are wanted."""
    special = set(tokenizer.all_special_ids)
    ids = [*seen.wanted[failing].tolist(), *seen.predicted[failing].tolist()]
    return not special & set(ids) and all(not tokenizer.decode([token]).strip() for token in ids)


def _probed(engine: Engine, passages: Sequence[Passage], probe: Probe) -> dict[str, float]:
    edit = probe(passages[:1])
    with engine.drafting() as draft:
        put(draft, edit.deltas)
        after = engine.observe(passages, margin=0.0)
        moved = max(
            (
                float(
                    (engine.written(layer).float() - draft.original(layer).float()).norm()
                    / draft.original(layer).float().norm().clamp_min(1e-30)
                )
                for layer in edit.deltas
            ),
            default=0.0,
        )
    before = [gap for gap in edit.gaps_before[passages[0].failure] if gap > 0]
    open_ = [n for n, gap in enumerate(edit.gaps_before[passages[0].failure]) if gap > 0]
    now = [after.gaps[0][n] for n in open_]
    return {
        "progress": _progress(edit, before, now),
        "fixed": float(after.right[0]),
        "views_fixed": sum(after.right[1:]) / (len(after.right) - 1) if after.right[1:] else 1.0,
        "moved": moved,
    }


def _progress(edit: Edit, before: Sequence[float], now: Sequence[float]) -> float:
    """Return the fall of the gaps against the fall that was foretold; all of it where none was."""
    first = edit.rounds[0] if edit.rounds else None
    if first is not None and first.predicted and len(first.predicted) == len(first.gaps):
        foretold = sum(first.gaps) - sum(first.predicted)
        fell = sum(first.gaps) - sum(first.achieved)
    else:
        foretold, fell = sum(before), sum(before) - sum(now)
    return fell / foretold if foretold > 0 else 1.0


class _Known:
    """Keys of other texts, each layer's as unit vectors, to tell a failing place from.

    Args:
        engine: the model.
        reference: texts that stay as they are.
        earlier: answers of earlier repairs by patch.
    """

    def __init__(
        self,
        engine: Engine,
        reference: Sequence[Passage],
        earlier: Mapping[str, Sequence[Passage]],
    ) -> None:
        self.layers = [site.layer for site in engine.sites]
        self._scale: dict[int, torch.Tensor] = {}
        others = [p for passages in earlier.values() for p in passages]
        self._patches = [patch for patch, passages in earlier.items() for _ in passages]
        self._earlier = engine.observe(others, layers=self.layers) if others else None
        self._reference = None
        if reference:
            self._reference = engine.observe(reference, layers=self.layers)
            for layer, keys in self._reference.keys.items():
                moments = keys.square().mean(0)
                self._scale[layer] = (moments + 1e-3 * moments.mean()).rsqrt()

    def overlap(self, seen: Observation, failing: torch.Tensor) -> float:
        """Return the largest likeness to a place in a reference text with another token."""
        if self._reference is None:
            return 0.5  # Nothing is known of other texts.
        like = self._like(seen, failing, self._reference)
        other = self._reference.predicted[None, :] != seen.wanted[failing][:, None]
        return float(torch.where(other, like, torch.zeros_like(like)).max())

    def conflict(self, seen: Observation, failing: torch.Tensor) -> str | None:
        """Return the patch that wants another token at a place with the same keys."""
        if self._earlier is None:
            return None
        like = self._like(seen, failing, self._earlier)
        other = self._earlier.wanted[None, :] != seen.wanted[failing][:, None]
        clash = ((like > SAME_KEY) & other).any(0).nonzero()[:, 0].tolist()
        return self._patches[int(self._earlier.passage[clash[0]])] if clash else None

    def _like(self, seen: Observation, failing: torch.Tensor, known: Observation) -> torch.Tensor:
        """Return cosines of failing keys and known ones, [failing, T], mean over layers."""
        total = torch.zeros(int(failing.sum()), len(known), device=failing.device)
        for layer in self.layers:
            scale = self._scale.get(layer, torch.ones(1, device=failing.device))
            mine, theirs = seen.keys[layer][failing] * scale, known.keys[layer] * scale
            total += torch.nn.functional.normalize(mine) @ torch.nn.functional.normalize(theirs).T
        return total / len(self.layers)
