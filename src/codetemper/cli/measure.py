# SPDX-License-Identifier: Apache-2.0
"""The verbs that measure: eval, judge, compare, gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import (
    Cluster,
    ConfigFile,
    Device,
    DryRun,
    Json,
    Limit,
    ModelOrRun,
    Pairs,
    Place,
    Sandbox,
    Seed,
    judge_options,
    workspace,
)
from codetemper.core.errors import EXIT_NO, EXIT_UNKNOWN, EXIT_YES

if TYPE_CHECKING:
    from codetemper.api.runs import Run
    from codetemper.core.records import Decision

EXITS = {"accept": EXIT_YES, "refuse": EXIT_NO, "undecided": EXIT_UNKNOWN}
Ks = Annotated[list[int] | None, typer.Option("--k", min=1, help="Report metrics at this k too.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    app.command("eval")(evaluate)
    app.command("judge")(judge)
    app.command("compare")(compare)
    app.command("gate")(gate)


def evaluate(
    model: Annotated[str, typer.Argument(help="Model expression, e.g. seedling+tune-3fa9.")],
    suite: Annotated[list[str], typer.Argument(help="Suites, shipped or FORMAT:PATH.")],
    n: Annotated[int | None, typer.Option("-n", "--samples", help="Samples per case.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    k: Ks = None,
    cluster: Cluster = "case",
    limit: Limit = None,
    seed: Seed = None,
    config: ConfigFile = None,
    option: Pairs = None,
    sandbox: Sandbox = "bwrap",
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let a model answer suites, and judge the answers.

    \b
    codetemper eval seedling world-python -n 10 --k 10
    codetemper eval hf:./my-model world-security-c world-security-python
    codetemper eval seedling+tune-3fa9 humaneval:HumanEval.jsonl.gz --limit 20 --json
    """
    from codetemper.api import evaluation
    from codetemper.api.models import load_model
    from codetemper.core.records import Sampling
    from codetemper.core.settings import resolve_config
    from codetemper.evaluate import suites

    plans = {
        name: resolve_config(
            Sampling,
            "eval",
            file=config,
            pairs=option or (),
            flags={"n": n, "temperature": temperature, "seed": seed},
            defaults={"max_new_tokens": suites.budget(name)},
        )
        for name in suite
    }
    judging = judge_options(sandbox)
    if dry_run:
        drawn = {name: sampling.model_dump(mode="json") for name, sampling in plans.items()}
        plan = {"model": model, "suites": drawn, "limit": limit, "sandbox": sandbox}
        screen.emit(plan, as_json)
        return
    home, runs = workspace(place, make=True), []
    with load_model(home, model, device=device) as loaded, screen.progress() as on_event:
        for name, sampling in plans.items():
            runs.append(
                evaluation.evaluate(
                    home,
                    model,
                    name,
                    sampling,
                    limit=limit,
                    options=judging,
                    ks=tuple(k or (1,)),
                    cluster=cluster,
                    on_event=screen.named(on_event, name),
                    loaded=loaded,
                )
            )
    _show_runs(runs, as_json)


def judge(
    suite: Annotated[str, typer.Argument(help="Suite, shipped or FORMAT:PATH.")],
    completions: Annotated[Path, typer.Argument(help="JSONL: case (or task_id) and completion.")],
    k: Ks = None,
    cluster: Cluster = "case",
    sandbox: Sandbox = "bwrap",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Judge completions made elsewhere; no model is needed.

    \b
    codetemper judge world-python answers.jsonl
    codetemper judge humaneval:HumanEval.jsonl.gz samples.jsonl.gz --k 10 --k 100
    codetemper judge suite:my/suite.yaml answers.jsonl --json
    """
    from codetemper.api import evaluation

    judging = judge_options(sandbox)
    if dry_run:
        plan = evaluation.plan_judging(suite, completions)
        screen.emit(plan, as_json)
        return
    with screen.progress() as on_event:
        run = evaluation.judge_file(
            workspace(place, make=True),
            suite,
            completions,
            options=judging,
            ks=tuple(k or (1,)),
            cluster=cluster,
            on_event=on_event,
        )
    _show_runs([run], as_json)


def compare(
    before: ModelOrRun,
    after: ModelOrRun,
    cluster: Cluster = "case",
    place: Place = None,
    as_json: Json = False,
) -> None:
    """Compare two models on the cases both have answered, paired.

    \b
    codetemper compare seedling seedling+tune-3fa9
    codetemper compare eval-1b2c eval-9f0e
    codetemper compare seedling seedling+tune-3fa9 --json
    """
    from codetemper.api import evaluation

    found = evaluation.compare(workspace(place), before, after, cluster=cluster)
    metrics = {name: d.model_dump(exclude={"schema_version"}) for name, d in found.items()}
    document: dict[str, Any] = {"decision": None, "reasons": [], "metrics": metrics}
    screen.emit(document, as_json, lambda: show_differences(metrics))


def gate(
    before: ModelOrRun,
    after: ModelOrRun,
    cluster: Cluster = "case",
    config: ConfigFile = None,
    option: Pairs = None,
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Decide whether a change is accepted: more secure, and not less able.

    Exit code 0: accept; 1: refuse; 3: the intervals do not settle it. Settings: security_gain
    (least gain of secure@1) and function_loss (largest loss of the functional metric). Every
    further candidate held against the same cases is decided at a higher level.

    \b
    codetemper gate seedling seedling+tune-3fa9
    codetemper gate seedling seedling+tune-3fa9 -o security_gain=0.10 -o function_loss=0.03
    codetemper gate eval-1b2c eval-9f0e --json
    """
    from codetemper.api import evaluation
    from codetemper.core.settings import resolve_config
    from codetemper.evaluate.gate import Thresholds

    margins = resolve_config(Thresholds, "gate", file=config, pairs=option or ())
    home = workspace(place)
    decision = evaluation.gate(home, before, after, margins, cluster=cluster, record=not dry_run)
    document = decision_document(decision)
    screen.emit(document, as_json, lambda: show_decision(document))
    raise typer.Exit(EXITS[decision.decision])


def decision_document(decision: Decision) -> dict[str, Any]:
    """Return the JSON contract of ``gate`` for a decision."""
    nested = {"__all__": {"schema_version"}}
    return decision.model_dump(mode="json", exclude={"schema_version": True, "metrics": nested})


def document_of(run: Run) -> dict[str, Any]:
    """Return the JSON contract of ``eval`` and ``judge`` for one run."""
    card = run.scorecard.model_dump(mode="json")

    def plain(metrics: dict[str, Any]) -> dict[str, Any]:
        return {m: {k: v for k, v in e.items() if k != "schema_version"}
                for m, e in metrics.items()}  # fmt: skip

    return {
        "model": card["model"],
        "suite": card["suite"],
        "cases": card["cases"],
        "samples": card["samples"],
        "metrics": plain(card["metrics"]),
        "by_cwe": {cwe: plain(metrics) for cwe, metrics in card["by_cwe"].items()},
        "by_split": {split: plain(metrics) for split, metrics in card["by_split"].items()},
        "failures": card["failures"],
        "unknown": card["unknown"],
        "flagged": card["flagged"],
        "unqualified": card["unqualified"],
        "sandbox": card["sandbox"],
        "run": run.id,
        "digest": run.scorecard.digest(),
    }


def _show_runs(runs: list[Run], as_json: bool) -> None:
    documents = [document_of(run) for run in runs]
    whole = documents[0] if len(documents) == 1 else {"runs": documents}

    def show() -> None:
        for document in documents:
            show_run(document)
        first = documents[0]
        elsewhere = first["model"].startswith("file:")
        screen.suggest(f"codetemper report {first['run' if elsewhere else 'model']}")

    screen.emit(whole, as_json, show)


def show_run(document: dict[str, Any]) -> None:
    """Print one run for people."""
    metrics = document["metrics"]
    rows = [
        (name, screen.estimate(e), _share(e["unknown"]), str(e["n"])) for name, e in metrics.items()
    ]
    title = f"{document['model']} on {document['suite']}: {document['samples']} samples a case"
    screen.table(("metric", "value [95 % interval]", "unknown", "n"), rows, title)
    if document["unqualified"]:
        names = ", ".join(document["unqualified"])
        screen.out.print(f"[yellow]no security metric for {names}: no qualified judge[/yellow]")
    if document["flagged"]:
        flagged = f"{document['flagged']} completions show signs of tampering with the judge"
        screen.out.print(f"[yellow]{flagged}[/yellow]")
    seen = next((e for e in metrics.values() if e["detectable"] is not None), None)
    if seen is not None:
        screen.out.print(
            f"[dim]another model on these {seen['n']} would be told apart from a difference of "
            f"{seen['detectable']:.2f} on (power 0.8), like models sooner[/dim]"
        )
    failures = ", ".join(f"{name} {count}" for name, count in document["failures"].items())
    screen.out.print(f"failures: {failures or 'none'}; run {document['run']}")


def _share(value: float) -> str:
    return f"[yellow]{100 * value:.1f} %[/yellow]" if value else "0"


def show_differences(metrics: dict[str, Any]) -> None:
    """Print paired differences for people."""
    rows = [
        (
            name,
            f"{d['before']:.2f}",
            f"{d['after']:.2f}",
            screen.difference(d),
            _share(max(d["unknown_before"], d["unknown_after"])),
            "" if d["detectable"] is None else f"{d['detectable']:.2f}",
            f"{d['p']:.3f}" if d["p"] >= 0.001 else "<.001",
            str(d["n"]),
        )
        for name, d in metrics.items()
    ]
    levels = sorted({f"{100 * d['level']:.4g} %" for d in metrics.values()})
    change = f"change [{', '.join(levels) or '95 %'}]"
    heads = ("metric", "before", "after", change, "unknown", "would show", "p", "n")
    screen.table(heads, rows)


def show_decision(document: dict[str, Any]) -> None:
    """Print a gate's decision for people."""
    show_differences(document["metrics"])
    for reason in document["reasons"]:
        screen.out.print(f"  {reason}", markup=False)
    colour = screen.decision_colour(document["decision"])
    screen.out.print(f"decision: [bold {colour}]{document['decision']}[/bold {colour}]")
