# SPDX-License-Identifier: Apache-2.0
r"""STAR (2503.12899): gradient steps whose sizes come from a closed-form prior.

The prior of layer l is the least change that makes its keys :math:`Z_l` [N, f] at the answer's
tokens write the semantic steers S [N, d]: :math:`\Delta_l = (Z_l^+ S)^T` (the one solver, metric
identity, no ridge). A token's steer is :math:`G^{-1}(c)` from the predicted to the wanted token
(``semantic``), scaled by the quartile range of its own entries; that of a right token is zero.
Each step takes the prior's magnitude and the gradient's sign, entry by entry:

.. math:: W_l \leftarrow W_l - \eta |\Delta_l| \, sign(\partial L / \partial W_l)

S is fixed, keys and priors are made anew at every step; a prior lives as factors and is multiplied
out for one layer at a time. For one token and its own gradient this moves the layer's write by
:math:`-\eta |s| sign(h)`, coordinate by coordinate (repair.md, 1.3): the total move does not depend
on the model's scale, so :math:`\eta` (``Config.step``) has to be tuned to it.

Together (``me-batch``) or token by token (``Config.iterative``, ``me-iter``). Keys are the inputs
of the FFN output matrix at the predicting positions; dropout is off. Where a norm follows the FFN
(Gemma 2), steers are those of the residual stream all the same.
"""

from __future__ import annotations

import torch

from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.descent import Rule, descend
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.metrics import Identity
from codetemper.harden.repair.semantic import Semantic
from codetemper.harden.repair.solve import solve as solve_keys
from codetemper.harden.repair.task import Task

#: Step size of the paper's code.
STEP = 1e-2
#: Rows whose quartiles are taken at a time (``torch.quantile`` takes no more numbers than 2^24).
_ROWS = 256


def solve(engine: Engine, task: Task) -> Edit:
    """Repair by STAR.

    Args:
        engine: the model; as before afterwards, bit for bit.
        task: what is to be repaired, and ``rounds``, ``step`` and ``iterative`` of its settings.

    Raises:
        UsageError: the steps made the model compute something that is not a number.
    """
    size = task.config.step or STEP

    def rule_for(seen: Observation) -> Rule:
        wanted = steers(engine, task.semantic, seen)

        def rule(layer: int, slope: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
            return stride(*prior(keys, wanted), slope, size)

        return rule

    return descend(engine, task, rule_for)


def steers(engine: Engine, semantic: Semantic, seen: Observation) -> torch.Tensor:
    """Return the scaled semantic steer of each observed token, [T, d] in float32."""
    wrong = seen.wrong
    found = torch.zeros_like(seen.hidden)
    if not bool(wrong.any()):
        return found
    contrast = engine.contrast(seen.wanted[wrong], seen.predicted[wrong])
    found[wrong] = scaled(semantic.steer(contrast)).to(found)
    return found


def scaled(moves: torch.Tensor) -> torch.Tensor:
    """Divide rows [T, d] by the range between the quartiles of their own entries."""
    parts = []
    for rows in moves.split(_ROWS):
        low, high = torch.quantile(rows, torch.tensor([0.25, 0.75]).to(rows), dim=1)
        parts.append(rows / (high - low + 1e-8)[:, None])
    return torch.cat(parts)


def prior(keys: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return factors [d, N] and [N, n] of the least change by which keys write what is wanted.

    Args:
        keys: Z, [N, n].
        wanted: S, [N, d].
    """
    return solve_keys(keys, wanted, Identity())


def stride(
    left: torch.Tensor, right: torch.Tensor, slope: torch.Tensor, size: float
) -> torch.Tensor:
    """Return the step: magnitude of the prior, against the sign of the gradient.

    Args:
        left: [d, N] and
        right: [N, n], the prior's factors.
        slope: gradient, [d, n].
        size: eta.
    """
    return (left @ right).abs_().mul_(slope.sign()).mul_(-size)
