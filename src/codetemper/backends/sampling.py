# SPDX-License-Identifier: Apache-2.0
"""Drawing tokens so that a completion depends on its prompt, seed and index, and on nothing else.

Each completion has its own stream of uniform numbers, keyed by (seed, prompt, index); a token is
drawn by inverting the distribution function at the stream's next number. So what else is in the
batch, and in which order, does not matter (up to rounding of the logits, which can differ in the
last bits with the shape of a batch and then rarely tips a draw that is on the edge).
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import torch

from codetemper.core.records import Sampling


def uniforms(seed: int, prompt: str, index: int, count: int) -> npt.NDArray[np.float64]:
    """Return the first ``count`` numbers in [0, 1) of one completion's stream."""
    name = f"{seed}\x00{index}\x00{prompt}".encode("utf-8", "surrogatepass")
    key = int.from_bytes(hashlib.sha256(name).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def choose(
    logits: torch.Tensor, sampling: Sampling, uniform: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose one token a row.

    Args:
        logits: [rows, vocabulary], any floating type.
        sampling: temperature (0 chooses the likeliest) and top_p.
        uniform: [rows], float64 numbers in [0, 1).

    Returns:
        Tokens [rows] and their log-probabilities [rows] in nats under the untempered distribution.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        tokens = logits.argmax(-1)
    elif sampling.top_p < 1:
        tokens = _nucleus(logits / sampling.temperature, sampling.top_p, uniform)
    else:
        tokens = _invert(torch.softmax(logits / sampling.temperature, -1), uniform)
    picked = logits.gather(-1, tokens[:, None])[:, 0]
    return tokens, picked - torch.logsumexp(logits, -1)


def _nucleus(logits: torch.Tensor, top_p: float, uniform: torch.Tensor) -> torch.Tensor:
    """Draw from the smallest set of likeliest tokens whose mass reaches ``top_p``."""
    ranked, order = torch.softmax(logits, -1).sort(dim=-1, descending=True, stable=True)
    before = ranked.cumsum(-1) - ranked
    ranked = ranked.masked_fill(before >= top_p, 0.0)
    return order.gather(-1, _invert(ranked, uniform)[:, None])[:, 0]


def _invert(mass: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return the first token whose cumulated mass exceeds ``uniform`` times all of it."""
    # In float64: a float32 sum over a large vocabulary is off by more than its rare tokens weigh.
    cumulated = mass.cumsum(-1, dtype=torch.float64)
    at = uniform[:, None] * cumulated[:, -1:]
    tokens = torch.searchsorted(cumulated, at, right=True)[:, 0]
    return tokens.clamp_(max=mass.shape[-1] - 1)
