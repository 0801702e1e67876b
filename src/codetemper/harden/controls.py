# SPDX-License-Identifier: Apache-2.0
"""A guard that says nothing: what a control of an experiment with guards trains under.

    manifest = random_guard(guard_folder, folder, seed=0)

It has the form of a given guard, and at every layer the change of weights has the Frobenius norm of
that guard's; its direction is drawn. What a guard does and this one does not is due to what
the guard writes, and not to a disturbance of that size. It is a train-only patch like any guard;
its manifest holds no threshold, so it flags nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from codetemper.core.accounts import PatchManifest
from codetemper.core.disk import mendable
from codetemper.models.guards import refuse_other
from codetemper.models.patch import ADAPTER_WEIGHTS, save_patch, verify_patch

_A, _B = ".lora_A.weight", ".lora_B.weight"


def random_guard(guard: Path, folder: Path, seed: int) -> PatchManifest:
    """Write a guard of the same form and norms, with tensors that are drawn.

    Args:
        guard: folder of the guard that is imitated.
        folder: an existing, empty folder; becomes a patch.
        seed: of the draw.

    Returns:
        The manifest: technique ``random``, purpose ``train-only``, and the canaries of the guard.

    Raises:
        UsageError: the first folder is no guard.
        IntegrityError: it is not what its manifest says.
    """
    like = verify_patch(guard)
    refuse_other(guard, like)
    drawn = _drawn(load_file(guard / ADAPTER_WEIGHTS), seed)
    with mendable(folder):
        for name in like.files:
            if name != ADAPTER_WEIGHTS:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(guard / name, folder / name)
        save_file(drawn, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    return save_patch(
        folder,
        verb="guard",
        technique="random",
        base=like.base,
        base_digest=like.base_digest,
        config={"like": like.id},
        purpose="train-only",
        seconds=0.0,
        seed=seed,
    )


def _drawn(tensors: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Draw both factors of each layer; the second is scaled so that the product's norm stays."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name in sorted(tensors):
        if not name.endswith(_A):
            continue
        pair = name, name.removesuffix(_A) + _B
        new = [torch.randn(tensors[part].shape, generator=generator) for part in pair]
        wanted = product_norm(*(tensors[part] for part in pair))
        new[1] *= wanted / product_norm(*new)
        for part, tensor in zip(pair, new, strict=True):
            drawn[part] = tensor.to(tensors[part].dtype).contiguous()
    return drawn


def product_norm(a: torch.Tensor, b: torch.Tensor) -> float:
    r"""Return the Frobenius norm of ``B @ A`` without making the product.

    .. math:: \|BA\|_F^2 = \operatorname{tr}(B^\top B \, A A^\top)

    Args:
        a: [rank, inputs].
        b: [outputs, rank].
    """
    a, b = a.double(), b.double()
    return float(((b.T @ b) * (a @ a.T)).sum().clamp(min=0).sqrt())
