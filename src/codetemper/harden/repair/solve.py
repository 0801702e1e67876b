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

#: Exchanges of a whole block without progress before rows are exchanged one by one.
_PATIENCE = 10
#: Most exchanges, in rows of the system.
_EXCHANGES = 3


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


def solve_nonnegative(
    gram: torch.Tensor, wanted: torch.Tensor, ridge: torch.Tensor, before: torch.Tensor
) -> torch.Tensor:
    r"""Return multipliers of the cheapest change that does at least what is wanted.

    :math:`\lambda \ge 0`, :math:`(G + \rho I)\lambda \ge r + \rho\lambda_0`, and equal wherever
    :math:`\lambda > 0`: block principal pivoting, which exchanges all rows that are on the wrong
    side together, and after ten exchanges without progress one by one (the last), so that it ends.

    Args:
        gram: G [N, N], positive semi-definite, in float64.
        wanted: r, [N].
        ridge: rho > 0.
        before: multipliers that the ridge ties to, [N].
    """
    size = len(gram)
    system = (gram + gram.T) / 2 + ridge * torch.eye(size, dtype=gram.dtype, device=gram.device)
    right = wanted + ridge * before
    tight = right > 0
    tolerance = 1e-10 * right.abs().max().clamp_min(1e-30)
    fewest, patience = size + 1, _PATIENCE
    found = torch.zeros_like(right)
    for _ in range(_EXCHANGES * size + _PATIENCE):
        found = torch.zeros_like(right)
        if bool(tight.any()):
            part = system[tight][:, tight]
            found[tight] = torch.cholesky_solve(right[tight][:, None], torch.linalg.cholesky(part))[
                :, 0
            ]
        missing = system @ found - right
        wrong = (tight & (found < 0)) | (~tight & (missing < -tolerance))
        count = int(wrong.sum())
        if not count:
            break
        if count < fewest:
            fewest, patience = count, _PATIENCE
        elif patience:
            patience -= 1
        else:
            last = int(wrong.nonzero().max())
            wrong = torch.zeros_like(wrong)
            wrong[last] = True
        tight = tight ^ wrong
    return found.clamp_min(0)
