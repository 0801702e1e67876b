# SPDX-License-Identifier: Apache-2.0
"""The flags that verbs share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codetemper.cli import screen

if TYPE_CHECKING:
    from codetemper.core.workspace import Workspace
    from codetemper.judges.options import JudgeOptions

Model = Annotated[str, typer.Argument(help="Model expression.")]
ModelOrRun = Annotated[str, typer.Argument(help="Model expression or run id.")]
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
Cluster = Annotated[
    Literal["case", "family"],
    typer.Option(
        "--cluster",
        help="What intervals resample: cases (new prompts of these families) or families of cases.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="Torch device.")]
Dtype = Annotated[
    str,
    typer.Option("--dtype", help="Number type: auto, float32, bfloat16 or float16."),
]
Quarantine = Annotated[
    Path | None, typer.Option("--quarantine", help="Write the flagged samples there, as they came.")
]
Keep = Annotated[
    Path | None,
    typer.Option("--keep", help="Write the samples that were not flagged there, as they came."),
]


def workspace(place: Path | None, *, make: bool = False) -> Workspace:
    """Open the workspace named by ``--workspace``, or else the nearest one upwards.

    Args:
        place: the project folder, or None.
        make: make one in ``place`` where there is none. For the verbs that begin something; the
            others would answer of an empty workspace where the user mistyped its name.
    """
    from codetemper.core.workspace import Workspace

    if place is None:
        return Workspace.find(Path.cwd())
    return Workspace.create(place) if make else Workspace.open(place)


def judge_options(sandbox: str) -> JudgeOptions:
    """Return the judges' options for a ``--sandbox`` value, and say aloud what is dangerous."""
    from codetemper.core.settings import resolve_config
    from codetemper.judges.options import JudgeOptions, default_workers

    if sandbox == "none":
        screen.err.print("[red]no sandbox: generated code runs with your own rights[/red]")
    return resolve_config(
        JudgeOptions,
        "judges",
        flags={"sandbox": sandbox},
        defaults={"workers": default_workers()},
    )
