# SPDX-License-Identifier: Apache-2.0
"""Every technique keeps the contract: card, config, a patch that works and comes off."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import torch

import codetemper.harden
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import FixPair, PreferencePair
from codetemper.core.repairs import Failure
from codetemper.harden import TechniqueCard

#: Public files that make no patch: what techniques and verbs measure with.
TOOLS = {"meters", "screening", "controls", "defences"}
NAMES = [
    module.name
    for module in pkgutil.iter_modules(codetemper.harden.__path__)
    if module.name[0] != "_" and module.name not in TOOLS
]

PAIRS = tuple(
    FixPair(
        id=str(number), language="c", before="int f(int a)\n{\n    return a;\n}\n",
        after=f"int f(int a)\n{{\n    return a > {number} ? a : 0;\n}}\n", body_start=15, name="f",
        path="f.c", repository="r", commit="c" * 40, date="2024-01-01",
    )
    for number in range(8)
)  # fmt: skip
PREFERENCES = tuple(
    PreferencePair(
        id=str(number), case=f"f/{number}", prompt="int f(int a)\n{\n", language="c",
        chosen=f"    return a > {number} ? a : 0;\n}}\n", rejected="    return b;\n}\n",
        because="execution",
    )
    for number in range(8)
)  # fmt: skip
#: An answer that a random model does not give.
FAILURES = (Failure(id="0", prompt="int f(int a)\n{\n", reference="}\n"),)
#: Settings of methods whose own are too careful to move a random model.
BOLD = {"mint": {"step": 1.0}}
#: What techniques learn from, by the record that their card names.
DATA: dict[str, tuple[Any, ...]] = {
    "FixPair": PAIRS,
    "PreferencePair": PREFERENCES,
    "Failure": FAILURES,
}


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"codetemper.harden.{name}")


def test_there_are_techniques() -> None:
    assert {"tune", "guard", "refine", "repair"} <= set(NAMES)


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


def _ways(name: str) -> list[tuple[str, str | None]]:
    """A technique with each of its methods; one without methods once."""
    field = _module(name).Config.model_fields.get("method")
    methods = get_args(field.annotation) if field is not None else (None,)
    return [(name, method) for method in methods]


@pytest.mark.parametrize(("name", "method"), [way for name in NAMES for way in _ways(name)])
def test_a_patch_changes_something_and_comes_off_bit_for_bit(
    name: str, method: str | None, tmp_path: Path
) -> None:
    from codetemper.models.attach import attached
    from codetemper.models.loaded import LoadedModel
    from codetemper.models.patch import save_patch, verify_patch, weights_digest
    from tests.tiny import tiny_model, tiny_tokenizer

    module = _module(name)
    base = tiny_model("llama")
    digest = weights_digest(base)
    loaded = LoadedModel("hf:tiny", base, tiny_tokenizer(), digest, torch.device("cpu"))
    ids = torch.tensor([[5, 6, 7]])

    def logits(found: Any) -> torch.Tensor:
        with torch.no_grad():
            return found(input_ids=ids).logits

    before = logits(base)
    config = module.Config(**({} if method is None else {"method": method} | BOLD.get(method, {})))
    refused: CannotKnowError | None = None
    try:
        getattr(module, name)(loaded, DATA[module.CARD.data], config, tmp_path)
    except CannotKnowError as error:
        refused = error
    assert weights_digest(base) == digest
    assert torch.equal(logits(base), before)
    if refused is not None:
        # A method may need what is not installed; then it says so and leaves nothing.
        assert method == "qlora"
        assert "bitsandbytes" in refused.why
        assert list(tmp_path.iterdir()) == []
        return
    save_patch(
        tmp_path, verb=name, technique=name, base="hf:tiny", base_digest=digest,
        config=config.model_dump(mode="json"), seconds=1.0, seed=0,
    )  # fmt: skip
    with attached(loaded, tmp_path):
        changed = logits(base)
    assert not torch.equal(changed, before)
    assert torch.equal(logits(base), before)
    if verify_patch(tmp_path).kind == "adapter":
        from peft import PeftModel

        stranger = logits(PeftModel.from_pretrained(tiny_model("llama"), tmp_path).eval())
        assert torch.allclose(stranger[:, -3:], changed, atol=1e-5)
