# SPDX-License-Identifier: Apache-2.0
"""Linear layers of a wrapped model held in 4 bits while an adapter is trained (QLoRA's base).

    with training_adapter(model, config) as wrapped, quantised(wrapped):
        train(wrapped)
    # here: the base as it was, bit for bit

Dettmers et al. 2023 (arXiv 2305.14314): NormalFloat with double quantisation, by bitsandbytes. The
layers of the base are exchanged one by one, not changed: on a GPU their numbers move to host memory
and come back when the scope ends, so the model has to fit once, as it is loaded, and a quarter of
bfloat16 is what it takes while it is trained. Embeddings, norms and the output head keep their
numbers. The patch belongs to the full base: its digest stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.models.attach import OwnedPeftModel


def bitsandbytes(device: torch.device) -> Any:
    """Import bitsandbytes and see that it can quantise on a device.

    Raises:
        CannotKnowError: it is not installed, or has nothing for this device.
    """
    try:
        library = import_module("bitsandbytes")
    except ImportError as error:
        raise CannotKnowError(
            "qlora cannot run here",
            why=f"bitsandbytes cannot be loaded: {error}",
            mend="pip install 'bitsandbytes>=0.50', or use -o method=lora",
        ) from error
    try:
        weight = torch.linspace(-1, 1, 64 * 64, device=device).reshape(64, 64)
        narrow, state = library.functional.quantize_4bit(weight, quant_type="nf4")
        wide = library.functional.dequantize_4bit(narrow, state)
        worst = float((wide - weight).abs().max())
    except (RuntimeError, NotImplementedError, AttributeError) as error:
        raise CannotKnowError(
            "qlora cannot run here",
            why=f"bitsandbytes does not quantise on '{device}': {error}",
            mend="use a CUDA GPU with a matching build (python -m bitsandbytes), or -o method=lora",
        ) from error
    # The widest gap between two NormalFloat levels is 0.3 of the block's largest number.
    if not worst < 0.2:
        raise CannotKnowError(
            "qlora cannot run here",
            why=f"bitsandbytes gives wrong numbers on '{device}' (off by {worst:.2f})",
            mend="pip install -U bitsandbytes, or use -o method=lora",
        )
    return library


@contextmanager
def quantised(wrapped: OwnedPeftModel) -> Iterator[int]:
    """Have 4-bit layers in place of the linear layers under an adapter, on the model's device.

    Args:
        wrapped: what ``training_adapter`` handed out; its scope takes the new layers out again.

    Yields:
        How many layers were exchanged.

    Raises:
        CannotKnowError: bitsandbytes does not work on the device.
        UsageError: there is no linear layer to exchange.
    """
    module = wrapped.get_base_model()
    device = module.get_input_embeddings().weight.device
    library = bitsandbytes(device)
    chosen = [
        (parent, name, part)
        for parent in module.modules()
        for name, part in parent.named_children()
        if type(part) in (nn.Linear, Conv1D)
        and part is not module.get_output_embeddings()
        and not any(p.requires_grad for p in part.parameters())
    ]
    if not chosen:
        raise UsageError(
            f"{module.config.model_type} cannot be held in 4 bits",
            why="it has no linear layers of the common kind",
            mend="-o method=lora",
        )
    with ExitStack() as parked:
        for parent, name, part in chosen:
            setattr(parent, name, _narrow(library, part, device))
            if device.type == "cuda":
                parked.enter_context(on_host(part.weight.data))
        yield len(chosen)


@contextmanager
def on_host(tensor: torch.Tensor) -> Iterator[None]:
    """Keep a tensor's numbers in host memory and free its own storage, for a scope.

    Whoever holds the tensor, or another view of its storage, must not read it meanwhile.
    """
    storage = tensor.untyped_storage()
    size, numbers = storage.nbytes(), tensor.cpu() if tensor.is_cuda else tensor.clone()
    storage.resize_(0)
    try:
        yield
    finally:
        storage.resize_(size)
        tensor.copy_(numbers)


def _narrow(library: Any, linear: nn.Module, device: torch.device) -> nn.Module:
    weight: torch.Tensor = linear.weight.data  # type: ignore[assignment]
    if isinstance(linear, Conv1D):
        weight = weight.T.contiguous()
    columns, rows = weight.shape
    narrow = library.nn.Linear4bit(
        rows,
        columns,
        bias=linear.bias is not None,
        compute_dtype=torch.bfloat16 if device.type == "cuda" else torch.float32,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    narrow.weight = library.nn.Params4bit(
        weight, requires_grad=False, compress_statistics=True, quant_type="nf4"
    )
    if linear.bias is not None:
        bias: torch.Tensor = linear.bias.data  # type: ignore[assignment]
        narrow.bias = nn.Parameter(bias.clone(), requires_grad=False)
    # Its layout for inference on some CPUs is taken on in evaluation and has no gradients after.
    narrow.support_avx512bf16_for_cpu = False
    return narrow.to(device)  # type: ignore[no-any-return]
