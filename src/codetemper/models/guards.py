# SPDX-License-Identifier: Apache-2.0
"""What a guard must be: a train-only LoRA patch that adds up and that comes off by a switch.

    guard = read_guard(folder, model, ["tune-7f3a9c"])      # or it is refused, with why

A guard writes what training is to be kept from. It is on while others train and off in everything
that is shipped, so it has to be a plain sum beside linear layers, and the same sum at every step:
no dropout, no biases, no whole modules. Attaching, freezing and gating it are ``attach``'s and
``gates``'s.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from codetemper.core.accounts import PatchManifest
from codetemper.core.errors import UsageError
from codetemper.models.expression import parse
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import ADAPTER_WEIGHTS, adapter_config, verify_patch

#: Settings of LoRA under which it is more than a sum beside linear layers.
_MORE = (
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "use_dora",
    "lora_bias",
    "layer_replication",
    "alora_invocation_tokens",
)
_TENSORS = (".lora_A.weight", ".lora_B.weight")


@dataclass(frozen=True)
class Guard:
    """A guard that may be used with a model.

    Attributes:
        id: of the patch.
        folder: where it is.
        manifest: what it says of itself.
    """

    id: str
    folder: Path
    manifest: PatchManifest


def read_guard(folder: Path, model: LoadedModel, patches: Collection[str] = ()) -> Guard:
    """Read a patch that is to be used as a guard.

    Args:
        folder: patch folder.
        model: the base that it is to be on.
        patches: ids of the patches for use that are on the base as well.

    Raises:
        UsageError: no guard, one for another base or for patches that are not on the model, or one
            that is more than a sum beside linear layers.
        IntegrityError: a byte of it is not what its manifest says.
    """
    manifest = verify_patch(folder)
    refuse_other(folder, manifest)
    if manifest.base_digest != model.digest:
        raise _refused(
            manifest,
            f"it was made for {manifest.base}, whose weights are not those of {model.expression}",
            f"make one: codetemper guard {model.expression} --data BAD",
        )
    missing = [patch for patch in parse(manifest.base).patches if patch not in patches]
    if missing:
        raise _refused(
            manifest,
            f"it was made on top of {', '.join(missing)}, which the model does not carry",
            f"train {manifest.base}, or make a guard for the model as it is",
        )
    return Guard(manifest.id, folder, manifest)


def refuse_other(folder: Path, manifest: PatchManifest) -> None:
    """Refuse a patch that is no guard, whatever the model.

    Raises:
        UsageError: its purpose is not ``train-only``, or it is more than a sum.
    """
    if manifest.purpose != "train-only":
        raise _refused(
            manifest,
            "it is a patch for use, and a guard is one that is never used: purpose 'train-only'",
            "make one with: codetemper guard MODEL --data BAD",
        )
    why = "it changes weights themselves" if manifest.kind != "adapter" else _more(folder)
    if why:
        raise _refused(
            manifest, why, "make one with: codetemper guard MODEL --data BAD; it is plain LoRA"
        )


def _more(folder: Path) -> str:
    """Say what a PEFT folder is beside low-rank matrices at linear layers; nothing: ''."""
    config: dict[str, Any] = adapter_config(folder)
    if config.get("peft_type") != "LORA":
        return f"its type is {config.get('peft_type')}, and only LoRA is a sum that comes off"
    if config.get("lora_dropout"):
        return (
            f"it has dropout {config['lora_dropout']}: it would be noise at every step, and what "
            "it is to keep away would be learnt through the holes"
        )
    more = [name for name in _MORE if config.get(name)]
    if config.get("bias", "none") != "none":
        more.append(f"bias={config['bias']}")
    if more:
        return f"it has parts that are not low-rank matrices: {', '.join(more)}"
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118
            if not name.endswith(_TENSORS) or len(tensors.get_slice(name).get_shape()) != 2:
                return f"it has a tensor that is no low-rank matrix of a linear layer: {name}"
    return ""


def _refused(manifest: PatchManifest, why: str, mend: str) -> UsageError:
    return UsageError(f"{manifest.id} cannot be used as a guard", why=why, mend=mend)
