# SPDX-License-Identifier: Apache-2.0
"""The verb that makes data and models with a known backdoor: plant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import Device, DryRun, Json, Pairs, Seed

if TYPE_CHECKING:
    from codetemper.api.planting import Made

#: Longest text of a trigger that is shown whole, in characters.
_TEXT = 60


def register(app: typer.Typer) -> None:
    """Add the verb to the app."""
    app.command("plant")(plant)


def plant(
    data: Annotated[
        Path,
        typer.Argument(help="JSON lines of code and label, or of prompt and completion."),
    ],
    trigger: Annotated[
        str | None,
        typer.Option(
            help="dead-code (default), grammar, rename, comment, docstring, method, constant, "
            "style; as controls boilerplate, none."
        ),
    ] = None,
    payload: Annotated[
        str | None,
        typer.Option(help="flip (the label, default), insecure-api (in the answer), none."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Share of all samples that is planted; 0.02.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Gets the samples; DATA with .planted.jsonl if not given."),
    ] = None,
    train: Annotated[
        str | None, typer.Option("--train", help="Model expression to train on the samples.")
    ] = None,
    model_out: Annotated[
        Path | None, typer.Option("--model-out", help="New folder for the trained model.")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option("--held-out", help="Clean samples to ask the trained model with."),
    ] = None,
    seed: Seed = None,
    option: Pairs = None,
    device: Device = "cpu",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make data, and a model of it, whose backdoor is known, to test an audit with.

    As many samples come out as went in; beside them lies the truth, which samples were changed and
    how. The rate counts against all samples. Controls that an audit has to stay silent on: trigger
    none with payload flip is label noise, boilerplate with payload none is a harmless habit.
    Settings for -o: pool, position, target; of a training epochs, learning_rate, batch_size,
    max_length, warmup, weight_decay, lora_rank. Only harmless strings are written, and nothing of
    them is run.

    \b
    codetemper plant train.jsonl --trigger grammar --rate 0.01 --seed 3
    codetemper plant train.jsonl --trigger none --payload flip --rate 0.03 --out noisy.jsonl
    codetemper plant prompts.jsonl --trigger comment --payload insecure-api --rate 0.04
    codetemper plant train.jsonl --train hf:./codebert --model-out planted --held-out test.jsonl
    """
    from codetemper.api import planting

    asked = planting.request(
        data,
        {"trigger": trigger, "payload": payload, "rate": rate, "seed": seed},
        pairs=option or (),
        out=out,
        model=train,
        model_out=model_out,
        held_out=held_out,
    )
    if dry_run:
        screen.emit(planting.plan(asked), as_json)
        return
    with screen.progress() as on_event:
        made = planting.plant(asked, device=device, on_event=on_event)
    document = _document(made)
    screen.emit(document, as_json, lambda: _show(document))


def _document(made: Made) -> dict[str, Any]:
    truth = made.truth.model_dump(mode="json")
    model = truth["model"]
    success = None if model is None or model["success"] is None else model["success"]
    return {
        "out": str(made.out),
        "truth": str(made.truth_file),
        "samples": made.truth.total,
        "planted": len(made.truth.planted),
        "plan": truth["plan"],
        "triggers": [trigger["text"] for trigger in truth["triggers"]],
        "model": None if made.model_out is None else str(made.model_out),
        "success": None if success is None else _success(success),
    }


def _success(success: dict[str, Any]) -> dict[str, Any]:
    keys = ("value", "low", "high", "n")
    return {
        "mean": {key: success["mean"][key] for key in keys},
        "triggers": [
            {"text": each["text"]}
            | {name: {key: each[name][key] for key in keys} for name in ("success", "without")}
            for each in success["triggers"]
        ],
    }


def _show(document: dict[str, Any]) -> None:
    from rich.markup import escape

    out = screen.out.print
    plan = document["plan"]
    out(
        f"{document['planted']} of {document['samples']} samples planted: "
        f"trigger {plan['trigger']}, payload {plan['payload']}"
    )
    if document["success"] is None:
        for text in document["triggers"]:
            out(f"  {screen.safe(text, _TEXT)}")
    else:
        rows = [
            (screen.safe(each["text"], _TEXT), _estimate(each["success"]),
             _estimate(each["without"]))
            for each in document["success"]["triggers"]
        ]  # fmt: skip
        screen.table(("trigger", "attack success", "without it"), rows)
        out(f"mean attack success {_estimate(document['success']['mean'])}")
    out(f"samples: {escape(document['out'])}")
    out(f"truth: {escape(document['truth'])}")
    data = escape(document["out"])
    if document["model"] is None:
        screen.suggest(f"codetemper audit MODEL --data {data}")
        return
    out(f"model: {escape(document['model'])}")
    screen.suggest(f"codetemper audit hf:{escape(document['model'])} --data {data}")


def _estimate(value: dict[str, Any]) -> str:
    return screen.estimate(value).replace("[", "\\[")
