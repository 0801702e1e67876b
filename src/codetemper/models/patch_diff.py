# SPDX-License-Identifier: Apache-2.0
r"""Where two patches differ: base, settings, weights, and the answers that repairs repair.

    found = diff(Path("repair-5c1e"), Path("repair-81c0"))       # files alone; no model is loaded

Two changes of a weight are told apart by their direction,

.. math:: \cos = \frac{\langle \Delta_1, \Delta_2 \rangle}{\|\Delta_1\|\|\Delta_2\|}, \quad
          \langle X, Y \rangle = \operatorname{tr}(X^\top Y) ,

from their factors; of changes without factors (full tuning, DoRA) it is not known here. Of an
adapter that is no LoRA, base and settings alone are compared.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open

from codetemper.core.accounts import PatchManifest
from codetemper.core.records import Record
from codetemper.core.repairs import FAILURES, Failure
from codetemper.models.factors import FACTORS, Factors, read_factors, traced
from codetemper.models.patch import adapter_config, verify_patch
from codetemper.models.projection import lora_factors
from codetemper.models.rows_folder import INDEX, ROWS_INDEX, ROWS_WEIGHTS, read_rows

#: Fields of a manifest that any two patches may differ in without one being another change.
_APART: Final = frozenset({"id", "bytes", "config", "files", "report", "seconds"})


class WeightDiff(Record):
    """A weight that at least one of two patches changes."""

    weight: str
    """Its name in the model."""
    first: int = 0
    """Numbers of it that the first patch replaces; of an adapter, all."""
    second: int = 0
    """Those of the second."""
    shared: int = 0
    """Numbers that both change."""
    equal: int | None = None
    """Of these, how many both give the same value; None of adapters, which add to the old ones."""
    cosine: float | None = None
    """Direction of one change against the other, from -1 to 1; None where a patch holds no
    factors of it."""


class PatchDiff(Record):
    """What ``patch diff`` says."""

    first: str
    """Id of the first patch."""
    second: str
    """Id of the second."""
    same_base: bool
    """Whether both were made for the same weights."""
    manifest: dict[str, tuple[Any, Any]]
    """Fields of the manifests that differ, but for ids, times and files."""
    config: dict[str, tuple[Any, Any]]
    """Settings that differ; None where a patch has no such setting."""
    weights: tuple[WeightDiff, ...]
    """Every weight that one of them changes, by name."""
    only_first: tuple[str, ...] = ()
    """Failures that only the first repairs."""
    only_second: tuple[str, ...] = ()
    """Those that only the second does."""
    both: tuple[str, ...] = ()
    """Those that both do."""
    contradicting: tuple[str, ...] = ()
    """Those to whose prompt the second wants another answer."""


def diff(first: Path, second: Path) -> PatchDiff:
    """Compare two patch folders.

    Raises:
        UsageError, IntegrityError, MissingExtraError: as ``patch.verify_patch``, of either.
    """
    one, other = verify_patch(first), verify_patch(second)
    mine, theirs = ({(e.prompt, e.reference): e.id for e in _failures(f)} for f in (first, second))
    prompts = {prompt for prompt, _ in theirs}
    return PatchDiff(
        first=one.id,
        second=other.id,
        same_base=one.base_digest == other.base_digest,
        manifest=_unlike(_facts(one), _facts(other)),
        config=_unlike(one.config, other.config),
        weights=_weights(first, second),
        only_first=tuple(id for answer, id in mine.items() if answer not in theirs),
        only_second=tuple(id for answer, id in theirs.items() if answer not in mine),
        both=tuple(id for answer, id in mine.items() if answer in theirs),
        contradicting=tuple(
            id for answer, id in mine.items() if answer[0] in prompts and answer not in theirs
        ),
    )


def _facts(manifest: PatchManifest) -> dict[str, Any]:
    return {k: v for k, v in manifest.model_dump(mode="json").items() if k not in _APART}


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted(one.keys() | other.keys())
    return {n: (one.get(n), other.get(n)) for n in names if one.get(n) != other.get(n)}


@dataclass(frozen=True)
class _Part:
    """What a patch changes of a weight.

    Attributes:
        shape: of the whole weight.
        axis: 0: rows are changed; 1: columns.
        places: which; of a whole weight, all rows.
        values: their new values; None of an adapter, which adds to the old ones.
    """

    shape: tuple[int, ...]
    axis: int
    places: torch.Tensor
    values: torch.Tensor | None = None

    @property
    def others(self) -> int:
        """Numbers in one row or column."""
        return math.prod(self.shape) // self.shape[self.axis]

    @property
    def numbers(self) -> int:
        """Numbers that change."""
        return len(self.places) * self.others


def _weights(first: Path, second: Path) -> tuple[WeightDiff, ...]:
    factors = [_factors(first), _factors(second)]
    parts = [_parts(first, factors[0]), _parts(second, factors[1])]
    found = []
    for weight in sorted(parts[0].keys() | parts[1].keys()):
        one, other = (side.get(weight) for side in parts)
        row = WeightDiff(
            weight=weight,
            first=one.numbers if one else 0,
            second=other.numbers if other else 0,
        )
        if one and other:
            shared, equal = _overlap(one, other)
            cosine = None
            if all(weight in side for side in factors):
                cosine = _cosine(factors[0][weight], factors[1][weight])
            row = row.model_copy(update={"shared": shared, "equal": equal, "cosine": cosine})
        found.append(row)
    return tuple(found)


def _parts(folder: Path, factors: dict[str, Factors]) -> dict[str, _Part]:
    if not (folder / ROWS_INDEX).is_file():
        shapes = {w: (each.left.shape[0], _dense(each).shape[1]) for w, each in factors.items()}
        return {w: _Part(shape, 0, torch.arange(shape[0])) for w, shape in shapes.items()}
    found = {}
    with safe_open(folder / ROWS_WEIGHTS, framework="pt") as tensors:
        for part in read_rows(folder).parts:
            whole = part.axis is None
            places = (
                torch.arange(part.shape[0]) if whole else tensors.get_tensor(part.weight + INDEX)
            )
            values = tensors.get_tensor(part.weight)
            found[part.weight] = _Part(part.shape, part.axis or 0, places, values)
    return found


def _dense(each: Factors) -> torch.Tensor:
    """Return the factor that is as wide as what changes."""
    return each.left if each.right is None else each.right


def _factors(folder: Path) -> dict[str, Factors]:
    """Return the factors that a patch holds, by weight; none of DoRA, IA3 and virtual tokens."""
    if (folder / FACTORS).is_file():
        return {each.weight: each for each in read_factors(folder)}
    if (folder / ROWS_INDEX).is_file():
        return {}
    config = adapter_config(folder)
    if config.get("peft_type") != "LORA" or config.get("use_dora"):
        return {}
    return {
        f"{layer}.weight": Factors(f"{layer}.weight", outer, inner)
        for layer, (outer, inner) in lora_factors(folder).items()
    }


def _overlap(one: _Part, other: _Part) -> tuple[int, int | None]:
    """Return how many numbers both change, and how many of them to the same value."""
    if one.axis == other.axis:
        shared = int(torch.isin(one.places, other.places).sum()) * one.others
    else:
        shared = len(one.places) * len(other.places)
    if one.values is None or other.values is None or one.shape != other.shape:
        return shared, None
    mine, theirs = _spread(one, one.values), _spread(other, other.values)
    return shared, int((mine == theirs).sum())


def _spread(part: _Part, values: torch.Tensor) -> torch.Tensor:
    """Return new values where they are in the weight, and not-a-number elsewhere."""
    whole = torch.full(part.shape, float("nan"))
    return whole.index_copy_(part.axis, part.places.long(), values.float())


def _cosine(one: Factors, other: Factors) -> float | None:
    """Return the cosine between two changes of a weight; None where one is nothing."""
    length = math.sqrt(_traced(one, one) * _traced(other, other))
    return _traced(one, other) / length if length else None


def _traced(one: Factors, other: Factors) -> float:
    r"""Return :math:`tr(\Delta_1^T \Delta_2)`, by factors as narrow as the changes' ranks."""
    (left, right), (other_left, other_right) = _pair(one), _pair(other)
    if one.columns is not None or other.columns is not None:
        width = max(_width(one), _width(other))
        right, other_right = _wide(right, one, width), _wide(other_right, other, width)
    return traced(left, right, other_left, other_right)


def _pair(each: Factors) -> tuple[torch.Tensor, torch.Tensor]:
    left = each.left.double()
    return left, torch.eye(left.shape[1]).to(left) if each.right is None else each.right.double()


def _width(each: Factors) -> int:
    return _dense(each).shape[1] if each.columns is None else int(each.columns.max()) + 1


def _wide(right: torch.Tensor, each: Factors, width: int) -> torch.Tensor:
    """Return a right factor with zeros where its columns are not."""
    whole = torch.zeros(right.shape[0], width, dtype=right.dtype)
    places = torch.arange(right.shape[1]) if each.columns is None else each.columns.long()
    return whole.index_copy_(1, places, right)


def _failures(folder: Path) -> list[Failure]:
    path = folder / FAILURES
    if not path.is_file():
        return []
    return [Failure.model_validate(row) for row in json.loads(path.read_bytes())]
