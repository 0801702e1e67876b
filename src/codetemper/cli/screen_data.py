# SPDX-License-Identifier: Apache-2.0
"""The verb that screens data before anybody is tuned on them: audit-data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import Device, DryRun, Json, Keep, Place, Quarantine, workspace
from codetemper.core.errors import EXIT_NO, EXIT_YES

if TYPE_CHECKING:
    from codetemper.api.screening import Screened

#: Worst samples that are listed.
_LISTED = 8
#: Longest name of one that is shown whole, in characters.
_NAME = 40


def register(app: typer.Typer) -> None:
    """Add the verb to the app."""
    app.command("audit-data")(audit_data)


def audit_data(
    data: Annotated[str, typer.Argument(help="File of JSON lines, corpus id, or folder.")],
    guard: Annotated[
        list[str] | None,
        typer.Option("--guard", help="Guard id, or its beginning; repeatable."),
    ] = None,
    quarantine: Quarantine = None,
    keep: Keep = None,
    clean: Annotated[
        str | None,
        typer.Option(help="Clean samples like DATA; the threshold is calibrated on these."),
    ] = None,
    fpr: Annotated[
        float | None,
        typer.Option(help="Most that clean samples may be flagged; the guards' own, or 0.01."),
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Exit with 1 where a larger share is flagged."),
    ] = None,
    max_length: Annotated[
        int, typer.Option(min=16, help="Window in tokens; longer samples are read in several.")
    ] = 1024,
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Say which samples of a file a guard knows as bad, before a model is tuned on them.

    Every sample gets the log-ratio of its loss with the guard off and on. The model is the one that
    the guard was made for; nothing is generated and nothing is changed. A killed run goes on where
    it was. Exit code 1: the flagged share is above --fail-above; 3: it cannot be known.

    \b
    codetemper audit-data bought.jsonl --guard guard-11ab
    codetemper audit-data bought.jsonl --guard guard-11ab --quarantine bad.jsonl --keep good.jsonl
    codetemper audit-data bought.jsonl --guard guard-11ab --clean ours.jsonl --fpr 0.005
    codetemper audit-data mine-3fa9 --guard guard-11ab --guard guard-7c20 --fail-above 0.02 --json
    """
    from codetemper.api import screening

    given: dict[str, Any] = {"fpr": fpr, "clean": clean, "quarantine": quarantine, "keep": keep}
    if dry_run:
        plan = screening.plan(workspace(place), data, guard or (), **given)
        screen.emit(plan, as_json)
        return
    with screen.progress() as on_event:
        found = screening.audit_data(
            workspace(place), data, guard or (), **given,
            max_length=max_length, device=device, on_event=on_event,
        )  # fmt: skip
    card = found.card
    failed = fail_above is not None and card.flagged > fail_above * card.scored
    document = _document(found) | {
        "quarantine": str(quarantine) if quarantine else None,
        "keep": str(keep) if keep else None,
        "failed": failed,
    }
    screen.emit(document, as_json, lambda: _show(document))
    raise typer.Exit(EXIT_NO if failed else EXIT_YES)


def _document(found: Screened) -> dict[str, Any]:
    keys = ("model", "guards", "data", "rows", "scored", "flagged", "fpr", "thresholds",
            "calibrated", "block_rows", "seconds")  # fmt: skip
    card = found.card
    plain = card.model_dump(mode="json")
    blocks = [{k: v for k, v in b.items() if k != "schema_version"} for b in plain["blocks"]]
    worst = [
        one.model_dump(mode="json", include={"number", "sample", "guard", "ratio", "flagged"})
        for one in found.worst
    ]
    share = {"value": card.flagged / card.scored, "low": card.low, "high": card.high}
    return {
        "screening": card.id,
        **{key: plain[key] for key in keys},
        "share": share,
        "separation": {
            guard: {k: v for k, v in value.items() if k in ("value", "low", "high", "n")}
            for guard, value in plain["separation"].items()
        },
        "blocks": blocks,
        "worst": worst,
    }


def _show(document: dict[str, Any]) -> None:
    from rich.markup import escape

    share = document["share"]
    out = screen.out.print
    out(
        f"{document['flagged']} of {document['scored']} samples flagged: "
        f"{100 * share['value']:.1f} % \\[{100 * share['low']:.1f}, {100 * share['high']:.1f}]; "
        f"clean samples are flagged at most {100 * document['fpr']:g} % of the time"
    )
    if document["rows"] > document["scored"]:
        left = document["rows"] - document["scored"]
        out(f"[yellow]{left} samples have nothing to score; they are in neither file[/yellow]")
    for guard, value in document["separation"].items():
        out(f"{guard} tells its held-out bad samples from the clean ones: AUROC "
            f"{screen.estimate(value).replace('[', chr(92) + '[')}")  # fmt: skip
    drifting = [block for block in document["blocks"] if block["drifts"]]
    rows = [_block(block, document["block_rows"]) for block in drifting]
    if rows:
        heads = (
            "scored samples",
            "flagged",
            "median log-ratio",
            "p of the share",
            "p of the shift",
        )
        screen.table(heads, rows, "blocks unlike the rest, p corrected for all blocks")
    elif len(document["blocks"]) > 1:
        out(f"no drift over {len(document['blocks'])} blocks of {document['block_rows']} samples")
    worst = [
        (screen.safe(one["sample"], _NAME), str(one["number"]), f"{one['ratio']:.2f}",
         "[red]flagged[/red]" if one["flagged"] else "", one["guard"])
        for one in document["worst"][:_LISTED]
    ]  # fmt: skip
    screen.table(("sample", "place", "log-ratio", "", "guard"), worst, "the worst")
    for kind in ("quarantine", "keep"):
        if document[kind]:
            out(f"{kind}: {escape(document[kind])}")
    out(f"screening {document['screening']}")
    if document["flagged"] and not document["keep"]:
        screen.suggest(
            f"codetemper audit-data {escape(document['data'])} --guard {document['guards'][0]} "
            "--quarantine bad.jsonl --keep good.jsonl"
        )
    elif document["keep"]:
        screen.suggest(f"codetemper tune {document['model']} --data {escape(document['keep'])}")
    else:
        screen.suggest(f"codetemper report {document['model']}")


def _block(block: dict[str, Any], size: int) -> tuple[str, ...]:
    begin = block["number"] * size
    return (
        f"{begin} to {begin + block['n'] - 1}",
        f"{block['flagged']} of {block['n']}",
        f"{block['median']:.2f}",
        f"{block['p_share']:.3g}",
        f"{block['p_shift']:.3g}",
    )
