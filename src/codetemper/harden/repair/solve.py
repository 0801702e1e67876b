# SPDX-License-Identifier: Apache-2.0
r"""The one solver: a change that makes given keys write given things and moves others least.

Keys :math:`K` [N, f] and wanted changes :math:`R` [N, d] by rows, a metric Q:

.. math:: \Delta = R^T (\lambda I + K Q K^T)^{-1} K Q

as factors ``left = R^T (...)^{-1}`` [d, N] and ``right = K Q`` [N, f]. Only N x N systems are
solved, in float64. With :math:`Q = C^{-1}` this is MEMIT's update with weight :math:`\lambda`,
:math:`R K^T (\lambda C + K K^T)^{-1}` in its f x f form; with one key ROME's; with Q a null-space
projector, and earlier keys stacked under zero rows of R, AlphaEdit's (repair.md, 1.6).
"""

from __future__ import annotations

import torch

from codetemper.harden.repair.metrics import Metric


def solve(
    keys: torch.Tensor, wanted: torch.Tensor, metric: Metric, ridge: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return factors of the change.

    Args:
        keys: K, [N, f].
        wanted: R, [N, d]; rows of zeros keep what their keys write.
        metric: Q.
        ridge: lambda; 0 meets every row exactly (of rows that depend on one another, as nearly as
            least squares go).

    Returns:
        left [d, N] and right [N, f], in the keys' type.
    """
    right = metric.apply(keys)
    gram = keys.double() @ right.double().T
    left = solve_gram(gram, wanted.double(), ridge).T
    return left.to(keys), right


def solve_gram(gram: torch.Tensor, wanted: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return (lambda I + G)^-1 R of a positive semi-definite G [N, N], in float64.

    Without a ridge, directions in which G is null (keys that are there twice) get nothing.
    """
    gram = (gram + gram.T) / 2
    if ridge > 0:
        size = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        factor, failed = torch.linalg.cholesky_ex(gram + ridge * size)
        if not bool(failed):
            return torch.cholesky_solve(wanted, factor)
        gram = gram + ridge * size
    values, directions = torch.linalg.eigh(gram)
    floor = values[-1].clamp_min(0) * len(gram) * torch.finfo(gram.dtype).eps
    inverse = torch.where(values > floor, 1 / values, torch.zeros_like(values))
    return directions @ (inverse[:, None] * (directions.T @ wanted))
