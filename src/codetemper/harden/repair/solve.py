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

#: How far conjugate gradients may be off, as the root of the mean square over rows, in what is
#: wanted: logits, where gaps are.
NEAR: Final = 0.002
#: How much further off a single row may be.
_WORST: Final = 5
#: The same in the first exchange where next to nothing is known; halved in each that follows.
_ROUGH: Final = 0.1
#: Most steps of conjugate gradients; some dozen are common.
_STEPS: Final = 1000
#: Rows that are eliminated together to shorten the way of conjugate gradients.
_BLOCK: Final = 512
#: Exchanges of a whole block without progress before rows are exchanged one by one.
_PATIENCE: Final = 10
#: Share of rows that may be left on the wrong side where more than ``NEAR`` may be missing.
_STRAY: Final = 0.001
#: Most exchanges, in rows of the system.
_EXCHANGES: Final = 3


class Gram(Protocol):
    """What acts like a positive semi-definite matrix [N, N], in float32."""

    def __len__(self) -> int: ...

    def __matmul__(self, vector: torch.Tensor, /) -> torch.Tensor:
        """Return its product with a vector [N]."""
        ...

    def part(self, rows: torch.Tensor, /) -> Gram:
        """Return what is left of it with some rows and their columns, a boolean for each."""
        ...

    def entries(self, rows: torch.Tensor, /) -> torch.Tensor:
        """Return what is left of it with a few rows and their columns, by number."""
        ...

    def order(self) -> torch.Tensor:
        """Return numbers of all rows, those side by side that have most to do with each other."""
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
    gram: torch.Tensor | Gram,
    wanted: torch.Tensor,
    ridge: torch.Tensor,
    before: torch.Tensor,
    near: float = NEAR,
) -> torch.Tensor:
    r"""Return multipliers of the cheapest change that does at least what is wanted.

    :math:`\lambda \ge 0`, :math:`(G + \rho I)\lambda \ge r + \rho\lambda_0`, and equal wherever
    :math:`\lambda > 0`: block principal pivoting, which exchanges all rows that are on the wrong
    side together. A tensor is solved exactly: after ten exchanges without progress rows are
    exchanged one by one (the last), so that it ends. What only acts like one is solved until rows
    are missed by ``near`` in the root mean square and none by five times that, others at most by
    twice that, and what ten exchanges have not brought is left.

    Args:
        gram: G [N, N].
        wanted: r, [N].
        ridge: rho > 0, one or one of each row, [N].
        before: multipliers that the ridge ties to, [N].
        near: at least ``NEAR``. Of more, one row in a thousand may be left on the wrong side.
    """
    size, known = len(gram), before > 0
    ridge = ridge.expand(size)
    if exact := isinstance(gram, torch.Tensor):
        wanted, before = wanted.double(), before.double()
        solved: _Solver = _Elimination(gram.double(), ridge)
    else:
        solved = _Gradients(gram, ridge)
    right = wanted + ridge * before
    tight, close = right > 0, 0.5e-10 * float(right.abs().max().clamp_min(1e-30))
    if not exact:
        # Nothing has to be near while most rows still change sides.
        close = max(near, _ROUGH) if 2 * int(known.sum()) < int(tight.sum()) else near
        # Of many rows next to all of those that were needed before are needed again.
        tight = known if bool(known.any()) else tight
    few = 0 if exact or near <= NEAR else _STRAY * size
    fewest, patience = size + 1, _PATIENCE
    found = torch.where(tight, before, 0)
    for _ in range(_EXCHANGES * size + _PATIENCE):
        found = solved.of(right, tight, found, close)
        missing = solved.times(found) - right
        wrong = (tight & (found < 0)) | (~tight & (missing < -2 * close))
        count = int(wrong.sum())
        if count <= few and (exact or close <= near):
            break
        if not exact:
            close = max(near, close / 2)
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

    def of(
        self, right: torch.Tensor, tight: torch.Tensor, first: torch.Tensor, close: float
    ) -> torch.Tensor:
        """Return the multipliers; ``first`` is where to begin, ``close`` what may be missing."""
        ...


class _Elimination:
    """By Cholesky's factor of the rows that are tight; nothing is missing."""

    def __init__(self, gram: torch.Tensor, ridge: torch.Tensor) -> None:
        self._system = gram + torch.diag(ridge.to(gram))

    def times(self, found: torch.Tensor) -> torch.Tensor:
        return self._system @ found

    def of(
        self, right: torch.Tensor, tight: torch.Tensor, first: torch.Tensor, close: float
    ) -> torch.Tensor:
        found = torch.zeros_like(right)
        if bool(tight.any()):
            factor = torch.linalg.cholesky(self._system[tight][:, tight])
            found[tight] = torch.cholesky_solve(right[tight][:, None], factor)[:, 0]
        return found


class _Gradients:
    """By conjugate gradients, preconditioned by blocks of rows with most to do with each other.

    The ridge bounds the number of steps; blocks of like rows make it smaller.
    """

    def __init__(self, gram: Gram, ridge: torch.Tensor) -> None:
        self._gram, self._ridge = gram, ridge
        order = gram.order()
        blocks = -(-len(gram) // _BLOCK)
        self._blocks = torch.zeros(blocks, _BLOCK, _BLOCK, device=order.device)
        for block, rows in zip(self._blocks, order.split(_BLOCK), strict=True):
            block[: len(rows), : len(rows)] = gram.entries(rows)
        self._slots = torch.empty_like(order)
        self._slots[order] = torch.arange(len(order), device=order.device)

    def times(self, found: torch.Tensor) -> torch.Tensor:
        return self._gram @ found + self._ridge * found

    def of(
        self, right: torch.Tensor, tight: torch.Tensor, first: torch.Tensor, close: float
    ) -> torch.Tensor:
        gram, ridge, found = self._gram.part(tight), self._ridge[tight], first[tight]
        slots, factors = self._slots[tight], self._factors(tight)
        space = torch.zeros(factors.shape[:2], device=factors.device)

        def scaled(left: torch.Tensor) -> torch.Tensor:
            space.view(-1)[slots] = left
            return torch.cholesky_solve(space[..., None], factors).view(-1)[slots]

        left = right[tight] - gram @ found - ridge * found
        way = scaled(left)
        length = left @ way
        for _ in range(_STEPS):
            if _missed(left) <= close:
                break
            ahead = gram @ way + ridge * way
            step = length / (way @ ahead)
            found, left = found + step * way, left - step * ahead
            steep = scaled(left)
            before, length = length, left @ steep
            way = steep + length / before * way
        return torch.zeros_like(first).masked_scatter(tight, found)

    def _factors(self, tight: torch.Tensor) -> torch.Tensor:
        """Return Cholesky's factor of each block, as if it had no rows but those that are tight."""
        used = torch.zeros(self._blocks.shape[:2], device=self._blocks.device)
        used.view(-1)[self._slots[tight]] = 1.0
        blocks = self._blocks * used[:, :, None] * used[:, None, :]
        ridge = torch.ones_like(used)
        ridge.view(-1)[self._slots[tight]] = self._ridge[tight]
        blocks.diagonal(dim1=1, dim2=2).add_(ridge)
        factors, failed = torch.linalg.cholesky_ex(blocks)
        # Rounding may undo a block whose ridge is next to nothing; then its diagonal has to do.
        plain = torch.diag_embed(blocks.diagonal(dim1=1, dim2=2).clamp_min(1e-30).sqrt())
        return torch.where((failed > 0)[:, None, None], plain, factors)


def _missed(left: torch.Tensor) -> float:
    """Return by how much rows are missed: the root mean square, or a fifth of the worst."""
    if not len(left):
        return 0.0
    return max(float(left.square().mean().sqrt()), float(left.abs().max()) / _WORST)
