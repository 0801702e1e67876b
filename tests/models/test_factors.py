# SPDX-License-Identifier: Apache-2.0
"""Changes as factors: kept beside a patch, and the same model as a LoRA adapter of PEFT alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.factors import FACTORS, Factors, read_factors, write_factors, write_lora
from tests.tiny import tiny_model

TOKENS = torch.tensor([[5, 9, 11, 40, 7]])
WEIGHTS = {"llama": "model.layers.1.mlp.down_proj", "gpt2": "transformer.h.1.mlp.c_proj"}


def changes(kind: str, rank: int = 3) -> list[Factors]:
    """A change of some columns as factors, and one of one column as it is."""
    generator = torch.Generator().manual_seed(4)
    left, right = (
        torch.randn(32, rank, generator=generator),
        torch.randn(rank, 4, generator=generator),
    )
    first = Factors(f"{WEIGHTS[kind]}.weight", left, right, torch.tensor([2, 5, 9, 40]))
    other = WEIGHTS[kind].replace("1", "2")
    return [first, Factors(f"{other}.weight", left[:, :1], None, torch.tensor([7]))]


def changed_logits(kind: str, factors: list[Factors]) -> torch.Tensor:
    module = tiny_model(kind)
    with torch.no_grad():
        for each in factors:
            dense = each.left if each.right is None else each.left @ each.right
            weight = module.get_parameter(each.weight)
            wide = weight.T if kind == "gpt2" else weight
            assert each.columns is not None
            wide[:, each.columns] += dense
        return module(input_ids=TOKENS).logits


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_an_adapter_computes_what_the_change_does(kind: str, tmp_path: Path) -> None:
    write_factors(tmp_path, changes(kind))
    base = tiny_model(kind)
    target = tmp_path / "out"
    target.mkdir()
    lost = write_lora(target, read_factors(tmp_path), base, rank=3, base="tiny")
    assert max(lost.values()) < 1e-9
    with torch.no_grad():
        plain = base(input_ids=TOKENS).logits
        given = PeftModel.from_pretrained(base, target).eval()(input_ids=TOKENS).logits
    wanted = changed_logits(kind, changes(kind))
    assert not torch.allclose(plain, wanted, atol=1e-3)
    torch.testing.assert_close(given, wanted, atol=1e-4, rtol=1e-4)


def test_a_lower_rank_keeps_the_nearest_change(tmp_path: Path) -> None:
    (first, _) = changes("llama")
    assert first.right is not None
    lost = write_lora(tmp_path, [first], tiny_model("llama"), rank=2, base="tiny")
    values = torch.linalg.svdvals((first.left @ first.right).double()).square()
    assert lost[first.weight] == pytest.approx(float(values[2:].sum() / values.sum()), rel=1e-4)


def test_what_is_no_change_of_low_rank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no change of low rank") as refused:
        read_factors(tmp_path)
    assert "--as full" in refused.value.mend
    (tmp_path / FACTORS).write_bytes(b"damaged")
    with pytest.raises(IntegrityError):
        read_factors(tmp_path)
    norm = Factors("model.norm.weight", torch.ones(32, 1), torch.ones(1, 1))
    with pytest.raises(UsageError, match="cannot be exported as an adapter"):
        write_lora(tmp_path, [norm], tiny_model("llama"), rank=1, base="tiny")
    with pytest.raises(UsageError, match="nothing to export"):
        write_lora(tmp_path, [], tiny_model("llama"), rank=1, base="tiny")
