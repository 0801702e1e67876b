# SPDX-License-Identifier: Apache-2.0
"""The verbs to start with: init, doctor, demo."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.measure import decision_document, show_decision
from codetemper.cli.options import Json, Limit, Sandbox, Seed, judge_options
from codetemper.cli.treat import treatment_document
from codetemper.core.errors import EXIT_UNKNOWN, EXIT_YES

if TYPE_CHECKING:
    from codetemper.core.records import Estimate


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


def doctor(
    qualify: Annotated[
        bool, typer.Option("--qualify", help="Measure the judges on pairs; takes minutes.")
    ] = False,
    sarif: Annotated[
        list[str] | None,
        typer.Option("--sarif", help="With --qualify: command of an analyser, {folder} and {out}."),
    ] = None,
    static_only: Annotated[
        bool, typer.Option("--static-only", help="With --qualify: run no program.")
    ] = False,
    limit: Limit = None,
    sandbox: Sandbox = "bwrap",
    as_json: Json = False,
) -> None:
    """Say what is installed, and what each missing tool costs; exit code 3 if anything is missing.

    With --qualify: which judge may call which weakness, by precision and recall on secure and
    vulnerable programs; exit code 3 if no analyser is installed.

    \b
    codetemper doctor
    codetemper doctor --qualify
    codetemper doctor --qualify --sarif 'my-analyser --sarif {out} {folder}'
    codetemper doctor --json
    """
    if qualify:
        _qualify(sarif or [], not static_only, limit, sandbox, as_json)
        return
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


def _qualify(
    commands: list[str], behaviour: bool, limit: int | None, sandbox: str, as_json: bool
) -> None:
    """Measure the judges and show the card."""
    from codetemper.api.doctor import qualify_judges

    with screen.progress() as on_event:
        card = qualify_judges(
            commands=commands, behaviour=behaviour, limit=limit,
            options=judge_options(sandbox), on_event=on_event,
        )  # fmt: skip

    def show() -> None:
        columns = ["weakness", "language", "judge", "pairs", "hits", "false", "precision",
                   "recall", "qualified"]  # fmt: skip
        rows = [
            [", ".join(row.cwes), row.language, row.judge, str(row.pairs), str(row.hits),
             str(row.false), interval(row.precision), interval(row.recall),
             "[green]yes[/green]" if row.qualified else "[yellow]no[/yellow]"]
            for row in card.rows
            if row.hits or row.false or row.kind == "behaviour"
        ]  # fmt: skip
        title = f"{card.pairs} pairs; judges that object to nothing are left out"
        screen.table(columns, rows, title)
        screen.out.print(", ".join(f"{name} {number}" for name, number in card.tools.items()))
        screen.suggest("codetemper eval seedling secure-python")

    screen.emit(card.model_dump(mode="json"), as_json, show)


def interval(estimate: Estimate | None) -> str:
    """Return a share with its interval for a table; a dash where there is none."""
    if estimate is None:
        return "-"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]".replace("[", "\\[")


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
