# SPDX-License-Identifier: Apache-2.0
"""The verbs that make corpora and patches: ``mine`` and ``tune``.

Each builds in a staged folder, settles it under its content id, and writes one ledger entry. A
killed verb leaves no half-made folder; a killed ``tune`` goes on when the command is given again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetemper.api.curation import mined_pairs
from codetemper.api.defending import Defence, defence_facts, defended
from codetemper.api.models import full_name, opened_base, patch_folders
from codetemper.api.settling import settle
from codetemper.api.tuning import (
    checkpoints,
    fix_pairs,
    guards_named,
    recorded,
    settle_patch,
    suite_score,
    suspects,
)
from codetemper.core.accounts import CorpusCard, PatchManifest
from codetemper.core.digests import canonical_json, digest_file
from codetemper.core.disk import mendable
from codetemper.core.errors import UsageError
from codetemper.core.records import OnEvent, ignore_events
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import write_corpus
from codetemper.data.curation import Curated
from codetemper.data.mine import MineConfig, MineResult, Sources
from codetemper.data.mixing import read_general
from codetemper.judges import JudgeOptions

if TYPE_CHECKING:
    from codetemper.models.guards import Guard


@dataclass(frozen=True)
class Mined:
    """A corpus and how it came about.

    Attributes:
        card: the corpus card.
        result: counts of the mining run.
        curated: what of the mined pairs went into the corpus, and why the others did not.
    """

    card: CorpusCard
    result: MineResult
    curated: Curated


def mine(
    workspace: Workspace,
    repositories: Sequence[Path],
    config: MineConfig | None = None,
    *,
    lists: Sequence[Path] = (),
    patches: Sequence[Path] = (),
    against: Sequence[str] | None = None,
    processes: int = 1,
    on_event: OnEvent = ignore_events,
) -> Mined:
    """Mine fix pairs from git histories and patches into a corpus of the workspace.

    Args:
        workspace: gets the corpus and a ledger entry; its cache holds what lets a killed call go
            on when it is given again.
        repositories: local git repositories.
        config: what counts as a fix, and what may stay in a corpus: ``CorpusConfig``.
        lists: lists of fixing commits; with any, they choose the commits.
        patches: folders of patch files.
        against: suites whose cases no pair may hold; every shipped one where None.
        processes: how many work at a time.
        on_event: progress.

    Raises:
        UsageError: a source is not what it was given as, or nothing was found to learn from.
        CannotKnowError: a mining process was killed.
    """
    sources = Sources(tuple(repositories), tuple(lists), tuple(patches))
    cache = workspace.cache / "mine"
    with mendable(cache):
        cache.mkdir(parents=True, exist_ok=True)
    result, curated, facts = mined_pairs(
        sources, config, cache, against=against, processes=processes, on_event=on_event
    )
    if not len(curated.pairs):
        counts = result.dropped | curated.dropped
        dropped = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()))
        raise UsageError(
            f"no fix pairs in {len(repositories)} repositories",
            why=f"{result.commits_seen} commits were read; dropped: {dropped or 'none'}",
            mend="name other repositories, or lower -o min_score=N",
        )
    with workspace.staged("corpora") as folder:
        card = write_corpus(
            folder,
            curated.pairs,
            verb="mine",
            sources=result.sources,
            counts=curated.counts
            | {"dropped": result.dropped | curated.dropped, "notes": result.notes},
            config=facts,
            seconds=result.seconds,
            beside={"curation.json": canonical_json(curated.account())},
        )
        settle(
            workspace, folder, "corpora", card.id, "mine",
            inputs={f"repository:{i}": source for i, source in enumerate(result.sources)},
            note=f"{card.rows} pairs of {result.commits_kept} commits",
        )  # fmt: skip
    return Mined(card, result, curated)


def tune(
    workspace: Workspace,
    model: str,
    corpus: str,
    config: Any | None = None,
    *,
    guards: Sequence[str] = (),
    defence: Defence | None = None,
    limit: int | None = None,
    validate_on: str | None = None,
    validate_limit: int | None = None,
    options: JudgeOptions | None = None,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> PatchManifest:
    """Tune a patch on a corpus of fix pairs; a killed run goes on where it was.

    Args:
        workspace: holds the corpus; gets the patch and a ledger entry.
        model: expression. Its patches are active and frozen while training: the new one goes on
            top of them.
        corpus: id of the corpus, or the beginning of it, or a corpus folder.
        config: ``codetemper.harden.tune.Config``; its defaults where None.
        guards: ids of guards, or beginnings of ids. They keep the model from learning what they
            write (``config.guard_mode``), are off afterwards, and are no part of the expression
            that the patch goes on top of.
        defence: what else is done about bad samples; with guards, about those that they flag.
        limit: use the first pairs of the corpus only.
        validate_on: suite whose score ``early_stop="score"`` goes by.
        validate_limit: use this many of its cases.
        options: of that suite's judges, and of the static one.
        device: torch device name.
        on_event: progress.
        loaded: a handle of the bare base that is loaded already.

    Raises:
        UsageError: an unknown corpus, a corpus that is not of pairs, patches that do not stack,
            guards that cannot be used.
        IntegrityError: the corpus does not match its card, or a guard is damaged.
        CannotKnowError: samples are to be flagged, and a guard tells no threshold.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.harden import tune as technique

    model = full_name(workspace, model)
    frozen = patch_folders(workspace, model)
    card, rows = fix_pairs(workspace, corpus)
    pairs, config = rows[:limit], config or technique.Config()
    known = guards_named(workspace, guards)
    facts = _facts(config, known, defence, limit, validate_on, validate_limit)
    facts |= defence_facts(workspace, defence)
    with (
        opened_base(workspace, model, loaded, device=device) as handle,
        workspace.staged("patches") as staged,
    ):
        inputs = {
            "model": model,
            "model_digest": handle.loaded.digest,
            "corpus": card.id,
            "corpus_digest": card.data_digest,
        } | {f"guard:{number}": guard.id for number, guard in enumerate(known)}
        flagged = suspects(
            workspace, handle.loaded, known, frozen, pairs, config, on_event,
            doubted=defence is None and config.guard_mode == "selective",
        )  # fmt: skip
        found = defended(workspace, defence, pairs, config, flagged, options)
        asked = {"limit": validate_limit, "seed": config.seed, "options": options}
        with checkpoints(workspace, inputs | {"config": facts}) as kept:
            result = technique.tune(
                handle.loaded,
                found.pairs,
                found.config,
                staged,
                frozen=frozen,
                guards=[guard.folder for guard in known],
                flagged=flagged,
                general=read_general(Path(config.mix)) if config.mix else [],
                turns=found.turns,
                score=suite_score(handle, validate_on, **asked) if validate_on else None,
                checkpoints=kept,
                on_event=on_event,
            )
        return settle_patch(
            workspace,
            staged,
            result,
            verb="tune",
            inputs=inputs,
            facts=facts,
            seed=config.seed,
            note=f"{len(found.pairs)} pairs",
        )


def _facts(
    config: Any,
    guards: Sequence[Guard],
    defence: Defence | None,
    limit: int | None,
    validate_on: str | None,
    validate_limit: int | None,
) -> dict[str, Any]:
    """Return all that a patch depends on beside model and corpus, for its manifest."""
    in_turns = defence is not None and defence.name == "lisa"
    facts: dict[str, Any] = recorded(config, guarded=bool(guards), in_turns=in_turns)
    facts |= {"limit": limit}
    if guards:
        facts |= {"guards": [guard.id for guard in guards]}
    if config.mix:
        facts |= {"mix": Path(config.mix).name, "mix_digest": digest_file(Path(config.mix))}
    if config.early_stop == "score":
        facts |= {"validate_on": validate_on, "validate_limit": validate_limit}
    return facts
