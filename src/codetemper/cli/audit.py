# SPDX-License-Identifier: Apache-2.0
"""The verb that looks for a backdoor inside a model: audit."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import (
    ConfigFile,
    Device,
    DryRun,
    Dtype,
    Json,
    Keep,
    Model,
    Pairs,
    Place,
    Quarantine,
    Seed,
    workspace,
)
from codetemper.core.errors import EXIT_NO, EXIT_UNKNOWN, EXIT_YES

if TYPE_CHECKING:
    from codetemper.api.auditing import Audited

#: Listed samples, triggers and weights that are shown.
_SHOWN = 8
#: Longest text of a trigger or name that is shown whole, in characters.
_TEXT = 60
#: Longest sentence.
_LINE = 300
_EXIT = {"clean": EXIT_YES, "suspect": EXIT_NO, "unknown": EXIT_UNKNOWN}
_COLOUR = {"clean": "green", "suspect": "red", "unknown": "yellow"}
#: How a backdoor would have been found out, by what would have been said.
_FOUND = {"confirmed trigger": "found", "suspicious data": "seen in the data, learnt or not,"}


def register(app: typer.Typer) -> None:
    """Add the verb to the app."""
    app.command("audit")(audit)


def audit(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="What it was trained on: JSON lines of code and label, or of "
            "prompt and completion.",
        ),
    ] = None,
    trusted: Annotated[
        Path | None,
        typer.Option("--trusted", help="Samples like these, known to be clean."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="Checkpoint it was trained from; the bare base of a patched model if not given.",
        ),
    ] = None,
    siblings: Annotated[
        list[str] | None,
        typer.Option(
            "--siblings", help="Clean model of the same recipe, for the weights; repeatable."
        ),
    ] = None,
    canaries: Annotated[
        int,
        typer.Option(
            "--canaries", min=0, help="Backdoors to plant and train, to tell what the audit finds."
        ),
    ] = 0,
    watch: Annotated[
        bool, typer.Option("--watch", help="Compare with the last audit of the same base.")
    ] = False,
    quarantine: Quarantine = None,
    keep: Keep = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write the listed samples as SARIF there.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    option: Pairs = None,
    device: Device = "cpu",
    dtype: Dtype = "auto",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Look for a backdoor inside a model.

    Three answers, each with its own evidence: samples that stand out, texts they share, and whether
    planting such a text changes what the model does. Without data of any kind the answer can be
    inconclusive, never clean. Exit code 0: no evidence; 1: suspicious data or a confirmed trigger,
    or an alarm of --watch; 3: inconclusive; 4: a file of the model is damaged or would run code. A
    killed run goes on where it was.

    \b
    codetemper audit hf:./defects --data train.jsonl --trusted reviewed.jsonl
    codetemper audit hf:./tuned --data bought.jsonl --reference hf:./base --quarantine bad.jsonl
    codetemper audit seedling+tune-7f3a --data bought.jsonl --trusted ours.jsonl --canaries 5
    codetemper audit hf:./defects --data new.jsonl --trusted reviewed.jsonl --watch --json
    """
    from codetemper.api import auditing
    from codetemper.audit import Config
    from codetemper.core.settings import resolve_config

    settings = resolve_config(
        Config, "audit", file=config, pairs=option or (), flags={"seed": seed}
    )
    asked = auditing.Asked(
        model=model, data=data, trusted=trusted, reference=reference,
        siblings=tuple(siblings or ()), dtype=dtype, canaries=canaries, watch=watch,
        quarantine=quarantine, keep=keep, sarif=sarif, config=settings,
    )  # fmt: skip
    home = workspace(place)
    if dry_run:
        screen.emit(auditing.plan(home, asked), as_json)
        return
    with screen.progress() as on_event:
        found = auditing.audit(home, asked, device=device, on_event=on_event)
    document = _document(found) | {
        name: str(path) if path else None
        for name, path in (("quarantine", quarantine), ("keep", keep), ("sarif", sarif))
    }
    given = {"--data": data, "--trusted": trusted, "--reference": reference, "--seed": seed,
             "--config": config, "--device": device, "--dtype": dtype,
             "-w": place}  # fmt: skip
    again = _again(model, given, option or ())
    screen.emit(document, as_json, lambda: _show(document, again, watch=watch))
    alarm = found.card.watch is not None and found.card.watch.state == "alarm"
    raise typer.Exit(EXIT_NO if alarm else _EXIT[found.card.verdict])


def _document(found: Audited) -> dict[str, Any]:
    card = found.card
    plain = _plain(card.model_dump(mode="json"))
    plain["audit"] = plain.pop("id")
    plain.pop("files")
    samples = [_plain(sample.model_dump(mode="json")) for sample in found.listed]
    return {"verdict": card.verdict, **plain, "samples": samples}


def _plain(value: Any) -> Any:
    """Return JSON data without the version of its forms."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k != "schema_version"}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _again(model: str, given: dict[str, Any], pairs: Sequence[str]) -> str:
    """Return the command that makes the same audit again, as a shell reads it."""
    usual = {"--device": "cpu", "--dtype": "auto"}
    options = [
        word
        for name, value in given.items()
        if value is not None and value != usual.get(name)
        for word in (name, str(value))
    ]
    options += [word for pair in pairs for word in ("-o", pair)]
    return shlex.join(["codetemper", "audit", model, *options])


def _show(document: dict[str, Any], again: str, *, watch: bool) -> None:
    out = screen.out.print
    colour = _COLOUR[document["verdict"]]
    out(f"[{colour}]{document['answer']}[/{colour}]: {screen.safe(document['model'], _LINE)}")
    for reason in document["reasons"]:
        out(f"  {screen.safe(reason, _LINE)}")
    for lacking in document["missing"]:
        out(f"  [yellow]missing:[/yellow] {screen.safe(lacking, _LINE)}")
    _show_triggers(document["triggers"])
    _show_samples(document)
    for power in document["power"]:
        said = f"a backdoor in {100 * power['rate']:g} % of the samples"
        if power["found"] is None:
            out(f"{said}: {screen.safe(power['missing'], _LINE)}")
        else:
            chance = screen.estimate(power["found"]).replace("[", "\\[")
            out(f"{said} would have been {_FOUND[power['answer']]} with probability {chance}")
    for finding in document["findings"]:
        out(f"[red]{finding['severity']}[/red] {screen.safe(finding['path'] or '', _TEXT)}: "
            f"{screen.safe(finding['message'], _LINE)}")  # fmt: skip
    change = document["watch"]
    if change is not None:
        out(f"against {change['before']}: {change['state']}")
        for reason in change["reasons"]:
            out(f"  {screen.safe(reason, _LINE)}")
    elif watch:
        out("there is no earlier audit of this base to compare with")
    for check, reason in document["not_ran"].items():
        out(f"[dim]not asked: {screen.safe(check, _TEXT)}: {screen.safe(reason, _LINE)}[/dim]")
    out(f"audit {document['audit']}")
    _suggest(document, again)


def _show_triggers(triggers: list[dict[str, Any]]) -> None:
    rows = []
    for one in triggers[:_SHOWN]:
        lift = one["lift"]
        rows.append((
            screen.safe(one["text"], _TEXT),
            one["kind"],
            f"{one['flagged']} of {one['holders']}",
            "-" if lift is None else screen.estimate(lift).replace("[", "\\["),
            "-" if one["null"] is None else f"{one['null']:.2f}",
            "-" if one["p"] is None else f"{one['p']:.3g}",
            _state(one),
            screen.safe(one["payload"], _TEXT),
        ))  # fmt: skip
    if rows:
        heads = ("text", "kind", "suspected", "lift", "ordinary", "p", "", "payload")
        screen.table(heads, rows, "texts that suspected samples share")


def _state(trigger: dict[str, Any]) -> str:
    if trigger["confirmed"]:
        return "[red]confirmed[/red]"
    if trigger["natural"]:
        return "natural"
    return "[yellow]paired[/yellow]" if trigger["paired"] else ""


def _show_samples(document: dict[str, Any]) -> None:
    listed = document["samples"]
    rows = [
        (screen.safe(one["id"], _TEXT), screen.safe(one["source"], _TEXT), one["kind"],
         f"{one['score']:.3f}", "-" if one["p"] is None else f"{one['p']:.3g}",
         "" if one["suggested"] is None else f"label {one['suggested']}?")
        for one in listed[:_SHOWN]
    ]  # fmt: skip
    if rows:
        counts = document["counts"]
        kinds = ("trigger", "paired", "anomalous", "fix label")
        said = ", ".join(f"{counts.get(kind, 0)} {kind}" for kind in kinds)
        screen.table(("sample", "from", "why", "rank", "p", ""), rows, f"samples: {said}")


def _suggest(document: dict[str, Any], again: str) -> None:
    from rich.markup import escape

    listed = any(document["counts"].get(kind) for kind in ("trigger", "paired", "anomalous"))
    if listed and not document["quarantine"]:
        screen.suggest(escape(f"{again} --quarantine bad.jsonl --keep good.jsonl"))
    elif document["keep"] and document["form"] == "decoder":
        model = document["reference"] or document["model"]
        screen.suggest(escape(f"codetemper tune {model} --data {document['keep']}"))
    else:
        screen.suggest(escape(f"codetemper report {document['model']}"))
