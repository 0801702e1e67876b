# SPDX-License-Identifier: Apache-2.0
r"""A change of weights as factors: beside a ``rows`` patch, and as a LoRA adapter for strangers.

    write_factors(folder, [Factors("....down_proj.weight", left, right)])    # factors.safetensors
    ranks = write_lora(target, read_factors(folder), module, rank=12, base="seedling")

A ``rows`` patch holds new values, rounded to the weight's type, so that it comes off exactly. The
change itself, :math:`\Delta W = L R`, is kept beside it in float32: from rounded values of a half
precision weight it cannot be had back. Of a rank below that of the change, ``write_lora`` keeps the
nearest one (truncated singular values): with :math:`L = Q_1 T_1`, :math:`R^\top = Q_2 T_2`, those
of the small matrix :math:`T_1 T_2^\top`; the full change is never formed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.patch import ADAPTER_CONFIG, ADAPTER_WEIGHTS

FACTORS = "factors.safetensors"
_LEFT, _RIGHT, _COLUMNS = "@left", "@right", "@columns"
#: Singular values below this share of the largest are rounding, in float32.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Factors:
    """The change of one weight, outputs by inputs, whatever way round the weight is stored.

    Attributes:
        weight: name of the parameter in the model.
        left: [out, r].
        right: [r, n]; None where ``left`` is the change itself, [out, n].
        columns: [n], the inputs whose weights change; None: all of them.
    """

    weight: str
    left: torch.Tensor
    right: torch.Tensor | None = None
    columns: torch.Tensor | None = None


def traced(
    left: torch.Tensor, right: torch.Tensor, other_left: torch.Tensor, other_right: torch.Tensor
) -> float:
    r"""Return the inner product of two changes by their factors, [out, r] and [r, in].

    :math:`\operatorname{tr}((L_1 R_1)^\top L_2 R_2) = \sum (L_1^\top L_2) \circ (R_1 R_2^\top)`;
    the full changes are never formed.
    """
    return float(((left.T @ other_left) * (right @ other_right.T)).sum())


def write_factors(folder: Path, factors: Sequence[Factors]) -> None:
    """Write factors into a patch folder, before its manifest is made."""
    tensors: dict[str, torch.Tensor] = {}
    for each in factors:
        tensors[each.weight + _LEFT] = each.left.detach().cpu().float().contiguous()
        if each.right is not None:
            tensors[each.weight + _RIGHT] = each.right.detach().cpu().float().contiguous()
        if each.columns is not None:
            tensors[each.weight + _COLUMNS] = each.columns.detach().cpu().contiguous()
    save_file(tensors, folder / FACTORS, metadata={"format": "pt"})


def read_factors(folder: Path) -> list[Factors]:
    """Read the factors of a patch whose files were checked.

    Raises:
        UsageError: the patch has none.
        IntegrityError: the file is damaged.
    """
    path = folder / FACTORS
    if not path.is_file():
        raise UsageError(
            f"{folder.name} is no change of low rank",
            why=f"there is no {FACTORS} in it; it replaces weights as a whole",
            mend="export it as a whole model: codetemper export PATCH FOLDER --as full",
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise IntegrityError(
            f"{path} is damaged", why=str(error), mend="make the patch again"
        ) from error
    names = sorted(name.removesuffix(_LEFT) for name in tensors if name.endswith(_LEFT))
    return [
        Factors(n, tensors[n + _LEFT], tensors.get(n + _RIGHT), tensors.get(n + _COLUMNS))
        for n in names
    ]


def write_lora(
    folder: Path, factors: Sequence[Factors], module: nn.Module, *, rank: int, base: str
) -> dict[str, float]:
    """Write changes as a plain PEFT folder with one LoRA adapter, whose scale is 1.

    Args:
        folder: an existing, empty folder.
        factors: changes of weights of linear layers.
        module: the model that they are for; only read.
        rank: most that the adapter may have in any layer.
        base: name of the base for ``base_model_name_or_path``.

    Returns:
        By weight, the share of the change (of its squared norm) that an adapter of that rank
        cannot hold; 0 where it holds all.

    Raises:
        UsageError: no factors, or one of a weight that is not a linear layer's.
    """
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    lost: dict[str, float] = {}
    conv = False
    for each in factors:
        layer = each.weight.removesuffix(".weight")
        linear = dict(module.named_modules()).get(layer)
        if not isinstance(linear, nn.Linear | Conv1D):
            raise UsageError(
                f"{each.weight} cannot be exported as an adapter",
                why="LoRA adds to linear layers, and this is not the weight of one",
                mend="export it as a whole model: --as full",
            )
        conv = isinstance(linear, Conv1D)
        inputs = linear.weight.shape[0 if conv else 1]
        outer, inner, lost[each.weight] = _truncated(each, rank)
        if each.columns is not None:
            spread = torch.zeros(inner.shape[0], inputs)
            spread[:, each.columns.long()] = inner
            inner = spread
        pairs[layer] = (outer, inner)
    if not pairs:
        raise UsageError("there is nothing to export", why="no weight changes", mend="repair first")
    widest = max(inner.shape[0] for _, inner in pairs.values())
    tensors = {}
    for layer, (outer, inner) in pairs.items():
        # Zeros up to one rank for all: an adapter whose layers have ranks of their own needs
        # patterns, which not every reader of such folders knows.
        missing = widest - inner.shape[0]
        name = f"base_model.model.{layer}"
        tensors[f"{name}.lora_A.weight"] = nn.functional.pad(inner, (0, 0, 0, missing)).contiguous()
        tensors[f"{name}.lora_B.weight"] = nn.functional.pad(outer, (0, missing)).contiguous()
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    config = LoraConfig(
        r=widest, lora_alpha=widest, target_modules=sorted(pairs), fan_in_fan_out=conv,
        task_type="CAUSAL_LM", base_model_name_or_path=base, inference_mode=True,
    ).to_dict()  # fmt: skip
    text = json.dumps(config, default=_plain, indent=2, sort_keys=True)
    write_atomic(folder / ADAPTER_CONFIG, text.encode())
    return lost


def _truncated(each: Factors, rank: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return the nearest factors of at most a rank, and the share of the change that they lose."""
    left = each.left.double()
    if each.right is None:
        outer, values, inner = torch.linalg.svd(left, full_matrices=False)
    else:
        first, small = torch.linalg.qr(left)
        second, other = torch.linalg.qr(each.right.double().T)
        outer, values, inner = torch.linalg.svd(small @ other.T, full_matrices=False)
        outer, inner = first @ outer, inner @ second.T
    kept = max(1, min(rank, int((values > _ROUNDING * values.max()).sum())))
    whole = float(values.square().sum())
    lost = float(values[kept:].square().sum()) / whole if whole else 0.0
    root = values[:kept].sqrt()
    return (
        (outer[:, :kept] * root).float(),
        (root[:, None] * inner[:kept]).float(),
        lost,
    )


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set) else getattr(value, "value", str(value))
