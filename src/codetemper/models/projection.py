# SPDX-License-Identifier: Apache-2.0
r"""How much of a guard is in a patch: the projection of one weight change onto another.

    projection(patch_folder, guard_folder)                  # LoRA on LoRA: files alone
    projection(rows_folder, guard_folder, model.module)     # needs the weights it changes

.. math:: \pi = \frac{\langle \Delta W, G \rangle}{\langle G, G \rangle}, \quad
          \langle X, Y \rangle = \sum_l \operatorname{tr}(X_l^\top Y_l)

over all layers :math:`l` that the guard adds :math:`G_l = s B_l A_l` to. A patch that holds the
guard as it is, merged or copied, has 1, whatever else it holds that lies across; one that has
nothing to do with it is near 0. Two low-rank changes are multiplied by the traces of rank-sized
matrices, :math:`\operatorname{tr}(A_p^\top B_p^\top B_g A_g) = \sum (B_p^\top B_g) \circ
(A_p A_g^\top)`; the full change is never formed.

It sees weights, not behaviour: the same behaviour can be learnt along other directions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft.utils.other import get_pattern_key
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from codetemper.core.errors import UsageError
from codetemper.models.factors import traced
from codetemper.models.patch import ADAPTER_WEIGHTS, adapter_config
from codetemper.models.rows_folder import INDEX, ROWS_INDEX, ROWS_WEIGHTS, RowsPart, read_rows

#: A patch with more than this of a guard in it does not leave the workspace.
LIMIT = 0.5

_PREFIX = "base_model.model."
LoraFactors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""By layer: scaled B [out, r] and A [r, in], in float64."""


def needs_weights(patch: Path) -> bool:
    """Whether the change of a patch can only be told beside the weights that it changes."""
    return (patch / ROWS_INDEX).is_file() or _form(patch) == "IA3"


def projection(patch: Path, guard: Path, module: nn.Module | None = None) -> float:
    """Return the share of a guard that a patch holds.

    Args:
        patch: folder of a LoRA, IA3 or rows patch; virtual tokens change no weight and have 0.
        guard: folder of a LoRA patch.
        module: the model as it is under the patch, where ``needs_weights(patch)``; adapters may be
            on it.

    Returns:
        The projection; 0 for a guard that changes nothing.

    Raises:
        UsageError: the weights are needed and not given, or do not fit the guard.
    """
    factors = lora_factors(guard)
    whole = sum(traced(*pair, *pair) for pair in factors.values())
    if not whole:
        return 0.0
    if not needs_weights(patch):
        own = lora_factors(patch) if _form(patch) == "LORA" else {}
        shared = factors.keys() & own.keys()
        return sum(traced(*own[layer], *factors[layer]) for layer in sorted(shared)) / whole
    if module is None:
        raise UsageError(
            f"the change that {patch.name} makes cannot be told from its files",
            why="it holds new weights, or factors of them, and the old ones were not given",
            mend="load the model that it was made for",
        )
    layers = {_plain(path): part for path, part in module.named_modules()}
    total = 0.0
    changes = _rows(patch, layers) if (patch / ROWS_INDEX).is_file() else _ia3(patch, layers)
    for layer, change in changes:
        if layer in factors:
            outer, inner = factors[layer]
            total += float(((outer.T @ change.cpu().double()) * inner).sum())
    return total / whole


def _form(patch: Path) -> str:
    return str(adapter_config(patch).get("peft_type"))


def lora_factors(folder: Path) -> LoraFactors:
    """Return the scaled factors of the change that a LoRA patch makes, by layer.

    Args:
        folder: a PEFT folder of the kind LORA.

    Raises:
        UsageError: it is a DoRA, whose change is no product of factors.
    """
    config = adapter_config(folder)
    if config.get("use_dora"):
        raise UsageError(
            f"the change that {folder.name} makes cannot be told from its files",
            why="it is a DoRA, which also gives each row of the changed weight a length of its own",
            mend="give a LoRA patch without use_dora",
        )
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    found: LoraFactors = {}
    for name in sorted(tensors):
        if not name.endswith(".lora_A.weight"):
            continue
        path = name.removesuffix(".lora_A.weight")
        inner = tensors[name].double()
        outer = tensors[f"{path}.lora_B.weight"].double()
        layer = path.removeprefix(_PREFIX)
        found[layer] = (outer * _scale(config, layer, inner.shape[0]), inner)
    return found


def _scale(config: dict[str, Any], layer: str, rank: int) -> float:
    pattern = config.get("alpha_pattern") or {}
    alpha = float(pattern.get(get_pattern_key(pattern.keys(), layer), config["lora_alpha"]))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _plain(path: str) -> str:
    """Return a layer's name in the model without adapters."""
    return path.removeprefix(_PREFIX).removesuffix(".base_layer")


def _rows(patch: Path, layers: dict[str, nn.Module]) -> Iterator[tuple[str, torch.Tensor]]:
    with safe_open(patch / ROWS_WEIGHTS, framework="pt") as tensors:
        for part in read_rows(patch).parts:
            layer = part.weight.removesuffix(".weight")
            if layer != part.weight and len(part.shape) == 2 and layer in layers:
                held = getattr(layers[layer], "base_layer", layers[layer])
                yield layer, _difference(part, tensors, held)


def _difference(part: RowsPart, tensors: Any, held: nn.Module) -> torch.Tensor:
    old = _numbers(held)
    new: torch.Tensor = tensors.get_tensor(part.weight).float()
    if part.axis is None:
        change = new - old
    else:
        index = tensors.get_tensor(part.weight + INDEX)
        change = torch.zeros_like(old)
        change.index_copy_(part.axis, index, new - old.index_select(part.axis, index))
    return change.T if isinstance(held, Conv1D) else change


def _ia3(patch: Path, layers: dict[str, nn.Module]) -> Iterator[tuple[str, torch.Tensor]]:
    """A factor on outputs is one on rows of the weight, a factor on inputs one on columns."""
    for name, factor in sorted(load_file(patch / ADAPTER_WEIGHTS).items()):
        layer = name.removeprefix(_PREFIX).removesuffix(".ia3_l")
        if layer in layers:
            held = getattr(layers[layer], "base_layer", layers[layer])
            weight = _numbers(held)
            yield layer, (factor.float() - 1) * (weight.T if isinstance(held, Conv1D) else weight)


def _numbers(held: nn.Module) -> torch.Tensor:
    weight = held.weight
    if not isinstance(weight, torch.Tensor):
        raise UsageError(
            f"the weight of a {type(held).__name__} cannot be read",
            why="it is not held as one tensor",
            mend="load the model in float32 or bfloat16",
        )
    return weight.detach().cpu().float()
