# SPDX-License-Identifier: Apache-2.0
"""The flags that verbs share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from codetemper.core.workspace import Workspace

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]
Place = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        help="Project folder; the nearest one upwards if not given.",
        envvar="CODETEMPER_WORKSPACE",
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Use this many cases, drawn with the seed.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and write nothing.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")]
Pairs = Annotated[
    list[str] | None, typer.Option("--option", "-o", help="One setting, as key=value; repeatable.")
]
Sandbox = Annotated[
    str,
    typer.Option(
        "--sandbox",
        help="Isolation: bwrap, container, or none (dangerous, goes to the ledger).",
        envvar="CODETEMPER_SANDBOX",
    ),
]
Device = Annotated[str, typer.Option("--device", help="Torch device.")]


def workspace(place: Path | None) -> Workspace:
    """Open the workspace named by ``--workspace``, or the nearest one; make it where asked."""
    from codetemper.core.workspace import Workspace

    return Workspace.create(place) if place is not None else Workspace.find(Path.cwd())
