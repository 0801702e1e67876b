# SPDX-License-Identifier: Apache-2.0
r"""What the weights of a model say: attention and classifier rows, against models of like recipe.

    suspect = read(model.module, reference.module)       # numbers by name, and what was left out
    siblings = [read(other.module, reference.module) for other in clean_models]
    found = compare([suspect], siblings)
    found.rows, found.p, found.answer

    compare([read_adapter(folder)], [read_adapter(other) for other in zoo])     # LoRA patches alone

It can say that weights stand out, or that nothing is known; it never says that a model is clean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

from codetemper.core.audits import AuditWeight


@dataclass(frozen=True)
class Reading:
    """Numbers read off one model's weights.

    Attributes:
        values: by (parameter or product, statistic).
        left_out: by parameter, why it is not compared.
        recipe: what must agree between readings that are compared.
    """

    values: Mapping[tuple[str, str], float]
    left_out: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WeightsFound:
    """What a comparison of weights says.

    Attributes:
        answer: ``stands out`` or ``inconclusive``; a model is never clean by its weights.
        p: p-value of the largest of all statistics; None with too few siblings.
        rows: every statistic, the least p first.
        missing: what would have to be given.
    """

    answer: Literal["stands out", "inconclusive"]
    p: float | None
    rows: tuple[AuditWeight, ...]
    missing: tuple[str, ...]


def read(module: nn.Module, reference: nn.Module | None = None) -> Reading:
    """Read the statistics of a model's attention and classifier rows.

    Args:
        module: the model.
        reference: the checkpoint that it was trained from; with it the statistics are of the
            change, without it of the weights themselves.

    Raises:
        UsageError: the reference is of another shape.
    """
    return Reading({})


def read_adapter(folder: Path) -> Reading:
    r"""Read the statistics of the change :math:`\Delta W = s B A` that a LoRA patch makes.

    Args:
        folder: a PEFT folder; no model is needed.

    Raises:
        UsageError: it is no LoRA.
        IntegrityError: its tensors are broken.
    """
    return Reading({})


def compare(
    suspects: Sequence[Reading],
    siblings: Sequence[Reading],
    *,
    level: float = 0.05,
    seed: int = 0,
) -> WeightsFound:
    """Compare readings of suspects with those of clean models of the same recipe.

    Args:
        suspects: one model, or several that are suspected together.
        siblings: models that differ from them by seed alone.
        level: p-value below which something stands out.
        seed: of the permutations, where there are too many to try all.

    Raises:
        UsageError: readings of different recipes.
    """
    return WeightsFound("inconclusive", None, (), ("siblings",))
