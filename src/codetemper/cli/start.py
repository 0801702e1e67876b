# SPDX-License-Identifier: Apache-2.0
"""The verbs to start with: init, doctor, demo."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.measure import decision_document, show_decision
from codetemper.cli.options import Json, Limit, Sandbox, Seed, judge_options
from codetemper.cli.treat import treatment_document
from codetemper.core.errors import EXIT_UNKNOWN, EXIT_YES


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    app.command("init")(init)
    app.command("doctor")(doctor)
    app.command("demo")(demo)


def init(
    folder: Annotated[Path, typer.Argument(help="Project folder.")] = Path(),
    as_json: Json = False,
) -> None:
    """Make a workspace in a project folder; an existing one is left as it is.

    \b
    codetemper init
    codetemper init my-project
    codetemper init --json
    """
    from codetemper.core.workspace import Workspace

    home = Workspace.create(folder).home

    def show() -> None:
        screen.out.print(f"workspace {home}")
        screen.suggest("codetemper eval seedling world-security-c")

    screen.emit({"workspace": str(home)}, as_json, show)


def doctor(as_json: Json = False) -> None:
    """Say what is installed, and what each missing tool costs; exit code 3 if anything is missing.

    \b
    codetemper doctor
    codetemper doctor --json
    """
    from codetemper.api.doctor import doctor as look

    checks = look()
    missing = [check for check in checks if check.state == "missing"]

    def show() -> None:
        for check in checks:
            good = check.state == "ok"
            mark = "[green]ok     [/green]" if good else "[yellow]missing[/yellow]"
            screen.out.print(f"{mark} {check.name}: {check.detail}")
            if not good:
                screen.out.print(f"        costs: {check.costs}")
                screen.out.print(f"        mend:  {check.mend}", markup=False)
        screen.suggest(missing[0].mend if missing else "codetemper demo")

    screen.emit({"ready": not missing, "checks": [asdict(c) for c in checks]}, as_json, show)
    raise typer.Exit(EXIT_UNKNOWN if missing else EXIT_YES)


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Where the demonstration's workspace goes.")
    ] = Path("codetemper-demo"),
    samples: Annotated[int | None, typer.Option("-n", "--samples", help="Samples a case.")] = None,
    limit: Limit = None,
    seed: Seed = None,
    sandbox: Sandbox = "bwrap",
    as_json: Json = False,
) -> None:
    """Harden the embedded model: evaluate, mine, tune, evaluate again, gate, report.

    \b
    codetemper demo
    codetemper demo my-demo --limit 40 -n 2
    codetemper demo --json
    """
    from codetemper.api.demo import DemoConfig
    from codetemper.api.demo import demo as run
    from codetemper.core.settings import resolve_config

    flags = {"samples": samples, "limit": limit, "seed": seed}
    config = resolve_config(DemoConfig, "demo", flags=flags)
    with screen.progress() as on_event:
        made = run(folder, config, options=judge_options(sandbox), on_event=on_event)
    document: dict[str, Any] = {
        **decision_document(made.decision),
        "patch": treatment_document(made.patch),
        "corpus": {"corpus": made.corpus.id, "pairs": made.corpus.rows},
        "report": str(made.report),
        "seconds": round(made.seconds, 1),
    }

    def show() -> None:
        screen.out.print(
            f"\n{made.corpus.rows} fix pairs mined; patch {made.patch.id}, "
            f"{made.patch.parameters_changed:,} parameters, {made.patch.bytes / 1e6:.1f} MB\n"
        )
        show_decision(document)
        screen.out.print(f"report: {made.report}")
        screen.out.print(f"took {made.seconds / 60:.1f} minutes")
        screen.suggest(f"codetemper revert {made.patch.id} --workspace {folder}")

    screen.emit(document, as_json, show)
