# SPDX-License-Identifier: Apache-2.0
"""Differences of patches, against the same numbers taken from the changes written out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from codetemper.core.errors import IntegrityError
from codetemper.core.repairs import FAILURES
from codetemper.models.factors import FACTORS, Factors, write_factors
from codetemper.models.patch_diff import WeightDiff, diff
from codetemper.models.rows import Change, write_rows
from tests.models.adapters import as_patch, make_patch, tiny_loaded

DOWN = "model.layers.{}.mlp.down_proj.weight"


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows_patch(
    folder: Path, layers: dict[int, list[int] | None], seed: int, failures: dict[str, str]
) -> Path:
    """Change columns of FFN output matrices, or all of one, by factors of rank 2."""
    model = tiny_loaded()
    weights = dict(model.module.named_parameters())
    folder.mkdir()
    changes, factors = [], []
    for layer, columns in layers.items():
        name = DOWN.format(layer)
        old = weights[name].detach()
        left = draw(old.shape[0], 2, seed=seed + layer)
        right = draw(2, len(columns) if columns else old.shape[1], seed=seed + layer + 50)
        index = None if columns is None else torch.tensor(columns)
        factors.append(Factors(name, left, right, index))
        if columns is None:
            changes.append(Change(name, old + left @ right))
        else:
            changes.append(Change(name, old[:, columns] + left @ right, 1, columns))
    write_rows(folder, changes, model.module)
    write_factors(folder, factors)
    listed = [{"id": p, "prompt": p, "reference": r} for p, r in failures.items()]
    (folder / FAILURES).write_text(json.dumps(listed))
    return as_patch(folder, model, verb="repair", margin=seed)


def test_repairs_are_compared_by_place_value_direction_and_answer(tmp_path: Path) -> None:
    one = rows_patch(tmp_path / "a", {0: [1, 4, 7], 1: [2]}, 1, {"p": "x", "q": "y", "r": "z"})
    other = rows_patch(tmp_path / "b", {0: [4, 5, 7, 9], 2: None}, 2, {"p": "x", "q": "n"})
    found = diff(one, other)
    assert found.same_base
    assert found.config == {"margin": (1, 2)}
    assert found.manifest.keys() == {"parameters_changed"}
    high, wide = tiny_loaded().module.get_parameter(DOWN.format(0)).shape
    first, second, third = found.weights
    assert (first.first, first.second, first.shared, first.equal) == (
        3 * high, 4 * high, 2 * high, 0,
    )  # fmt: skip
    mine, theirs = torch.zeros(high, wide), torch.zeros(high, wide)
    mine[:, [1, 4, 7]] = draw(high, 2, seed=1) @ draw(2, 3, seed=51)
    theirs[:, [4, 5, 7, 9]] = draw(high, 2, seed=2) @ draw(2, 4, seed=52)
    cosine = torch.nn.functional.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0)
    assert first.cosine == pytest.approx(float(cosine), abs=1e-6)
    assert abs(float(cosine)) > 1e-3
    assert second == WeightDiff(weight=DOWN.format(1), first=high, second=0)
    assert third == WeightDiff(weight=DOWN.format(2), first=0, second=high * wide)
    assert (found.both, found.only_first, found.only_second, found.contradicting) == (
        ("p",), ("q", "r"), ("q",), ("q",),
    )  # fmt: skip


def test_a_patch_does_not_differ_from_itself(tmp_path: Path) -> None:
    one = rows_patch(tmp_path / "a", {0: [1, 4], 2: None}, 1, {"p": "x"})
    found = diff(one, one)
    assert not found.config
    assert not found.manifest
    assert not found.only_first + found.only_second + found.contradicting
    for row in found.weights:
        assert row.first == row.second == row.shared == row.equal
        assert row.cosine == pytest.approx(1)


def test_columns_of_the_one_and_all_of_the_other(tmp_path: Path) -> None:
    one = rows_patch(tmp_path / "a", {0: [1, 4]}, 1, {})
    other = rows_patch(tmp_path / "b", {0: None}, 1, {})
    (row,) = diff(one, other).weights
    assert row.shared == row.first < row.second
    assert row.cosine is not None


def test_adapters_are_compared_by_direction(tmp_path: Path) -> None:
    one, other = (make_patch(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    narrow = make_patch(tmp_path / "narrow", seed=1, target_modules=["q_proj"])
    same, apart, fewer = diff(one, one), diff(one, other), diff(one, narrow)
    assert [row.cosine for row in same.weights] == pytest.approx([1] * len(same.weights))
    assert all(abs(row.cosine or 1) < 0.5 for row in apart.weights)
    assert all(row.equal is None and row.shared == row.first > 0 for row in apart.weights)
    assert {row.weight for row in fewer.weights if not row.second} == {
        row.weight for row in same.weights if "v_proj" in row.weight
    }
    mixed = diff(one, rows_patch(tmp_path / "rows", {0: None}, 1, {}))
    assert all(row.shared == 0 and row.cosine is None for row in mixed.weights)
    assert mixed.manifest["kind"] == ("adapter", "rows")


def test_other_adapters_are_compared_by_their_settings(tmp_path: Path) -> None:
    one = make_patch(tmp_path / "a", seed=1, use_dora=True)
    found = diff(one, make_patch(tmp_path / "b", seed=2))
    assert found.config == {"seed": (1, 2)}
    assert all(row.first == 0 for row in found.weights)


@pytest.mark.parametrize("name", ["rows.json", "rows.safetensors", FAILURES, FACTORS])
def test_a_damaged_patch_is_named(name: str, tmp_path: Path) -> None:
    one, other = (rows_patch(tmp_path / n, {0: [1]}, 1, {"p": "x"}) for n in "ab")
    path = other / name
    path.write_bytes(path.read_bytes()[:-1])
    for first, second in ((one, other), (other, one)):
        with pytest.raises(IntegrityError, match=name):
            diff(first, second)
