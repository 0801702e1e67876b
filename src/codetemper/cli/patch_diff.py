# SPDX-License-Identifier: Apache-2.0
"""``patch diff``: where two patches differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import Json, Place, workspace

if TYPE_CHECKING:
    from codetemper.models.patch_diff import PatchDiff

#: Longest value of a setting that is shown, in characters.
_VALUE = 24
#: Most names of failures that are shown of each kind.
_NAMES = 5


def register(app: typer.Typer) -> None:
    """Add the verb to ``patch``."""
    app.command("diff")(diff)


def diff(
    first: Annotated[str, typer.Argument(help="Patch id, or its beginning.")],
    second: Annotated[str, typer.Argument(help="The other.")],
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Say where two patches differ: base, settings, weights, and what they repair.

    No model is loaded. By weight: how many numbers each replaces, how many both do and how many
    of those to the same value, and the cosine between both changes, where their factors are kept
    (repairs, LoRA).

    \b
    codetemper patch diff repair-5c1e repair-81c0
    codetemper patch diff tune-3fa9 tune-77d0 --json
    """
    from codetemper.core.repairs import FAILURES
    from codetemper.models import patch_diff

    home = workspace(place)
    folders = [home.resolve("patches", name) for name in (first, second)]
    found = patch_diff.diff(*folders)
    repairs = all((folder / FAILURES).is_file() for folder in folders)
    screen.emit(found.model_dump(mode="json"), as_json, lambda: _show(found, repairs=repairs))


def _show(found: PatchDiff, *, repairs: bool) -> None:
    base = "the same weights" if found.same_base else "different weights"
    screen.out.print(f"{found.first} and {found.second} are for {base}")
    rows = [
        [name, *(_short(value) for value in values)]
        for part in (found.manifest, found.config)
        for name, values in part.items()
    ]
    if rows:
        screen.table(("setting", "first", "second"), rows)
    if found.weights:
        screen.table(
            ("weight", "first", "second", "both", "equal", "cosine"),
            [
                [w.weight, f"{w.first:,}", f"{w.second:,}", f"{w.shared:,}",
                 "" if w.equal is None else f"{w.equal:,}",
                 "" if w.cosine is None else f"{w.cosine:+.3f}"]
                for w in found.weights
            ],
        )  # fmt: skip
    for words, names in (
        ("repaired by both", found.both),
        ("repaired by the first alone", found.only_first),
        ("repaired by the second alone", found.only_second),
        ("of these, answered otherwise by the second", found.contradicting),
    ):
        if names:
            more = ", ..." if len(names) > _NAMES else ""
            said = ", ".join(screen.safe(name, _VALUE) for name in names[:_NAMES])
            screen.out.print(f"{words}: {len(names)} ({said}{more})")
    if repairs and not found.contradicting:
        screen.suggest(f"codetemper patch resolve {found.first} {found.second}")


def _short(value: Any) -> str:
    return "" if value is None else screen.safe(str(value), _VALUE)
