# SPDX-License-Identifier: Apache-2.0
r"""What ``tune`` can minimise, as functions of logits, of the tokens that are there, and of roles.

    terms = sums(logits, batch, weights, base)          # one sum a term
    loss = (terms / counts(batch, weights)).sum()       # each term a mean over its own tokens

With :math:`p` the model being trained, :math:`q` the base, :math:`y^+` the fixed side of a pair
and :math:`y^-` the vulnerable one, the loss is

.. math:: L = L_{LM} + u L_{UL} + c L_{CT} + k L_{KL} + r L_R

where each term is the mean over the tokens it speaks of, so that a weight means the same for
long and for short fixes. Which tokens count as changed is for ``data.examples`` to say. Nothing
here knows a model, a tokenizer or a trainer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

#: Terms of the loss, in the order of every vector of sums and counts.
TERMS = ("language", "unlikelihood", "contrast", "kl", "retain")


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts.

    Attributes:
        changed: weight of a changed token of the fixed side against 1 of an unchanged one.
        unlikelihood: weight of pushing down the vulnerable side's changed tokens.
        contrast: weight of preferring the fixed side's token where the two sides part.
        kl: weight of staying at the base on the fixed side's unchanged tokens.
        retain: weight of staying at the base on tokens that are kept and not learnt.
    """

    changed: float = 1.0
    unlikelihood: float = 0.0
    contrast: float = 0.0
    kl: float = 0.0
    retain: float = 0.0

    @property
    def both_sides(self) -> bool:
        """Whether the vulnerable side is read at all."""
        return self.unlikelihood > 0

    @property
    def needs_base(self) -> bool:
        """Whether the base's logits are compared with."""
        return self.kl > 0 or self.retain > 0


@dataclass(frozen=True)
class Targets:
    """The tokens that logits are asked for.

    Attributes:
        labels: the token that stands there, [n] int64.
        changed: whether the fix changed it, [n] bool.
        fixed: whether it belongs to the fixed side of a pair, [n] bool. What is neither changed
            nor of the fixed side is kept and not learnt.
        instead: what the vulnerable side has where it parts from the fixed one, [n] int64; -1
            everywhere else.
    """

    labels: torch.Tensor
    changed: torch.Tensor
    fixed: torch.Tensor
    instead: torch.Tensor

    @property
    def kept(self) -> torch.Tensor:
        """Whether it is kept and not learnt, [n] bool."""
        return ~self.changed & ~self.fixed


def log_probabilities(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""Return :math:`\log p(y_t \mid y_{<t})` in nats, [n]; ``logits`` are [n, vocabulary]."""
    return -functional.cross_entropy(logits.float(), labels, reduction="none")


def language_modelling(scores: torch.Tensor, token_weights: torch.Tensor) -> torch.Tensor:
    r"""Return the weighted negative log-likelihood of the fixed side, summed.

    .. math:: L_{LM} = -\sum_t w_t \log p(y^+_t \mid y^+_{<t})

    With all weights 1 it is the study's loss (Li et al. 2024, 2408.09078). SVEN's and SafeCoder's
    (2302.05319, 2402.09497) count changed tokens only; :math:`w` in between keeps the rest of the
    function in sight.

    Args:
        scores: log-probabilities of the tokens, in nats, [n].
        token_weights: weight of each, [n].
    """
    return -(token_weights * scores).sum()


def unlikelihood(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""Return the unlikelihood of the vulnerable side's changed tokens, summed.

    .. math:: L_{UL} = -\sum_t \log\bigl(1 - p(y^-_t \mid y^-_{<t})\bigr)

    SafeCoder's loss on the unsafe program (2402.09497, from Welleck et al. 2020, 1908.04319).
    :math:`\log(1 - p)` is taken as the log-mass of all other tokens, which stays exact where
    :math:`p` is near 1 and gives the gradient :math:`p` with respect to the token's own logit.

    Args:
        logits: [n, vocabulary].
        labels: the vulnerable tokens, [n].
    """
    logits = logits.float()
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return (logits.logsumexp(1) - others.logsumexp(1)).sum()


def contrast(logits: torch.Tensor, labels: torch.Tensor, instead: torch.Tensor) -> torch.Tensor:
    r"""Return how little the fixed token is preferred where the two sides part, summed.

    .. math:: L_{CT} = -\sum_{t \in F} \log\frac{p(y^+_t \mid y^+_{<t})}
                                              {p(y^+_t \mid y^+_{<t}) + p(y^-_t \mid y^+_{<t})}

    The form of SVEN's contrastive term (2302.05319, section 4.2), which asks that of two conditions
    the one a program belongs to gives it more probability than the other. SVEN trains a prefix for
    each condition; with one patch the two candidates are the sides of the pair: :math:`F` holds
    the first token of each hunk, whose context both share. Later tokens of the vulnerable side
    stand after a choice that is no longer made; pushing them down hurts other code.

    The sum over the vocabulary cancels, so it equals :math:`-\log\sigma(z^+_t - z^-_t)` in the
    logits, and a token that is preferred by far stops pulling. It needs no pass over the
    vulnerable side.

    Args:
        logits: at the places where the sides part, [n, vocabulary].
        labels: the fixed side's tokens, [n].
        instead: the vulnerable side's, [n].
    """
    logits = logits.float()
    rows = torch.arange(len(labels), device=logits.device)
    return functional.softplus(logits[rows, instead] - logits[rows, labels]).sum()


def divergence(logits: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    r"""Return how far the model's next-token distributions are from the base's, summed.

    .. math:: L_{KL} = \sum_t \sum_v p(v \mid y_{<t}) \log\frac{p(v \mid y_{<t})}{q(v \mid y_{<t})}

    SVEN's term (2302.05319, section 4.2) on the unchanged tokens: what the fix left alone is to be
    written as before.

    Args:
        logits: of the model, [n, vocabulary].
        base: of the base, [n, vocabulary]; no gradient goes there.
    """
    model = logits.float().log_softmax(1)
    reference = base.detach().float().log_softmax(1)
    return (model.exp() * (model - reference)).sum()


def retention(logits: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    r"""Return how much of the base's next-token distributions is lost, summed.

    .. math:: L_R = \sum_t \sum_v q(v \mid y_{<t}) \log\frac{q(v \mid y_{<t})}{p(v \mid y_{<t})}

    The term that keeps a security vector from acting on other text (Zhou et al. 2023, 2311.02105).
    Seen from the base, so that nothing the base might write becomes impossible.

    Args:
        logits: of the model, [n, vocabulary].
        base: of the base, [n, vocabulary]; no gradient goes there.
    """
    model = logits.float().log_softmax(1)
    reference = base.detach().float().log_softmax(1)
    return (reference.exp() * (reference - model)).sum()


def counts(targets: Targets, weights: LossWeights) -> torch.Tensor:
    """Return how many tokens (for the first term: how much weight) each term sums over, [5]."""
    changed, fixed = targets.changed, targets.fixed
    return torch.stack(
        [
            _token_weights(targets, weights).sum(),
            (changed & ~fixed).sum(),
            (targets.instead >= 0).sum(),
            (~changed & fixed).sum(),
            targets.kept.sum(),
        ]
    ).float()


def sums(
    logits: torch.Tensor,
    targets: Targets,
    weights: LossWeights,
    base: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the sum of each term, times its weight in the loss, in the order of ``TERMS``, [5].

    Args:
        logits: of the model at each target, [n, vocabulary].
        targets: what stands there.
        weights: terms of weight 0 are not computed.
        base: logits of the base, where ``weights.needs_base``.
    """
    changed, fixed = targets.changed, targets.fixed
    scores = log_probabilities(logits, targets.labels)
    nothing = scores.new_zeros(())
    terms = [language_modelling(scores, _token_weights(targets, weights)), *[nothing] * 4]
    if weights.unlikelihood > 0:
        bad = changed & ~fixed
        terms[1] = weights.unlikelihood * unlikelihood(logits[bad], targets.labels[bad])
    if weights.contrast > 0:
        parts = targets.instead >= 0
        found = contrast(logits[parts], targets.labels[parts], targets.instead[parts])
        terms[2] = weights.contrast * found
    if weights.kl > 0 and base is not None:
        calm = ~changed & fixed
        terms[3] = weights.kl * divergence(logits[calm], base[calm])
    if weights.retain > 0 and base is not None:
        kept = targets.kept
        terms[4] = weights.retain * retention(logits[kept], base[kept])
    return torch.stack(terms)


def _token_weights(targets: Targets, weights: LossWeights) -> torch.Tensor:
    weight = torch.where(targets.changed, weights.changed, 1.0)
    return torch.where(targets.fixed, weight, torch.zeros_like(weight))
