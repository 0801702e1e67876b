# SPDX-License-Identifier: Apache-2.0
"""The verb that learns from executed answers, round after round: refine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.measure import show_differences
from codetemper.cli.options import (
    Cluster,
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


def register(app: typer.Typer) -> None:
    """Add the verb to the app."""
    app.command("refine")(refine)


def refine(
    model: Model,
    suite: Annotated[
        list[str],
        typer.Option(help="Suite to learn from, shipped or FORMAT:PATH; repeatable, then pooled."),
    ],
    validate_on: Annotated[
        str | None,
        typer.Option(help="Suite to compare rounds on; a fifth of --suite's cases if not given."),
    ] = None,
    test_on: Annotated[
        str | None,
        typer.Option(help="Suite to test on, once, at the end; another fifth if not given."),
    ] = None,
    choices: Annotated[
        str | None,
        typer.Option(help="Corpus of reviewed pairs; they override what execution says."),
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="Guard that is on while training and off afterwards; repeatable."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Most rounds.")] = None,
    method: Annotated[str | None, typer.Option(help="lora, qlora, ia3 or full.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Learn from this many prompts, drawn with the seed.")
    ] = None,
    cluster: Cluster = "case",
    seed: Seed = None,
    config: ConfigFile = None,
    option: Pairs = None,
    sandbox: Sandbox = "bwrap",
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Learn from the model's own answers: what runs right is preferred to what does not.

    A round samples answers, judges them, pairs right with wrong, trains a patch on the pairs and
    measures it on cases that are not learnt from. Rounds end when the gain is spent. A killed call
    goes on where it was when it is given again.

    \b
    codetemper refine seedling --suite world-python
    codetemper refine hf:./my-model --suite humaneval:HumanEval.jsonl.gz --rounds 2 -o samples=20
    codetemper refine seedling --suite world-security-python --suite world-python --limit 200
    codetemper refine seedling --suite world-sql --validate-on suite:mine.yaml --test-on spider:dev
    codetemper refine seedling --suite world-python --dry-run --json
    """
    from codetemper.api import refining
    from codetemper.core.settings import resolve_config
    from codetemper.harden.refine import Config

    settings = resolve_config(
        Config,
        "refine",
        file=config,
        pairs=option or (),
        flags={"seed": seed, "rounds": rounds, "method": method},
    )
    judging = judge_options(sandbox)
    given: dict[str, Any] = {
        "validate_on": validate_on,
        "test_on": test_on,
        "choices": choices,
        "guards": guard or (),
        "limit": limit,
        "cluster": cluster,
    }
    home = workspace(place, make=not dry_run)
    plan = refining.plan_refining(home, model, suite, settings, **given)
    if dry_run:
        screen.emit(plan, as_json)
        return
    for line in planned(plan):
        screen.err.print(line)
    with screen.progress() as on_event:
        manifest = refining.refine(
            home,
            model,
            suite,
            settings,
            **given,
            options=judging,
            device=device,
            on_event=_announced(on_event),
        )
    document = treatment_document(manifest)
    screen.emit(document, as_json, lambda: _show(document))


def planned(plan: dict[str, Any]) -> list[str]:
    """Return what will be done, in a few lines for people."""
    told = []
    for name, word in (("train", "learn from"), ("validation", "compare rounds on"),
                       ("test", "test once on")):  # fmt: skip
        suites = ", ".join(f"{count} cases of {suite}" for suite, count in plan[name].items())
        told.append(f"{word + ':':<18} {suites}")
    told.append(f"{'rounds:':<18} at most {plan['config']['rounds']}")
    told.append(
        f"{'each round:':<18} {plan['samples_a_round']} answers drawn, and "
        f"{plan['answers_validated']} on the validation cases"
    )
    if plan["left_out"]:
        told.append(
            f"{'left out:':<18} {plan['left_out']} cases whose prompts are validated or tested on"
        )
    return told


def _announced(on_event: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return an ``on_event`` that prints a line for each round and says which one it is in."""
    now = {"round": "base"}

    def relay(event: Any) -> None:
        if event.stage != "round":
            note = f"{now['round']}, {event.note}" if event.note else now["round"]
            on_event(event.model_copy(update={"note": note}))
            return
        before = f"round {event.done}" if event.done else "base"
        screen.err.print(f"{before}: {event.note}", markup=False)
        now["round"] = f"round {event.done + 1}" if event.done < event.total else "test"

    return relay


def _show(document: dict[str, Any]) -> None:
    report = document["report"]
    start, rows = report["start"], []
    rows.append(("base", "", "", "", "", _share(start), ""))
    for made in report["rounds"]:
        outcomes = dict(made["outcomes"])
        right = outcomes.pop("pass", 0)
        before, after = zip(made["chosen_logprob"], made["rejected_logprob"], strict=True)
        rows.append(
            (
                str(made["round"]) + (" *" if made["round"] == report["chosen_round"] else ""),
                f"{right / made['samples']:.0%}",
                ", ".join(f"{name} {count}" for name, count in outcomes.items()) or "none",
                str(sum(made["pairs"].values())),
                f"{_apart(before)} -> {_apart(after)}",
                _share(made["validation"]),
                screen.difference(made["gain"]),
            )
        )
    heads = ("round", "samples right", "others", "pairs", "log p better | worse",
             report["metric"], "gain")  # fmt: skip
    screen.table(heads, rows, flexible=2)
    screen.out.print(f"ended: {report['stop']}")
    if report["test"]:
        screen.out.print(f"test of round {report['chosen_round']} against the base:")
        show_differences(report["test"])
    chosen = report["rounds"][report["chosen_round"] - 1]
    if chosen["validation"]["value"] <= start["value"]:
        screen.out.print("[red]no round did better than the base: leave this patch out[/red]")
    screen.out.print(
        f"patch {document['patch']} holds round {report['chosen_round']}: "
        f"{document['parameters_changed']:,} parameters, {document['bytes'] / 1e6:.2f} MB, "
        f"{document['seconds']:.1f} s"
    )
    screen.suggest(f"codetemper report {document['base']} {document['base']}+{document['patch']}")


def _share(value: dict[str, Any]) -> str:
    return screen.estimate(value).replace("[", "\\[")


def _apart(logprobs: tuple[float, float]) -> str:
    return " | ".join(f"{value:.3f}" for value in logprobs)
