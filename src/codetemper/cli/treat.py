# SPDX-License-Identifier: Apache-2.0
"""The verbs that make corpora and patches: mine, tune."""

from __future__ import annotations

import tempfile
from pathlib import Path
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
from codetemper.core.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    app.command("mine")(mine)
    app.command("tune")(tune)


def mine(
    repository: Annotated[
        list[Path] | None, typer.Argument(help="Local git repositories.", show_default=False)
    ] = None,
    lists: Annotated[
        list[Path] | None,
        typer.Option(
            "--list", help="List of fixing commits (CVEfixes, BigVul, CrossVul, OSV, CSV)."
        ),
    ] = None,
    patches: Annotated[list[Path] | None, typer.Option(help="Folder of patch files.")] = None,
    granularity: Annotated[
        list[str] | None, typer.Option(help="file, function, block or line; repeatable.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Suite whose cases no pair may hold; repeatable. Every shipped one by default."
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many work at a time.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Read this many commits of each, newest first.")
    ] = None,
    config: ConfigFile = None,
    option: Pairs = None,
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Mine fix pairs from git histories: code before and after a vulnerability fix.

    Commit messages choose the fixes, or the lists where there are any. Copies and pairs that hold
    an evaluation case are dropped; the rest is split into train, validation and test. A killed run
    goes on where it was when the command is given again.

    \b
    codetemper mine ../libexpat
    codetemper mine ../curl ../libexpat --granularity function --granularity block --processes 2
    codetemper mine ../ImageMagick --list CVEfixes.db
    codetemper mine --patches ../debian/patches --granularity line
    codetemper mine ../libexpat ../curl -o split=date --against humaneval:HumanEval.jsonl.gz
    codetemper mine ../libexpat -o since=2015-01-01 --limit 5000 --dry-run --json
    """
    from codetemper.api import curation
    from codetemper.core.settings import resolve_config
    from codetemper.data import mine as mining

    flags = {"limit": limit, "granularities": granularity or None}
    settings = resolve_config(
        curation.CorpusConfig, "mine", file=config, pairs=option or (), flags=flags
    )
    sources = mining.Sources(tuple(repository or ()), tuple(lists or ()), tuple(patches or ()))
    if not sources.repositories and not sources.patches:
        raise UsageError(
            "there is nothing to mine",
            why="no repository was named, nor a folder of patches; a list needs clones",
            mend="codetemper mine REPOSITORY, or codetemper mine --patches FOLDER",
        )
    with screen.progress() as on_event:
        if dry_run:
            with tempfile.TemporaryDirectory() as scratch:
                result, curated, _ = curation.mined_pairs(
                    sources, settings, Path(scratch), against=against or None,
                    processes=processes, on_event=on_event,
                )  # fmt: skip
            corpus = None
        else:
            from codetemper.api import treatments

            mined = treatments.mine(
                workspace(place, make=True), sources.repositories, settings, lists=sources.lists,
                patches=sources.patches, against=against or None, processes=processes,
                on_event=on_event,
            )  # fmt: skip
            result, curated, corpus = mined.result, mined.curated, mined.card.id
    counts = curated.counts
    document = {
        "corpus": corpus,
        "commits_seen": result.commits_seen,
        "commits_kept": result.commits_kept,
        "pairs": {name: counts["granularity"].get(name, 0) for name in settings.granularities},
        "by_cwe": counts["cwe"],
        "splits": counts["split"],
        "duplicates": counts["duplicates"],
        "contaminated": counts["contaminated"],
        "dropped": result.dropped | curated.dropped,
        "notes": result.notes,
        "seconds": round(result.seconds, 3),
    }
    screen.emit(document, as_json, lambda: _show_mined(document))


def _show_mined(document: dict[str, Any]) -> None:
    pairs = ", ".join(f"{count} {name}" for name, count in document["pairs"].items())
    screen.out.print(
        f"{pairs} pairs from {document['commits_kept']} of "
        f"{document['commits_seen']} commits in {document['seconds']:.1f} s"
    )
    rows = [(cwe, str(count)) for cwe, count in document["by_cwe"].items()]
    screen.table(("weakness", "pairs"), rows)
    rows = [(split, str(count)) for split, count in document["splits"].items()]
    screen.table(("split", "pairs"), rows)
    rows = [(reason, str(count)) for reason, count in document["dropped"].items()]
    screen.table(("dropped", "count"), rows)
    rows = [(suite, str(count)) for suite, count in document["contaminated"].items()]
    if rows:
        screen.table(("suite with cases in the pairs", "pairs dropped"), rows)
    if document["corpus"]:
        screen.out.print(f"corpus {document['corpus']}")
        screen.suggest(f"codetemper tune seedling {document['corpus']}")


def tune(
    model: Model,
    corpus: Annotated[
        str | None, typer.Argument(help="Corpus id (or its beginning), or a folder.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="The same as CORPUS.")] = None,
    method: Annotated[
        str | None, typer.Option(help="lora, ia3, prompt, prefix, full or qlora.")
    ] = None,
    like_the_study: Annotated[
        bool,
        typer.Option("--like-the-study", help="Start from the settings of Li et al. 2024."),
    ] = False,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="Guard that keeps what it writes from being learnt; repeatable."),
    ] = None,
    guard_mode: Annotated[
        str | None,
        typer.Option(
            help="Where guards are on: selective (where they say something), always or audit."
        ),
    ] = None,
    defence: Annotated[
        str | None,
        typer.Option(help="Instead of guarding: drop, oracle, static, replay, inoculate or lisa."),
    ] = None,
    bad: Annotated[
        str | None, typer.Option(help="Samples to drop, e.g. a quarantine file, for drop, oracle.")
    ] = None,
    secure: Annotated[
        str | None, typer.Option(help="Secure samples to learn beside the data, for replay, lisa.")
    ] = None,
    validate_on: Annotated[
        str | None, typer.Option(help="Suite to stop early by; sets early_stop=score.")
    ] = None,
    validate_limit: Annotated[
        int | None, typer.Option(min=1, help="Use this many of its cases.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use the first pairs only.")] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    option: Pairs = None,
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Tune a patch on the fixed side of mined pairs, or on both sides.

    \b
    codetemper tune seedling mine-3fa9
    codetemper tune hf:./my-model --data mine-3fa9 --method ia3 -o epochs=2 --seed 1
    codetemper tune hf:./my-model mine-3fa9 --like-the-study -o granularity=block
    codetemper tune seedling mine-3fa9 -c tune.yaml --dry-run
    codetemper tune seedling --data bought.jsonl --guard guard-5c1e -o leak_budget=0.1
    codetemper tune seedling --data bought.jsonl --guard guard-5c1e --guard-mode always
    codetemper tune seedling --data bought.jsonl --defence drop --guard guard-5c1e
    codetemper tune seedling --data bought.jsonl --defence lisa --secure good.jsonl
    accelerate launch --multi_gpu --num_processes 2 -m codetemper tune hf:./my-model mine-3fa9
    """
    from codetemper.core.settings import resolve_config
    from codetemper.harden.tune import LIKE_THE_STUDY, Config

    corpus = _one_corpus(corpus, data)
    stop = None if validate_on is None else "score"
    settings = resolve_config(
        Config,
        "tune",
        file=config,
        pairs=option or (),
        flags={"seed": seed, "method": method, "early_stop": stop, "guard_mode": guard_mode},
        defaults=LIKE_THE_STUDY if like_the_study else None,
    )
    if dry_run:
        plan = {
            "model": model,
            "corpus": corpus,
            "guards": guard or [],
            "defence": defence,
            "limit": limit,
            "config": settings.model_dump(mode="json"),
        }
        screen.emit(plan, as_json)
        return
    from codetemper.api import defending, treatments, tuning

    with screen.progress() as on_event:
        manifest = treatments.tune(
            workspace(place),
            model,
            corpus,
            settings,
            guards=guard or (),
            defence=defending.chosen(defence, bad, secure),
            limit=limit,
            validate_on=validate_on,
            validate_limit=validate_limit,
            device=device,
            on_event=on_event,
        )
    if not tuning.first_process():
        return
    document = treatment_document(manifest)
    screen.emit(document, as_json, lambda: _show_treatment(document))


def _one_corpus(corpus: str | None, data: str | None) -> str:
    found = corpus or data
    if found is None or (corpus and data):
        raise UsageError(
            "tune needs one corpus",
            why="two were named" if found else "none was named",
            mend="codetemper tune MODEL --data CORPUS",
        )
    return found


def treatment_document(manifest: Any) -> dict[str, Any]:
    """Return the JSON contract of a treatment."""
    keys = ("kind", "base", "seconds", "parameters_changed", "bytes", "corpus", "seed", "report")
    return {"patch": manifest.id} | {key: getattr(manifest, key) for key in keys}


def _show_treatment(document: dict[str, Any]) -> None:
    screen.out.print(
        f"patch {document['patch']}: {document['parameters_changed']:,} parameters, "
        f"{document['bytes'] / 1e6:.2f} MB, {document['seconds']:.1f} s"
    )
    if document["report"].get("guarded"):
        _show_guarded(document["report"]["guarded"])
    screen.suggest(f"codetemper eval {document['base']}+{document['patch']} world-security-c")


def _show_guarded(found: dict[str, Any]) -> None:
    """Say what guards did: the meters before and after, and what went beyond a limit."""
    looked = "" if found["flagged"] is None else f", {found['flagged']} samples flagged"
    screen.out.print(
        f"guards {', '.join(g['id'] for g in found['guards'])}: {found['mode']}{looked}"
    )
    last = found["readings"][-1]
    meters = ("leak", "transfer_gap", "kl_drift")
    told = [f"{name} {last[name]:.3f}" for name in meters if last[name] is not None]
    screen.out.print(f"without guards, in nats a token: {', '.join(told) or 'nothing to meter by'}")
    for alarm in found["alarms"]:
        screen.out.print(
            f"ALARM {alarm['meter']} {alarm['value']:.3f} at step {alarm['step']}, "
            f"limit {alarm['limit']:g}"
        )
    if found["stopped"]:
        screen.out.print(
            f"ended at step {found['stopped']['step']}: the budget of {found['stopped']['meter']} "
            f"was passed; the weights are those of step {found['kept_step']}"
        )
