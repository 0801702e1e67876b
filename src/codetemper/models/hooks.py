# SPDX-License-Identifier: Apache-2.0
"""Hooks on parts of a model for the length of a scope; none stays, also after an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

Hook = Callable[..., Any]


@contextmanager
def hooked(
    module: nn.Module,
    *,
    before: Mapping[str, Hook] | None = None,
    after: Mapping[str, Hook] | None = None,
) -> Iterator[None]:
    """Call functions where parts of a model are computed.

    Args:
        module: the model.
        before: by path of a part, ``hook(part, args)``; what it returns replaces the arguments.
        after: by path, ``hook(part, args, output)``; what it returns replaces the output.
    """
    with ExitStack() as scope:
        for path, hook in (before or {}).items():
            scope.callback(module.get_submodule(path).register_forward_pre_hook(hook).remove)
        for path, hook in (after or {}).items():
            scope.callback(module.get_submodule(path).register_forward_hook(hook).remove)
        yield
