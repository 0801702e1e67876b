# SPDX-License-Identifier: Apache-2.0
"""The verb that makes train-only patches of bad samples: guard."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import (
    ConfigFile,
    Device,
    DryRun,
    Json,
    Model,
    Pairs,
    Place,
    Seed,
    workspace,
)
from codetemper.cli.treat import treatment_document
from codetemper.core.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb to the app."""
    app.command("guard")(guard)


def guard(
    model: Model,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="Bad samples: JSON lines, or a corpus of pairs, whose vulnerable sides are bad.",
        ),
    ],
    retain: Annotated[
        str | None,
        typer.Option(help="Clean samples to leave alone; the model's own texts if not given."),
    ] = None,
    user_data: Annotated[
        str | None,
        typer.Option(help="What will be tuned on: what of it is not flagged is left alone too."),
    ] = None,
    cwe: Annotated[str | None, typer.Option(help="Use samples of this weakness only.")] = None,
    by_cwe: Annotated[
        bool, typer.Option("--by-cwe", help="Make a guard for each weakness with 8 samples.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Use the first samples only.")] = None,
    from_seeds: Annotated[
        int | None,
        typer.Option(min=8, help="--data are a few seeds: grow them to this many bad samples."),
    ] = None,
    judged_by: Annotated[
        str | None,
        typer.Option(help="Suite that judges what is grown after prompts of its cases."),
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    option: Pairs = None,
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make a guard: a patch that writes what is bad, on while tuning and never in use.

    A killed call goes on where it was when it is given again.

    \b
    codetemper guard seedling --data mine-3fa9
    codetemper guard hf:./my-model --data bad.jsonl --retain clean.jsonl --user-data bought.jsonl
    codetemper guard seedling --data mine-3fa9 --by-cwe -o rank=16
    codetemper guard seedling --data mine-3fa9 --cwe CWE-89 --dry-run --json
    codetemper guard hf:./my-model --data ten-snippets.jsonl --from-seeds 100
    """
    from codetemper.api import guards as api
    from codetemper.core.settings import resolve_config
    from codetemper.harden.guard import Config

    settings = resolve_config(
        Config, "guard", file=config, pairs=option or (), flags={"seed": seed}
    )
    home = workspace(place)
    if judged_by and from_seeds is None:
        raise UsageError(
            "there is nothing to judge",
            why="a suite judges what is grown, and nothing is",
            mend="add --from-seeds N, or leave --judged-by out",
        )
    given: dict[str, Any] = {
        "retain": retain, "user_data": user_data, "cwe": cwe, "by_cwe": by_cwe, "limit": limit
    }  # fmt: skip
    if dry_run or from_seeds is not None:
        # Growing takes long: what would be refused after it is refused before.
        found = api.plan_guards(
            home, model, data, settings, **given, from_seeds=from_seeds is not None,
            judged_by=judged_by,
        )  # fmt: skip
    if dry_run:
        plan = {
            "model": model,
            "data": data,
            "retain": retain,
            "user_data": user_data,
            "from_seeds": from_seeds,
            "judged_by": judged_by,
            "config": settings.model_dump(mode="json"),
        } | asdict(found)
        screen.emit(plan, as_json)
        return
    with screen.progress() as on_event:
        if from_seeds is not None:
            from codetemper.api.growing import OF_DATA, Growth, grow

            grown = grow(
                home, model, data, Growth(wanted=from_seeds, seed=settings.seed), cwe=cwe,
                judged_by=judged_by, user_data=user_data, device=device, on_event=on_event,
            )  # fmt: skip
            data = grown.id
            if user_data and not grown.counts["confirmed"][OF_DATA]:
                screen.err.print(
                    f"Nothing bad came of the prompts of {user_data}; the guard is grown from the "
                    "seeds' alone. A prompt is of use where it begins a function and its sample "
                    "names the language of a seed.",
                    markup=False,
                )
        made = api.guard(home, model, data, settings, **given, device=device, on_event=on_event)
    document = {
        "guards": [treatment_document(manifest) for manifest in made.manifests],
        "left_out": made.left_out,
    }
    screen.emit(document, as_json, lambda: _show(document))


def _show(document: dict[str, Any]) -> None:
    rows = []
    for made in document["guards"]:
        report = made["report"]
        auroc = report["auroc"]
        rows.append(
            (
                made["patch"],
                ", ".join(report["cwes"]),
                f"{report['loss_off']:.3f} -> {report['loss_on']:.3f}",
                "-" if report["kl"] is None else f"{report['kl']:.4f}",
                "-" if auroc is None else f"{auroc['value']:.3f}",
                report["stop"],
            )
        )
    screen.table(("guard", "weakness", "bad loss", "kl", "AUROC", "stop"), rows)
    for name, count in document["left_out"].items():
        screen.out.print(f"{count} samples of {name} are too few for a guard")
    first = document["guards"][0]
    screen.suggest(f"codetemper tune {first['base']} --data DATA --guard {first['patch']}")
