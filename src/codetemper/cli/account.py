# SPDX-License-Identifier: Apache-2.0
"""The verbs that account and undo: patch, log, verify, revert, export, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from codetemper.cli import screen
from codetemper.cli.listing import listing
from codetemper.cli.options import ConfigFile, DryRun, Json, ModelOrRun, Pairs, Place, workspace
from codetemper.core.errors import EXIT_INTEGRITY, EXIT_YES

PatchId = Annotated[str, typer.Argument(help="Patch id, or its beginning.")]
Reason = Annotated[str, typer.Option("--reason", help="Goes into the ledger.")]
#: Longest note that the table of the ledger shows whole, in characters.
_NOTE = 60
patch_app = typer.Typer(help="List, show, check and restore patches.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    app.command("ls")(listing)
    app.add_typer(patch_app, name="patch")
    app.command("log")(log)
    app.command("verify")(verify)
    app.command("revert")(revert)
    app.command("export")(export)
    app.command("report")(report)


@patch_app.callback(invoke_without_command=True)
def patch_root(context: typer.Context) -> None:
    """List, show, check and restore patches."""
    if context.invoked_subcommand is None:
        screen.out.print(context.get_help(), markup=False)


@patch_app.command("ls")
def patch_list(place: Place = None, as_json: Json = False) -> None:
    """List patches with their state (made, accept, refuse, undecided, reverted)."""
    listing("patches", place, as_json)


@patch_app.command("show")
def patch_show(patch: PatchId, place: Place = None, as_json: Json = False) -> None:
    """Show what a patch says of itself.

    \b
    codetemper patch show tune-3fa9
    """
    from codetemper.api.account import read_manifest

    manifest = read_manifest(workspace(place).resolve("patches", patch))
    document = manifest.model_dump(mode="json")
    screen.emit(document, as_json)


@patch_app.command("verify")
def patch_verify(patch: PatchId, place: Place = None, as_json: Json = False) -> None:
    """Check one patch's files against its manifest; exit code 4 where they differ."""
    from codetemper.models.patch import verify_patch

    folder = workspace(place).resolve("patches", patch)
    verify_patch(folder)
    document = {"patch": folder.name, "whole": True}
    screen.emit(document, as_json, lambda: screen.out.print(f"{folder.name} is whole"))


@patch_app.command("restore")
def patch_restore(
    patch: PatchId, reason: Reason = "", place: Place = None, as_json: Json = False
) -> None:
    """Allow a reverted patch again."""
    from codetemper.api import account

    id = account.restore(workspace(place), patch, reason=reason)
    screen.emit({"restored": id}, as_json, lambda: screen.out.print(f"restored {id}"))


def log(
    limit: Annotated[int | None, typer.Option(min=1, help="Newest entries only.")] = None,
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Show the ledger: who did what, with which digests.

    \b
    codetemper log
    codetemper log --limit 5
    codetemper log --json
    """
    home = workspace(place)
    entries = home.ledger.entries()
    entries = entries[-limit:] if limit else entries

    def show() -> None:
        rows = [
            (
                str(e.seq),
                screen.moment(e.time),
                e.actor,
                e.verb,
                ", ".join(map(_plain, e.outputs)) or e.inputs.get("patch", ""),
                e.note if len(e.note) <= _NOTE else f"{e.note[: _NOTE - 3]}...",
            )
            for e in entries
        ]
        screen.table(("seq", "time", "actor", "verb", "made", "note"), rows, flexible=5)
        screen.suggest("codetemper verify")

    document = {"entries": [e.model_dump(mode="json") for e in entries]}
    screen.emit(document, as_json, show)


def _plain(output: str) -> str:
    return output.removeprefix("run:").removeprefix("patch:").removeprefix("corpus:")


def verify(place: Place = None, as_json: Json = False) -> None:
    """Rehash everything in the workspace, offline; exit code 4 where anything was changed.

    \b
    codetemper verify
    codetemper verify --workspace ../other
    codetemper verify --json
    """
    problems = workspace(place).verify()
    document = {"whole": not problems, "problems": [p.model_dump(mode="json") for p in problems]}

    def show() -> None:
        for problem in problems:
            screen.out.print(f"[red]{problem.path}[/red]: {problem.what}")
        screen.out.print("[green]whole[/green]" if not problems else f"{len(problems)} problem(s)")

    screen.emit(document, as_json, show)
    raise typer.Exit(EXIT_INTEGRITY if problems else EXIT_YES)


def revert(
    patch: PatchId,
    reason: Reason = "",
    check: Annotated[bool, typer.Option(help="Load the base and compare its digest.")] = True,
    dry_run: DryRun = False,
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Take a patch out of use, and record it; the base's weights were never touched.

    \b
    codetemper revert tune-3fa9
    codetemper revert tune-3fa9 --reason "slower on our own prompts"
    codetemper revert tune-3fa9 --no-check --json
    """
    from codetemper.api import account

    home = workspace(place)
    if dry_run:
        id = home.resolve("patches", patch).name
        screen.emit({"would_revert": id}, as_json, lambda: screen.out.print(f"would revert {id}"))
        return
    id = account.revert(home, patch, reason=reason, check=check)
    screen.emit({"reverted": id}, as_json, lambda: screen.out.print(f"reverted {id}"))


def export(
    patch: PatchId,
    target: Annotated[Path, typer.Argument(help="New folder for the files.")],
    form: Annotated[
        Literal["patch", "peft", "full"],
        typer.Option("--as", help="As it is; changed rows as a LoRA adapter; the whole model."),
    ] = "patch",
    dry_run: DryRun = False,
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Copy a patch out, to be loaded without codetemper.

    An adapter is a plain PEFT folder. A patch of kind rows (full tuning, repairs) is a state dict
    of what changed: model.load_state_dict(load_file("rows.safetensors"), strict=False), where whole
    weights did. A repair can leave as a LoRA adapter or as a whole model, too, and is evaluated as
    it leaves.

    \b
    codetemper export tune-3fa9 ./adapter
    codetemper export repair-5c1e ./adapter --as peft
    codetemper export repair-5c1e ./model --as full
    codetemper export tune-3fa9 ./adapter --dry-run
    codetemper export tune-3fa9 ./adapter --json
    """
    home = workspace(place)
    if dry_run:
        id = home.resolve("patches", patch).name
        screen.emit({"would_export": id}, as_json, lambda: screen.out.print(f"would export {id}"))
        return
    from codetemper.api import exporting

    made = exporting.export(home, patch, target, form=form)
    id = made.manifest.id
    document = {"exported": id, "folder": str(target), "form": form, "checked": made.checked}

    def show() -> None:
        screen.out.print(f"exported {id} to {target}")
        if "right" in made.checked:
            counts = f"{made.checked['right']} of {made.checked['repaired']}"
            screen.out.print(f"rank {made.checked['rank']}, {counts} repaired answers right")

    screen.emit(document, as_json, show)


def report(
    before: ModelOrRun,
    after: Annotated[str | None, typer.Argument(help="The changed model, to compare.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="The HTML file.")] = None,
    config: ConfigFile = None,
    option: Pairs = None,
    dry_run: DryRun = False,
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page: what is it, is it safer, still able, can I undo it?

    \b
    codetemper report seedling
    codetemper report seedling seedling+tune-3fa9 --output report.html
    codetemper report seedling seedling+tune-3fa9 -o security_gain=0.10
    """
    from codetemper.api import reporting
    from codetemper.core.settings import resolve_config
    from codetemper.evaluate.gate import Thresholds

    margins = resolve_config(Thresholds, "gate", file=config, pairs=option or ())
    if dry_run:
        plan = reporting.plan(workspace(place), before, after, out=output)
        screen.emit(plan, as_json)
        return
    made = reporting.report(workspace(place), before, after, out=output, thresholds=margins)
    decision = made.decision.decision if made.decision else None
    document = {"report": str(made.path), "decision": decision}
    screen.emit(document, as_json, lambda: screen.out.print(f"report: {made.path}"))
