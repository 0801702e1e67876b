# SPDX-License-Identifier: Apache-2.0
"""Adapter patches with random, non-zero tensors, for tests of patches and attaching."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig

from codetemper.models.attach import save_trained, training_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import save_patch, weights_digest
from tests.tiny import tiny_model, tiny_tokenizer


def tiny_loaded(kind: str = "llama", **changes: Any) -> LoadedModel:
    """A tiny model as a backend would hand it out."""
    module = tiny_model(kind, **changes)
    return LoadedModel(
        f"hf:tiny-{kind}", module, tiny_tokenizer(), weights_digest(module), torch.device("cpu")
    )


def lora(**changes: Any) -> LoraConfig:
    """A small LoRA configuration for Llama-like models."""
    shape: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    return LoraConfig(**{**shape, "task_type": "CAUSAL_LM", **changes})


def make_patch(
    folder: Path, *, seed: int, verb: str = "tune", purpose: Any = "inference", **changes: Any
) -> Path:
    """Write a patch for ``tiny_loaded("llama")`` whose tensors are random and not small."""
    model = tiny_loaded()
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    with training_adapter(model, lora(**changes)) as wrapped:
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad and parameter.shape[0] != 320:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator))
        save_trained(wrapped, folder, base=model.expression)
    save_patch(
        folder, verb=verb, technique=verb, base=model.expression, base_digest=model.digest,
        config={"seed": seed}, seconds=0.5 + seed, seed=0, purpose=purpose,
    )  # fmt: skip
    return folder


def as_patch(folder: Path, model: LoadedModel, verb: str = "tune", **changes: Any) -> Path:
    """Complete a folder of tensors with a manifest for a model."""
    save_patch(
        folder, verb=verb, technique=verb, base=model.expression, base_digest=model.digest,
        config=changes, seconds=0.5, seed=0,
    )  # fmt: skip
    return folder
