# SPDX-License-Identifier: Apache-2.0
"""The losses against numbers worked out by hand, and their gradients against differences."""

from __future__ import annotations

import math

import pytest
import torch

from codetemper.harden._losses import (
    LossWeights,
    Targets,
    contrast,
    counts,
    divergence,
    language_modelling,
    log_probabilities,
    retention,
    sums,
    unlikelihood,
)


def logits_of(*rows: tuple[float, ...]) -> torch.Tensor:
    """Return logits whose softmax is given."""
    return torch.tensor(rows, dtype=torch.float64).log()


P = logits_of(
    (0.5, 0.25, 0.25), (0.125, 0.5, 0.375), (0.8, 0.1, 0.1), (0.2, 0.2, 0.6), (0.25, 0.5, 0.25)
)  # fmt: skip
Q = logits_of(
    (0.25, 0.5, 0.25), (0.125, 0.5, 0.375), (0.4, 0.3, 0.3), (0.1, 0.1, 0.8), (0.5, 0.25, 0.25)
)  # fmt: skip
#: fixed unchanged, fixed changed, vulnerable changed, fixed changed, kept
TARGETS = Targets(
    torch.tensor([0, 2, 0, 2, 1]),
    torch.tensor([False, True, True, True, False]),
    torch.tensor([True, True, False, True, False]),
    torch.tensor([-1, 1, -1, 0, -1]),
)
ALL = LossWeights(changed=3.0, unlikelihood=0.5, contrast=2.0, kl=4.0, retain=6.0)


def test_language_modelling_is_the_weighted_negative_log_likelihood() -> None:
    scores = log_probabilities(P, TARGETS.labels)
    assert scores.tolist() == pytest.approx([math.log(p) for p in (0.5, 0.375, 0.8, 0.6, 0.5)])
    weights = torch.tensor([1.0, 3.0, 0.0, 3.0, 0.0])
    by_hand = -(math.log(0.5) + 3 * math.log(0.375) + 3 * math.log(0.6))
    assert language_modelling(scores, weights).item() == pytest.approx(by_hand)


def test_unlikelihood_is_the_log_mass_of_all_other_tokens() -> None:
    assert unlikelihood(P[2:3], torch.tensor([0])).item() == pytest.approx(-math.log(1 - 0.8))
    assert unlikelihood(P[:2], torch.tensor([0, 2])).item() == pytest.approx(
        -math.log(0.5) - math.log(1 - 0.375)
    )


def test_unlikelihood_is_finite_where_the_model_is_certain() -> None:
    logits = torch.tensor([[60.0, 0.0, 0.0]], requires_grad=True)
    loss = unlikelihood(logits, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(60 - math.log(2), rel=1e-5)
    assert logits.grad is not None
    assert logits.grad.tolist()[0] == pytest.approx([1.0, -0.5, -0.5])


def test_contrast_prefers_the_fixed_token_to_the_one_in_its_place() -> None:
    found = contrast(P[[1, 3]], torch.tensor([2, 2]), torch.tensor([1, 0])).item()
    by_hand = -math.log(0.375 / (0.375 + 0.5)) - math.log(0.6 / (0.6 + 0.2))
    assert found == pytest.approx(by_hand, rel=1e-6)


def test_divergence_is_that_of_the_model_from_the_base() -> None:
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.25 * math.log(0.25 / 0.5) + 0.25 * math.log(1)
    assert divergence(P[:1], Q[:1]).item() == pytest.approx(by_hand, rel=1e-6)
    assert divergence(P[1:2], Q[1:2]).item() == pytest.approx(0.0, abs=1e-7)


def test_retention_is_the_divergence_seen_from_the_base() -> None:
    by_hand = 0.25 * math.log(0.25 / 0.5) + 0.5 * math.log(0.5 / 0.25) + 0.25 * math.log(1)
    assert retention(P[:1], Q[:1]).item() == pytest.approx(by_hand, rel=1e-6)
    assert retention(P[2:3], Q[2:3]).item() != pytest.approx(divergence(P[2:3], Q[2:3]).item())


def test_terms_are_weighted_and_divided_by_their_own_tokens() -> None:
    found = sums(P, TARGETS, ALL, Q)
    language = -(math.log(0.5) + 3 * math.log(0.375) + 3 * math.log(0.6))
    apart = [0.375 / (0.375 + 0.5), 0.6 / (0.6 + 0.2)]
    kl = 0.5 * math.log(2) + 0.25 * math.log(0.5)
    by_hand = [
        language,
        0.5 * -math.log(0.2),
        2 * -sum(math.log(share) for share in apart),
        4 * kl,
        6 * (0.5 * math.log(2) + 0.25 * math.log(0.5)),
    ]
    assert found.tolist() == pytest.approx(by_hand, rel=1e-6)
    assert counts(TARGETS, ALL).tolist() == [7.0, 1.0, 2.0, 1.0, 1.0]


def test_plain_language_modelling_reads_the_fixed_side_alone() -> None:
    plain = sums(P, TARGETS, LossWeights())
    by_hand = -(math.log(0.5) + math.log(0.375) + math.log(0.6))
    assert plain.tolist() == pytest.approx([by_hand, 0, 0, 0, 0])
    assert not LossWeights().both_sides
    assert not LossWeights(unlikelihood=1, contrast=1).needs_base
    assert LossWeights(kl=1).needs_base
    assert LossWeights(retain=1).needs_base
    assert not LossWeights(contrast=1).both_sides


@pytest.mark.parametrize(
    "weights",
    [
        LossWeights(),
        LossWeights(changed=5.0),
        LossWeights(unlikelihood=0.7),
        LossWeights(contrast=1.3),
        LossWeights(kl=0.9),
        LossWeights(retain=0.8),
        ALL,
    ],
)
def test_gradients_agree_with_finite_differences(weights: LossWeights) -> None:
    logits = P.clone().requires_grad_()
    # The losses work in float32; a step of 1e-2 keeps its rounding below the differences.
    sums(logits, TARGETS, weights, Q).sum().backward()
    assert logits.grad is not None
    step = 1e-2
    for row in range(5):
        for column in range(3):
            there, back = P.clone(), P.clone()
            there[row, column] += step
            back[row, column] -= step
            up = sums(there, TARGETS, weights, Q).sum().item()
            down = sums(back, TARGETS, weights, Q).sum().item()
            assert logits.grad[row, column].item() == pytest.approx(
                (up - down) / (2 * step), abs=3e-4
            )


def test_no_gradient_goes_to_the_base() -> None:
    base = Q.clone().requires_grad_()
    logits = P.clone().requires_grad_()
    sums(logits, TARGETS, ALL, base).sum().backward()
    assert base.grad is None
