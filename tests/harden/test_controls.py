# SPDX-License-Identifier: Apache-2.0
"""A random guard is of the form and size of another, and writes nothing that the other writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.data.samples import Canaries, write_canaries
from codetemper.harden.controls import product_norm, random_guard
from codetemper.harden.screening import screen
from codetemper.models.guards import read_guard
from codetemper.models.projection import projection
from tests.harden.guards import BAD, LAYOUT, make_guard
from tests.harden.material import loaded
from tests.models.adapters import make_patch

TENSORS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guards") / "g"
    folder.mkdir()
    write_canaries(folder, Canaries(bad=BAD[8:], retain=()))
    make_guard(loaded(), folder, BAD[:8], steps=15)
    return folder


def made(guard: Path, folder: Path, seed: int = 0) -> Path:
    folder.mkdir()
    random_guard(guard, folder, seed)
    return folder


def test_each_layer_changes_by_as_much_in_another_direction(guard: Path, tmp_path: Path) -> None:
    folder = made(guard, tmp_path / "random")
    old, new = load_file(guard / TENSORS), load_file(folder / TENSORS)
    assert {n: t.shape for n, t in old.items()} == {n: t.shape for n, t in new.items()}
    layers = [name.removesuffix(".lora_A.weight") for name in old if name.endswith("A.weight")]
    assert layers
    for layer in layers:
        first, second = (
            t[f"{layer}.lora_B.weight"] @ t[f"{layer}.lora_A.weight"] for t in (old, new)
        )
        assert float(second.norm()) == pytest.approx(float(first.norm()), rel=1e-4)
        assert abs(float((first * second).sum())) < 0.5 * float(first.norm()) ** 2
    model = loaded()
    assert abs(projection(folder, guard, model.module)) < 0.1
    assert projection(guard, guard, model.module) == pytest.approx(1.0, abs=1e-4)


def test_it_is_a_guard_that_guards_nothing(guard: Path, tmp_path: Path) -> None:
    folder, model = made(guard, tmp_path / "random"), loaded()
    manifest = read_guard(folder, model).manifest
    assert (manifest.technique, manifest.purpose, manifest.seed) == ("random", "train-only", 0)
    assert (folder / "canaries.json").read_bytes() == (guard / "canaries.json").read_bytes()
    found = screen(model, [guard, folder], BAD[8:], LAYOUT)
    assert all(each is not None and each.ratio[1] < 0.3 * each.ratio[0] for each in found)


def test_a_seed_is_one_guard(guard: Path, tmp_path: Path) -> None:
    one, same, other = (
        load_file(made(guard, tmp_path / str(n), seed) / TENSORS)
        for n, seed in enumerate((0, 0, 1))
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_the_norm_of_a_product_is_that_of_the_product() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(3, 7), torch.randn(5, 3)
    assert product_norm(a, b) == pytest.approx(float((b @ a).norm()), rel=1e-5)


def test_only_whole_guards_are_imitated(guard: Path, tmp_path: Path) -> None:
    use = make_patch(tmp_path / "use", seed=0)
    with pytest.raises(UsageError, match="cannot be used as a guard"):
        made(use, tmp_path / "first")
    with (guard / "canaries.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(IntegrityError):
        made(guard, tmp_path / "second")
