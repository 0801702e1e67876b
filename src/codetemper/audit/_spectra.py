# SPDX-License-Identifier: Apache-2.0
"""Size and shape of a change of weights: of products of matrices, and of low-rank changes.

Used by ``weights`` alone. Singular values of large products are not computed: the share of the
largest comes from a power iteration, the number of directions from the Gram matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

#: Steps of the power iteration for the largest singular value.
_STEPS = 40
#: Rows of a low-rank change that are multiplied out at once.
_BLOCK = 512


def product(
    left: Sequence[torch.Tensor], right: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the change of a product left^T right, without cancellation, and the old product.

    Args:
        left: of the model [n, a], and of its reference where there is one.
        right: likewise [n, b].
    """
    if len(left) == 1:
        whole = left[0].T @ right[0]
        return whole, whole
    change = (left[0] - left[1]).T @ right[0] + left[1].T @ (right[0] - right[1])
    return change, left[1].T @ right[1]


def statistics(change: torch.Tensor, whole: torch.Tensor) -> dict[str, float]:
    """Return size and shape of a change.

    Args:
        change: [a, b].
        whole: what is changed [a, b]; the change itself where there is no reference.

    Returns:
        By name: ``size``, the logarithm of its norm, as a share of what is changed; ``kurtosis`` of
        its numbers, 3 for normal ones; share of its energy in the ``largest direction``; number of
        ``directions`` that it has, as the inverse sum of squared shares. Empty where it is 0.
    """
    energy = float(change.double().square().sum())
    if energy == 0:
        return {}
    size = 0.5 * math.log(energy)
    before = float(whole.double().square().sum())
    # What was 0 before (biases of a fresh layer) has no share that changed, only a size.
    if whole is not change and before > 0:
        size -= 0.5 * math.log(before)
    found = {"size": size, "kurtosis": _kurtosis(change)}
    if min(change.shape) > 1:
        gram = change.T @ change if change.shape[1] <= change.shape[0] else change @ change.T
        gram = gram.double() / energy
        found["largest direction"] = _top(gram)
        found["directions"] = 1 / float(gram.square().sum())
    return found


def _kurtosis(change: torch.Tensor) -> float:
    centred = change.double() - change.double().mean()
    square = centred.square()
    return float(square.square().mean() / square.mean().square().clamp_min(1e-300))


def _top(gram: torch.Tensor) -> float:
    """Return the largest eigenvalue of a positive matrix by power iteration."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(len(gram), generator=generator, dtype=gram.dtype).to(gram.device)
    for _ in range(_STEPS):
        vector = gram @ (vector / vector.norm())
    return float(vector.norm())


def low_rank(outer: torch.Tensor, inner: torch.Tensor) -> dict[str, float]:
    """Return the same of outer @ inner, [out, r] and [r, in], a block of rows at a time."""
    left, right = torch.linalg.qr(outer)[1], torch.linalg.qr(inner.T)[1]
    energies = torch.linalg.svdvals(left @ right.T).square()
    energy = float(energies.sum())
    if energy == 0:
        return {}
    count = outer.shape[0] * inner.shape[1]
    mean = float(outer.sum(dim=0) @ inner.sum(dim=1)) / count
    fourth = sum(
        float((block @ inner - mean).square().square().sum()) for block in outer.split(_BLOCK)
    )
    variance = energy / count - mean**2
    shares = energies / energy
    return {
        "size": 0.5 * math.log(energy),
        "kurtosis": fourth / count / max(variance**2, 1e-300),
        "largest direction": float(shares.max()),
        "directions": 1 / float(shares.square().sum()),
    }
