# SPDX-License-Identifier: Apache-2.0
r"""Key metrics: how much a change costs along each direction of a layer's keys.

A change of :math:`W` by :math:`\Delta` moves what reference texts write by
:math:`E\|\Delta k\|^2 = tr(\Delta C \Delta^T)`, with :math:`C = E[k k^T]` over their keys. So the
change that solves some keys and moves these least goes through :math:`Q = C^{-1}`:

* ``Identity``: Q = I; nothing is known of other keys.
* ``Diagonal``: Q = 1 / (m + 0.001 mean m), m the second moment of each neuron.
* ``LowRank``: C = B^T B + diag; Q by Woodbury's identity, never f x f.
* ``Full``: all of C with rho mean(diag C) added, inverted once.
* ``NullSpace``: Q = I - V V^T, V the directions that reference keys use.

A metric of some neurons only is that of C cut to them, not a cut of Q.
"""

from __future__ import annotations

from typing import Protocol

import torch


class Metric(Protocol):
    """Applies Q to keys."""

    def apply(self, keys: torch.Tensor) -> torch.Tensor:
        """Return Q k for each row of keys, [N, f] to [N, f], in the keys' type."""
        ...


class Identity:
    """Q = I."""

    def apply(self, keys: torch.Tensor) -> torch.Tensor:
        """Return the keys."""
        return keys


class Diagonal:
    """Q of second moments m [f] alone."""

    def __init__(self, moments: torch.Tensor, floor: float = 1e-3) -> None:
        self._scale = 1 / (moments + floor * moments.mean()).clamp_min(1e-30)

    def apply(self, keys: torch.Tensor) -> torch.Tensor:
        """Return keys with each neuron divided by its moment."""
        return keys * self._scale.to(keys)


class LowRank:
    """Q of C = B^T B + diag(rest), by Woodbury's identity.

    Args:
        factor: B, [r, f].
        rest: [f], all positive.
    """

    def __init__(self, factor: torch.Tensor, rest: torch.Tensor) -> None:
        self._inverse = 1 / rest
        self._scaled = factor * self._inverse
        inner = torch.eye(len(factor), dtype=torch.float64, device=factor.device)
        inner = inner + (self._scaled.double() @ factor.double().T)
        self._inner = torch.linalg.cholesky(inner)

    def apply(self, keys: torch.Tensor) -> torch.Tensor:
        """Return D k - D B^T (I + B D B^T)^-1 B D k, with D the inverse of the diagonal."""
        wide = keys.double()
        inner = torch.cholesky_solve(self._scaled.double() @ wide.T, self._inner)
        return (wide * self._inverse.double() - inner.T @ self._scaled.double()).to(keys)


class Full:
    """Q of all of a covariance.

    Args:
        covariance: C, [f, f].
        rho: share of its mean diagonal that is added to each diagonal entry.
    """

    def __init__(self, covariance: torch.Tensor, rho: float) -> None:
        wide = covariance.double()
        blend = rho * wide.diagonal().mean().clamp_min(1e-30)
        wide = wide + blend * torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
        # Kept in the covariance's own type: reading it is most of what few keys cost.
        self._inverse = torch.cholesky_inverse(torch.linalg.cholesky(wide)).to(covariance.dtype)

    def apply(self, keys: torch.Tensor) -> torch.Tensor:
        """Return keys times Q: for few keys that is faster than solves by the factor."""
        return (keys.to(self._inverse) @ self._inverse).to(keys)


class NullSpace:
    """Q = I - V V^T.

    Args:
        covariance: C, [f, f].
        share: directions with at least this share of the largest second moment are used ones.
    """

    def __init__(self, covariance: torch.Tensor, share: float) -> None:
        moments, directions = torch.linalg.eigh(covariance.double())
        self._used = directions[:, moments >= share * moments[-1]].to(covariance.dtype)

    def apply(self, keys: torch.Tensor) -> torch.Tensor:
        """Return keys without their part along used directions."""
        used = self._used.to(keys)
        return keys - (keys @ used) @ used.T
