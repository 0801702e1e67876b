# SPDX-License-Identifier: Apache-2.0
"""Everything about a live module that is not the values of its weights, and its exact return.

Attaching an adapter, or training one with somebody else's trainer, replaces modules, flips
``requires_grad`` and train mode, sets hooks and wraps ``forward``. A snapshot taken before puts
all of that back, whatever was done. Values written into the weights themselves are not copied
(that would double the memory); ``attach`` detects them by digest instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Snapshot:
    """The structure and state of a module tree at one moment."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._parts = [(part, type(part), _shallow(part.__dict__)) for part in module.modules()]
        self._tensors = [
            (tensor, tensor.data, tensor.requires_grad, tensor.grad)
            for tensor in [*module.parameters(), *module.buffers()]
        ]
        self._parameters = {id(parameter) for parameter in module.parameters()}
        self._configs = [
            (config, dict(config.__dict__))
            for config in (getattr(module, "config", None), _generation_config(module))
            if config is not None
        ]

    def knows(self, parameter: torch.Tensor) -> bool:
        """Whether a parameter belonged to the module when the snapshot was taken."""
        return id(parameter) in self._parameters

    def restore(self) -> None:
        """Put every part, tensor, flag, hook and configuration back, in place."""
        for part, kind, state in self._parts:
            part.__class__ = kind
            for name, value in state.items():
                held = part.__dict__.get(name)
                if isinstance(value, dict) and isinstance(held, dict):
                    _refill(held, value)
                else:
                    part.__dict__[name] = value
            for name in part.__dict__.keys() - state.keys():
                del part.__dict__[name]
        for tensor, data, requires_grad, grad in self._tensors:
            if tensor.data_ptr() != data.data_ptr() or tensor.dtype != data.dtype:
                tensor.data = data
            tensor.requires_grad_(requires_grad)
            tensor.grad = grad
        for config, state in self._configs:
            _refill(config.__dict__, state)


def _shallow(state: dict[str, Any]) -> dict[str, Any]:
    """Copy a module's attributes, one level into its collections of parts, tensors and hooks."""
    return {k: v.copy() if isinstance(v, dict | set) else v for k, v in state.items()}


def _refill(held: dict[str, Any], value: dict[str, Any]) -> None:
    """Make one dictionary equal to another without replacing the object others hold."""
    held.clear()
    held.update(value)


def _generation_config(module: nn.Module) -> Any:
    return getattr(module, "generation_config", None)
