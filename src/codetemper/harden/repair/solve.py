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

from typing import Final, Protocol

import torch

from codetemper.harden.repair.metrics import Metric

#: Rows up to which a system is solved by elimination; of more by conjugate gradients.
DIRECT: Final = 1024
#: How far the latter may be off, in what is wanted: logits, where gaps are.
NEAR: Final = 0.01
#: Most steps of conjugate gradients; some hundred are common.
_STEPS: Final = 1000
#: Exchanges of a whole block without progress before rows are exchanged one by one.
_PATIENCE: Final = 10
#: Most exchanges, in rows of the system.
_EXCHANGES: Final = 3


class Gram(Protocol):
    """A positive semi-definite matrix [N, N], or what acts like one."""

    def __len__(self) -> int: ...

    def __matmul__(self, vector: torch.Tensor, /) -> torch.Tensor:
        """Return its product with a vector [N]."""
        ...

    def diagonal(self) -> torch.Tensor:
        """Return its diagonal, [N]."""
        ...


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
    gram: Gram, wanted: torch.Tensor, ridge: torch.Tensor, before: torch.Tensor
) -> torch.Tensor:
    r"""Return multipliers of the cheapest change that does at least what is wanted.

    :math:`\lambda \ge 0`, :math:`(G + \rho I)\lambda \ge r + \rho\lambda_0`, and equal wherever
    :math:`\lambda > 0`: block principal pivoting, which exchanges all rows that are on the wrong
    side together. A tensor of up to ``DIRECT`` rows is solved exactly: after ten exchanges without
    progress rows are exchanged one by one (the last), so that it ends. Anything else is solved to
    within ``NEAR``, and what ten exchanges have not brought is left.

    Args:
        gram: G [N, N]. What is not a tensor is only multiplied by.
        wanted: r, [N], of its type.
        ridge: rho > 0.
        before: multipliers that the ridge ties to, [N].
    """
    size = len(gram)
    exact = False
    if isinstance(gram, torch.Tensor) and size <= DIRECT:
        exact, wanted, before = True, wanted.double(), before.double()
        whole = gram.double() + ridge * torch.eye(size, dtype=torch.float64, device=gram.device)
        solved: _Solver = _Elimination(whole)
        right = wanted + ridge * before
        tight, tolerance = right > 0, 1e-10 * float(right.abs().max().clamp_min(1e-30))
    else:
        right, tolerance = wanted + ridge * before, 2 * NEAR
        # Of many rows next to all of those that were needed before are needed again.
        tight = before > 0 if bool((before > 0).any()) else right > 0
        solved = _Gradients(gram, ridge)
    fewest, patience = size + 1, _PATIENCE
    found = torch.where(tight, before, 0)
    for _ in range(_EXCHANGES * size + _PATIENCE):
        found = solved.of(right, tight, found)
        missing = solved.times(found) - right
        wrong = (tight & (found < 0)) | (~tight & (missing < -tolerance))
        count = int(wrong.sum())
        if not count:
            break
        if count < fewest:
            fewest, patience = count, _PATIENCE
        elif patience:
            patience -= 1
        elif not exact:
            break
        else:
            last = int(wrong.nonzero().max())
            wrong = torch.zeros_like(wrong)
            wrong[last] = True
        tight = tight ^ wrong
    return found.clamp_min(0)


class _Solver(Protocol):
    """Solves a system for the multipliers of the rows that are tight; the others are 0."""

    def times(self, found: torch.Tensor) -> torch.Tensor:
        """Return the system times multipliers."""
        ...

    def of(self, right: torch.Tensor, tight: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        """Return the multipliers; ``near`` them is where to begin."""
        ...


class _Elimination:
    """By Cholesky's factor of the rows that are tight."""

    def __init__(self, system: torch.Tensor) -> None:
        self._system = system

    def times(self, found: torch.Tensor) -> torch.Tensor:
        return self._system @ found

    def of(self, right: torch.Tensor, tight: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        found = torch.zeros_like(right)
        if bool(tight.any()):
            factor = torch.linalg.cholesky(self._system[tight][:, tight])
            found[tight] = torch.cholesky_solve(right[tight][:, None], factor)[:, 0]
        return found


class _Gradients:
    """By conjugate gradients, scaled by the diagonal. The ridge keeps their number small."""

    def __init__(self, gram: Gram, ridge: torch.Tensor) -> None:
        self._gram, self._ridge = gram, ridge
        self._scale = 1 / (gram.diagonal() + ridge)

    def times(self, found: torch.Tensor) -> torch.Tensor:
        return self._gram @ found + self._ridge * found

    def of(self, right: torch.Tensor, tight: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        scale = torch.where(tight, self._scale, 0)
        found = torch.where(tight, near, 0)
        left = torch.where(tight, right - self.times(found), 0)
        way = scale * left
        length = left @ way
        for _ in range(_STEPS):
            if float(left.abs().max()) <= NEAR:
                break
            ahead = torch.where(tight, self.times(way), 0)
            step = length / (way @ ahead)
            found, left = found + step * way, left - step * ahead
            steep = scale * left
            before, length = length, left @ steep
            way = steep + length / before * way
        return found
