# SPDX-License-Identifier: Apache-2.0
"""The verbs that account and undo: patch, log, verify, revert, export, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codetemper.cli import patch_diff, screen
from codetemper.cli.listing import listing
from codetemper.cli.options import (
    ConfigFile,
    Device,
    DryRun,
    Json,
    Model,
    ModelOrRun,
    Pairs,
    Place,
    workspace,
)
from codetemper.core.errors import EXIT_INTEGRITY, EXIT_YES

if TYPE_CHECKING:
    from codetemper.core.signatures import Signature

PatchId = Annotated[str, typer.Argument(help="Patch id, or its beginning.")]
Reason = Annotated[str, typer.Option("--reason", help="Goes into the ledger.")]
#: Longest note that the table of the ledger shows whole, in characters.
_NOTE = 60
#: Most of a warning that is shown, in characters: it holds names that are not ours.
_WARNING = 400
patch_app = typer.Typer(help="List, show, compare, check, sign, import and restore patches.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    app.command("ls")(listing)
    patch_diff.register(patch_app)
    app.add_typer(patch_app, name="patch")
    app.command("log")(log)
    app.command("verify")(verify)
    app.command("revert")(revert)
    app.command("export")(export)
    app.command("report")(report)


@patch_app.callback(invoke_without_command=True)
def patch_root(context: typer.Context) -> None:
    """List, show, compare, check, sign, import and restore patches."""
    if context.invoked_subcommand is None:
        screen.out.print(context.get_help(), markup=False)


@patch_app.command("ls")
def patch_list(place: Place = None, as_json: Json = False) -> None:
    """List patches with their state (made, accept, refuse, undecided, reverted)."""
    listing("patches", place, as_json)


@patch_app.command("show")
def patch_show(patch: PatchId, place: Place = None, as_json: Json = False) -> None:
    """Show what a patch says of itself, and whether its signature holds.

    \b
    codetemper patch show tune-3fa9
    """
    from codetemper.api.account import read_manifest
    from codetemper.core.signatures import signature_of

    home = workspace(place)
    folder = home.resolve("patches", patch)
    manifest = read_manifest(folder)
    found = signature_of(folder, home.trust())
    document = manifest.model_dump(mode="json") | {"signature": _told(found)}
    screen.emit(document, as_json)


@patch_app.command("verify")
def patch_verify(
    patch: PatchId,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key that must have signed it, as PEM.")
    ] = None,
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Check one patch: its files against its manifest, its signature against the trusted keys.

    Exit code 4 where something differs. A signature is checked where workspace.toml trusts a key;
    with --key, it must be there and be of that key.

    \b
    codetemper patch verify tune-3fa9
    codetemper patch verify tune-3fa9 --key public.pem
    """
    from codetemper.core.signatures import Trust, check_signature
    from codetemper.models.patch import verify_patch

    home = workspace(place)
    folder = home.resolve("patches", patch)
    trust = home.trust() if key is None else Trust((key,), required=True)
    verify_patch(folder, Trust())
    signature = _told(check_signature(folder, trust))
    document = {"patch": folder.name, "whole": True, "signature": signature}
    said = ", ".join(filter(None, signature.values()))
    line = f"{folder.name} is whole; signature: {said}"
    screen.emit(document, as_json, lambda: screen.out.print(line))


def _told(found: Signature) -> dict[str, str]:
    """Say in JSON what is known of a signature."""
    key = found.key.name if found.key else ""
    why = "workspace.toml trusts no key" if found.state == "unchecked" else found.why
    return {"state": found.state, "key": key, "why": why}


@patch_app.command("sign")
def patch_sign(
    patch: PatchId,
    key: Annotated[Path, typer.Option("--key", help="Your private key, as PEM.")],
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Sign a patch: manifest, tensors and all other files of it.

    The signature is patch.sig in the patch's folder, in the form of OpenSSF's model-signing; the
    patch stays what it was. The key is an elliptic-curve key without a passphrase:

    \b
    openssl ecparam -name prime256v1 -genkey -noout -out private.pem
    openssl ec -in private.pem -pubout -out public.pem

    It is checked wherever .codetemper/workspace.toml trusts the public key:

    \b
    trusted_keys = ["public.pem"]    # from the project folder
    require_signatures = false       # true: patches without one are refused

    \b
    codetemper patch sign tune-3fa9 --key private.pem
    model_signing verify key PATCH --signature PATCH/patch.sig --public_key public.pem
    """
    from codetemper.api import signing

    made = signing.sign(workspace(place), patch, key)
    document = {"signed": made.id, "signature": str(made.path), "key": made.key}

    def show() -> None:
        screen.out.print(f"signed {made.id}")
        screen.suggest(f"codetemper patch verify {made.id} --key PUBLIC.pem")

    screen.emit(document, as_json, show)


@patch_app.command("import")
def patch_import(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="PEFT folder, as save_pretrained wrote it.")],
    device: Device = "cpu",
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Make a patch of a LoRA, IA3, prompt or prefix adapter that came from elsewhere.

    Taken are adapter_config.json and adapter_model.safetensors, unchanged. Pickles are not opened,
    no code is run, and an adapter whose names or shapes are not those of MODEL is refused. That it
    fits does not prove that it was trained on MODEL, nor that it does no harm: audit it.

    \b
    codetemper patch import hf:./my-model ./downloaded-adapter
    codetemper patch import seedling+tune-3fa9 ./adapter --json
    """
    from codetemper.api import importing

    made = importing.import_patch(workspace(place, make=True), model, folder, device=device)
    document = {"patch": made.id} | made.model_dump(
        mode="json",
        include={"kind", "base", "base_digest", "config", "parameters_changed", "files", "report"},
    )

    def show() -> None:
        said = f"{made.config['form']}, {made.parameters_changed:,} parameters"
        screen.out.print(f"patch {made.id}: {said}, {made.bytes / 1e6:.2f} MB")
        for warning in made.report["warnings"]:
            screen.out.print(f"[yellow]{screen.safe(warning, _WARNING)}[/yellow]")
        if made.report["left_out"]:
            left = screen.safe(", ".join(made.report["left_out"]), _NOTE)
            screen.out.print(f"left where they are: {left}")
        screen.suggest(f"codetemper audit {made.base}+{made.id} --data SAMPLES.jsonl")

    screen.emit(document, as_json, show)


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

    Signatures of patches are checked too, where workspace.toml trusts a key.

    \b
    codetemper verify
    codetemper verify --workspace ../other
    codetemper verify --json
    """
    home = workspace(place)
    problems, unchecked = home.verify(), home.unchecked_signatures()
    document = {"whole": not problems, "problems": [p.model_dump(mode="json") for p in problems]}
    if unchecked:
        document["signatures_unchecked"] = unchecked

    def show() -> None:
        if unchecked:
            told = "signature(s) not checked: workspace.toml trusts no key"
            screen.out.print(f"[yellow]{len(unchecked)} {told}[/yellow]")
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
