# SPDX-License-Identifier: Apache-2.0
r"""Whether a repair would withstand later ones, foretold from keys alone.

    wear = Wear(engine, semantic, statistics, texts, margin=0.5)
    wear.withstood(seen, own)              # share of piles of later repairs that leave it right

Repairs that are piled up undo one another. A repair of place s alone, in closed form (``joint``),
moves the lead of token t on the direct path by

.. math:: m_{ts} = A_{ts} \frac{b_s + margin}{A_{ss}} , \qquad
    A_{ts} = (c_t^T G^{-1} c_s) \sum_l (k_{l,t}^T Q_l k_{l,s}) / \sigma_t\sigma_s ,

with contrasts c, keys k, divisors :math:`\sigma` and gaps b as there. Which repairs will come later
nobody knows; the places s are those of reference texts where the model is wrong, and beyond these
where it is least sure. Piles of ``PILE`` of them are drawn; a token has the lead that a repair
would leave it: ``margin`` where it is wrong now, its own where it is right. Nothing is solved or
changed here, and no forward is made but one of the reference texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.semantic import Semantic
from codetemper.harden.repair.statistics import Statistics

#: Wrong tokens of the repairs in a pile: nine failures of three.
PILE = 27
#: Piles that are drawn.
_PILES = 400
#: Places that piles are drawn from, at least and at most.
_PLACES = (64, 512)


class Wear:
    """Places of reference texts that may be repaired one day.

    Args:
        engine: the model.
        semantic: of its head.
        statistics: of its keys.
        texts: reference texts with their own tokens as wanted ones, at least one.
        margin: lead in logits that a repair leaves.
        seed: draws the piles.
    """

    def __init__(
        self,
        engine: Engine,
        semantic: Semantic,
        statistics: Statistics,
        texts: Sequence[Passage],
        *,
        margin: float,
        seed: int = 0,
    ) -> None:
        self._engine, self._semantic, self._margin = engine, semantic, margin
        self._layers = [site.layer for site in engine.sites]
        seen = engine.observe(texts, layers=self._layers)
        least, most = _PLACES
        count = min(most, max(least, int(seen.wrong.sum())), len(seen))
        chosen = seen.gap.topk(count).indices
        # Where the model is right, the repair would be towards the runner-up.
        wrong = seen.wrong[chosen]
        first = torch.where(wrong, seen.wanted[chosen], seen.rival[chosen])
        second = torch.where(wrong, seen.rival[chosen], seen.wanted[chosen])
        contrasts, self._steers = self._directions(first, second)
        own = (contrasts * self._steers).sum(-1)
        inner = torch.zeros_like(own)
        self._solved: dict[int, torch.Tensor] = {}
        for layer in self._layers:
            keys = seen.keys[layer][chosen] / seen.divisors[layer][chosen, None]
            self._solved[layer] = statistics.metric(layer).apply(keys)
            inner += (keys.double() * self._solved[layer].double()).sum(-1)
        self._scale = (seen.gap[chosen].abs().double() + margin) / (own * inner).clamp_min(1e-30)
        generator = torch.Generator().manual_seed(seed)
        self._piles = torch.randint(count, (_PILES, PILE), generator=generator).to(engine.device)

    def withstood(self, seen: Observation, own: torch.Tensor) -> float:
        """Return the share of piles under which every token of an answer would still lead.

        Args:
            seen: places with the keys of all layers.
            own: which of them are the answer's, a boolean for each.
        """
        contrasts, _ = self._directions(seen.wanted[own], seen.rival[own])
        inner = torch.zeros(len(contrasts), len(self._scale)).to(contrasts)
        for layer, solved in self._solved.items():
            keys = seen.keys[layer][own] / seen.divisors[layer][own, None]
            inner += keys.double() @ solved.double().T
        moves = (contrasts @ self._steers.T) * inner * self._scale
        gaps = seen.gap[own].double()
        leads = torch.where(gaps > 0, torch.full_like(gaps, self._margin), -gaps)
        stands = torch.ones(len(self._piles), dtype=torch.bool, device=moves.device)
        for move, lead in zip(moves, leads, strict=True):
            stands &= lead + move[self._piles].sum(-1) > 0
        return float(stands.double().mean())

    def _directions(
        self, first: torch.Tensor, second: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return contrasts c and G^-1 c of pairs of tokens, [T, d] each in float64."""
        contrasts = self._semantic.contrast(self._engine.contrast(first, second)).double()
        return contrasts, self._semantic.steer(contrasts)
