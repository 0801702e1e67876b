# SPDX-License-Identifier: Apache-2.0
"""The verbs that put single failures right: repair, and patch resolve."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.account import patch_app
from codetemper.cli.options import (
    ConfigFile,
    Device,
    DryRun,
    Json,
    Model,
    Pairs,
    Place,
    Sandbox,
    Seed,
    judge_options,
    workspace,
)
from codetemper.cli.treat import treatment_document

Reference = Annotated[
    str | None,
    typer.Option(help="Texts that are to stay as they are: a file of samples, or a corpus."),
]
Method = Annotated[
    str | None,
    typer.Option(help="joint, star, mint, sgd, memit, pmet, alphaedit or rome."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    app.command("repair")(repair)
    patch_app.command("resolve")(resolve)


def repair(
    model: Model,
    data: Annotated[
        str,
        typer.Option(help="File of failures (prompt, reference, views), or run with some."),
    ],
    reference: Reference = None,
    method: Method = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first failures only.")] = None,
    check_on: Annotated[
        str | None, typer.Option(help="Suite to answer freely and judge, before and after.")
    ] = None,
    check_limit: Annotated[
        int | None, typer.Option(min=1, help="Use this many of its cases.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    option: Pairs = None,
    sandbox: Sandbox = "bwrap",
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put single failing answers right, all together, as a patch.

    Each failure is routed first: what is right already, needs retraining, or contradicts an earlier
    repair is told and left out. Half of the reference texts are read by the monitor alone; a repair
    that moves more of them than its budgets allow is shrunk, or not made (exit code 1). Where it
    undoes earlier repairs of MODEL, all are solved again together, as one patch.

    \b
    codetemper repair seedling --data failures.jsonl --reference ours.jsonl
    codetemper repair hf:./my-model --data eval-3fa9 --reference mine-81c0 --check-on world-shell
    codetemper repair seedling+repair-5c1e --data more.jsonl --reference ours.jsonl
    codetemper repair seedling --data failures.jsonl --reference ours.jsonl -o attempt_all=true
    codetemper repair seedling --data failures.jsonl --dry-run --json
    """
    from codetemper.api import repairing

    settings = _settings(config, option, {"seed": seed, "method": method})
    home = workspace(place, make=not dry_run)
    if dry_run:
        plan = repairing.plan_repair(home, model, data, settings, reference=reference, limit=limit)
        screen.emit(plan, as_json)
        return
    judging = judge_options(sandbox) if check_on else None
    with screen.progress() as on_event:
        made = repairing.repair(
            home,
            model,
            data,
            settings,
            reference=reference,
            limit=limit,
            check_on=check_on,
            check_limit=check_limit,
            options=judging,
            device=device,
            on_event=on_event,
        )
    _told(made, as_json)


def resolve(
    patch: Annotated[list[str], typer.Argument(help="Ids of repairs, or their beginnings.")],
    reference: Reference = None,
    method: Method = None,
    seed: Seed = None,
    config: ConfigFile = None,
    option: Pairs = None,
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Solve what several repairs repair together again, from the model below them, as one patch.

    Repairs that are piled up undo one another; solved together they do not. The patches named stay
    as they are: use the new one instead of them.

    \b
    codetemper patch resolve repair-3fa9 repair-81c0 --reference ours.jsonl
    """
    from codetemper.api import repairing

    settings = _settings(config, option, {"seed": seed, "method": method})
    home = workspace(place)
    if dry_run:
        ids = [home.resolve("patches", name).name for name in patch]
        screen.emit({"would_resolve": ids, "config": settings.model_dump(mode="json")}, as_json)
        return
    with screen.progress() as on_event:
        made = repairing.resolve(
            home, patch, settings, reference=reference, device=device, on_event=on_event
        )
    _told(made, as_json)


def _settings(config: Any, option: list[str] | None, flags: dict[str, Any]) -> Any:
    from codetemper.core.settings import resolve_config
    from codetemper.harden.repair import WatchedConfig

    return resolve_config(WatchedConfig, "repair", file=config, pairs=option or (), flags=flags)


def _told(made: Any, as_json: bool) -> None:
    document = treatment_document(made.manifest)
    document |= {"model": made.expression, "replaces": list(made.replaces)}
    screen.emit(document, as_json, lambda: _show(document))


def _show(document: dict[str, Any]) -> None:
    report = document["report"]
    routes = [
        (route["failure"], route["verdict"], route["because"])
        for route in report["routes"]
        if route["verdict"] != "repair"
    ]
    if routes:
        screen.table(("failure", "route", "because"), routes, flexible=2)
    if report["left_out"]:
        told = ", ".join(f"{count} {reason}" for reason, count in report["left_out"].items())
        screen.out.print(f"cases left out: {told}")
    right, every = len(report["repaired"]), report["failures"]
    freely = "" if report["written"] is None else f"; {len(report['written'])} written freely"
    screen.out.print(
        f"{right} of {every} answers right token by token{freely}; {report['failing_tokens']} "
        f"tokens were wrong"
    )
    if report["left"]:
        screen.out.print(f"[red]not repaired: {', '.join(report['left'])}[/red]", soft_wrap=True)
    _show_moved(report)
    replaced = f", in place of {', '.join(document['replaces'])}" if document["replaces"] else ""
    screen.out.print(
        f"patch {document['patch']}{replaced}: {document['parameters_changed']:,} parameters in "
        f"{len(report['layers'])} layers, rank {report['rank']}, {document['bytes'] / 1e6:.2f} MB, "
        f"{document['seconds']:.1f} s"
    )
    screen.suggest(f"codetemper patch show {document['patch']}")


def _show_moved(report: dict[str, Any]) -> None:
    """Say what the repair moved elsewhere."""
    moved = report["monitor"]
    if not moved["tokens"]:
        screen.out.print(
            "[yellow]what else it moved is unknown: no reference texts (--reference)[/yellow]"
        )
    else:
        before, after = moved["accuracy"]
        screen.out.print(
            f"on {moved['texts']} sealed texts: accuracy {before:.4f} -> {after:.4f} (p = "
            f"{moved['p']:.2g}), {moved['flips']:.2%} of predictions flipped, KL "
            f"{moved['kl']:.4f} nats a token, {moved['kl_max']:.2f} at most"
        )
    if report["step"] < 1:
        screen.out.print(f"shrunk to {report['step']:.2f} of what was solved, for its budgets")
    missed = report["notes"].get("guards missed", 0)
    if missed:
        screen.out.print(
            f"{missed} guarded predictions of the reference texts flip: to keep them too takes "
            "more rounds (-o rounds=...) or fewer answers"
        )
    if moved["earlier"]:
        kept = moved["earlier"] - len(moved["broken"])
        screen.out.print(f"earlier repairs: {kept} of {moved['earlier']} still right")
    if report["measured"]:
        before, after = report["measured"]
        screen.out.print(
            f"{before['suite']}, {before['cases']} cases answered freely: pass "
            f"{before['pass']:.2f} -> {after['pass']:.2f}, valid {before['valid']:.2f} -> "
            f"{after['valid']:.2f}"
        )
