# SPDX-License-Identifier: Apache-2.0
"""Names to modules, lazily: techniques, judges, backends and suite formats are found here.

    >>> module = resolve("judges", "exact", {"exact": "codetemper.judges.exact"})

A built-in name wins over an entry point of the same name, so that installing a package never
changes what a shipped name means. Nothing is imported until its name is asked for, and nothing
registers itself as a side effect.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from types import ModuleType

from codetemper.core.errors import CannotKnowError, UsageError


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return one line that points from a mistyped name to the right one.

    Args:
        name: what was typed.
        names: what exists.

    Returns:
        ``did you mean 'tune'?`` where something is near, else the list of what exists.
    """
    known = sorted(set(names))
    by_folded_case = {known_name.lower(): known_name for known_name in known}
    near = difflib.get_close_matches(name.lower(), by_folded_case, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{by_folded_case[match]}'" for match in near) + "?"
    return f"choose one of: {', '.join(known)}" if known else "there is nothing to choose from yet"


def names(group: str, builtin: Mapping[str, str]) -> tuple[str, ...]:
    """Return every name of a group, built-in and installed, sorted.

    Args:
        group: ``harden``, ``audit``, ``judges``, ``backends``, ...
        builtin: shipped name to module path.
    """
    return tuple(sorted({*builtin, *(p.name for p in entry_points(group=f"codetemper.{group}"))}))


def resolve(group: str, name: str, builtin: Mapping[str, str]) -> ModuleType:
    """Import and return the module behind a name.

    Args:
        group: plugin group; third parties declare the entry point ``codetemper.<group>``.
        name: name within the group.
        builtin: shipped name to module path.

    Returns:
        The module.

    Raises:
        UsageError: no such name.
        CannotKnowError: the module exists but something it imports is not installed.
    """
    try:
        if name in builtin:
            return importlib.import_module(builtin[name])
        for point in entry_points(group=f"codetemper.{group}", name=name):
            module = point.load()
            if not isinstance(module, ModuleType):
                raise UsageError(
                    f"the plugin '{name}' of group '{group}' is not a module",
                    why=f"its entry point {point.value} loads a {type(module).__name__}",
                    mend="point the entry point at the module that holds CARD",
                )
            return module
    except ModuleNotFoundError as error:
        raise CannotKnowError(
            f"'{name}' of group '{group}' cannot be loaded",
            why=f"the module '{error.name}' is not installed",
            mend="pip install 'codetemper[all]' (or the extra that brings it; see doctor)",
        ) from error
    raise UsageError(
        f"there is no '{name}' in group '{group}'",
        why="it is neither shipped nor declared by an installed package",
        mend=did_you_mean(name, names(group, builtin)),
    )
