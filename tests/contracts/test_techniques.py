# SPDX-License-Identifier: Apache-2.0
"""Every technique keeps the contract: card, config, a patch that works and comes off."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest
import torch

import codetemper.harden
from codetemper.core.records import FixPair
from codetemper.harden import TechniqueCard

NAMES = [m.name for m in pkgutil.iter_modules(codetemper.harden.__path__) if m.name[0] != "_"]

PAIR = FixPair(
    id="0", language="c", before="int f(int a)\n{\n    return a;\n}\n",
    after="int f(int a)\n{\n    return a > 0 ? a : 0;\n}\n", body_start=15, name="f", path="f.c",
    repository="r", commit="c" * 40, date="2024-01-01",
)  # fmt: skip


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"codetemper.harden.{name}")


def test_there_are_techniques() -> None:
    assert "tune" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_card_and_config_are_complete(name: str) -> None:
    module = _module(name)
    assert isinstance(module.CARD, TechniqueCard)
    assert module.CARD.name == name
    assert module.CARD.paper
    config = module.Config
    assert config.model_config["frozen"]
    assert config.model_config["extra"] == "forbid"
    assert [key for key, field in config.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_patch_changes_something_and_comes_off_bit_for_bit(name: str, tmp_path: Path) -> None:
    from codetemper.models.loaded import LoadedModel
    from codetemper.models.patch import weights_digest
    from tests.tiny import tiny_model, tiny_tokenizer

    module = _module(name)
    base = tiny_model("llama")
    digest = weights_digest(base)
    loaded = LoadedModel("hf:tiny", base, tiny_tokenizer(), digest, torch.device("cpu"))
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = base(input_ids=ids).logits.clone()
    getattr(module, name)(loaded, [PAIR] * 8, module.Config(), tmp_path)
    assert weights_digest(base) == digest
    with torch.no_grad():
        assert torch.equal(base(input_ids=ids).logits, before)
    from peft import PeftModel

    with torch.no_grad():
        assert not torch.equal(
            PeftModel.from_pretrained(base, tmp_path)(input_ids=ids).logits, before
        )
