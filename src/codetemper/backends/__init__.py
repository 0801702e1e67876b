# SPDX-License-Identifier: Apache-2.0
"""Backends read a model expression and hand out a live model that can write and score text.

``load`` picks the backend by the expression's name: those of this folder, then the entry points
``codetemper.backends``. Importing this package loads no torch; loading a model does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from codetemper.core.plugins import resolve
from codetemper.models.expression import Expression

#: Backends of this package, by the name an expression calls them.
BUILTIN = {"seedling": "codetemper.backends.hf", "hf": "codetemper.backends.hf"}


def load(expression: Expression, *, resolve_patch: Callable[[str], Path], **options: Any) -> Any:
    """Load the model an expression names with the backend it names.

    Args:
        expression: the model.
        resolve_patch: finds the folder of a patch by its id or a prefix of it.
        options: what the backend's own ``load`` takes beyond that.

    Raises:
        UsageError: no such backend, or what the backend's ``load`` raises.
    """
    backend = resolve("backends", expression.backend, BUILTIN)
    return backend.load(expression, resolve_patch=resolve_patch, **options)
