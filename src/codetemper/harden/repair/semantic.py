# SPDX-License-Identifier: Apache-2.0
r"""The head's own geometry: which move of the residual stream raises one token over another.

With :math:`A = U diag(g)` (head times gain of the final norm) and :math:`G = A^T A`, the direction
:math:`G^{-1} c / (c^T G^{-1} c)` raises the contrast :math:`c = g * (u_y - u_a)` by one and moves
all other logits least, in least squares over the vocabulary (semantic basis, 2401.16184, without
its V x d pseudo-inverse). Where the final norm subtracts the mean, that is taken out of A and c.
G is d x d; its Cholesky factor is made once for a model and kept by its digest.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from codetemper.core.digests import digest_json, short
from codetemper.core.disk import write_atomic
from codetemper.harden.repair.engine import Engine

#: Added to the diagonal of G, as a share of its mean.
_JITTER = 1e-6
#: Rows of the head that are multiplied at a time.
_ROWS = 16_384


class Semantic:
    """Solves with the head's Gram matrix.

    Args:
        factor: lower Cholesky factor of G, [d, d].
        centred: whether the mean is projected out of what is solved.
    """

    def __init__(self, factor: torch.Tensor, *, centred: bool) -> None:
        self._factor, self._centred = factor, centred

    @classmethod
    def of(cls, engine: Engine, *, digest: str = "", cache: Path | None = None) -> Semantic:
        """Make it for a model, or read it where it was kept.

        Args:
            engine: the model.
            digest: of its weights; part of the name that the factor is kept by.
            cache: folder to keep the factor in; None keeps nothing.
        """
        name = short(digest_json([digest, "gram", engine.hidden, _JITTER]))
        path = None if cache is None else cache / f"semantic-{name}.safetensors"
        if path is not None and path.is_file():
            try:
                factor = load_file(path)["factor"]
                return cls(factor.to(engine.device), centred=engine.centred)
            except (SafetensorError, KeyError):
                pass  # A cache that cannot be read is made again.
        factor = torch.linalg.cholesky(_gram(engine))
        if path is not None:
            write_atomic(path, save({"factor": factor.cpu().contiguous()}), sync=False)
        return cls(factor, centred=engine.centred)

    def contrast(self, contrast: torch.Tensor) -> torch.Tensor:
        """Return contrasts [T, d] as writes can serve them: without mean, if the norm takes it."""
        if self._centred:
            contrast = contrast - contrast.mean(-1, keepdim=True)
        return contrast

    def steer(self, contrast: torch.Tensor) -> torch.Tensor:
        """Return G^-1 c for contrasts [T, d], in float64."""
        wide = self.contrast(contrast.double())
        return self.contrast(torch.cholesky_solve(wide.T, self._factor.double()).T)


def _gram(engine: Engine) -> torch.Tensor:
    """Return G with its jitter, [d, d] in float64."""
    gram = torch.zeros(engine.hidden, engine.hidden, dtype=torch.float64, device=engine.device)
    for rows in engine.head_weight.split(_ROWS):
        scaled = rows.float() * engine.gain
        if engine.centred:
            scaled = scaled - scaled.mean(-1, keepdim=True)
        gram += (scaled.T @ scaled).double()
    return gram + _JITTER * gram.diagonal().mean().clamp_min(1e-30) * torch.eye(
        engine.hidden, dtype=gram.dtype, device=gram.device
    )
