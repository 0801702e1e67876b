# SPDX-License-Identifier: Apache-2.0
"""What verbs that train hand to their technique: pairs, flags, a score, checkpoints.

Techniques import neither suites nor judges nor the workspace, so they come as functions, values
and folders from here. What a technique wrote becomes a patch of the workspace here, too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from codetemper.api.greedy import greedy_verdicts
from codetemper.api.settling import settle
from codetemper.core.accounts import CorpusCard, PatchManifest
from codetemper.core.digests import digest_json
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Event, FixPair, OnEvent
from codetemper.core.tables import rows_digest
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import read_corpus
from codetemper.data.samples import read_samples
from codetemper.evaluate import scorecards, suites
from codetemper.judges import JudgeOptions

if TYPE_CHECKING:
    from codetemper.models.guards import Guard


def first_process() -> bool:
    """Whether this process is the only one, or the first of those ``accelerate`` launched."""
    return int(os.environ.get("RANK", "0")) == 0


def fix_pairs(workspace: Workspace, corpus: str) -> tuple[CorpusCard, list[FixPair]]:
    """Read a corpus of fix pairs, or a file of samples.

    Args:
        workspace: where ids are looked up.
        corpus: id, or its beginning, or a folder, or a file of JSON lines (``data.samples``).

    Returns:
        Its card, and all its pairs in order. Of a file the card is made here: its id is the file's
        name, its digest that of the rows, as in a corpus.

    Raises:
        UsageError: no such corpus, or one of other rows, or lines that are no samples.
        IntegrityError: it is not what its card says.
    """
    folder = Path(corpus)
    if folder.is_file():
        samples = read_samples(folder)
        return CorpusCard(
            id=folder.name,
            rows=len(samples),
            record=FixPair.__name__,
            data_digest=rows_digest(samples),
            files={},
            sources=(folder.name,),
        ), samples
    if not (folder / "card.json").is_file():
        folder = workspace.resolve("corpora", corpus)
    card, rows = read_corpus(folder)
    pairs = [row for row in rows if isinstance(row, FixPair)]
    if len(pairs) < len(rows):
        raise UsageError(
            f"the corpus {card.id} cannot be tuned on",
            why=f"it holds {card.record} rows, tune learns from FixPair rows",
            mend="make one with: codetemper mine REPOSITORY",
        )
    return card, pairs


def recorded(config: Any, *, guarded: bool, in_turns: bool = False) -> dict[str, Any]:
    """Return a configuration of ``tune`` as a manifest holds it.

    Args:
        config: the configuration.
        guarded: whether guards are used; else settings of them are left out, which say nothing.
        in_turns: whether secure samples take turns; likewise.
    """
    from codetemper.harden.tune import GUARDED, IN_TURNS

    silent = (() if guarded else GUARDED) + (() if in_turns else IN_TURNS)
    values: dict[str, Any] = config.model_dump(mode="json")
    return {name: value for name, value in values.items() if name not in silent}


def guards_named(workspace: Workspace, names: Sequence[str]) -> list[Guard]:
    """Find guards by id or beginning; none where none is named.

    Raises:
        UsageError, IntegrityError: as ``screening_parts.checked_guards``.
    """
    from codetemper.api.screening_parts import checked_guards

    return checked_guards(workspace, names) if names else []


def suspects(
    workspace: Workspace,
    model: Any,
    guards: Sequence[Guard],
    under: Sequence[Path],
    pairs: Sequence[FixPair],
    config: Any,
    on_event: OnEvent,
    *,
    doubted: bool = False,
) -> frozenset[str] | None:
    """Say which pairs guards flag, each by the threshold that it was calibrated to.

    Args:
        workspace: keeps scores for the next time.
        model: the base, loaded.
        guards: for it.
        under: patch folders that are active meanwhile.
        pairs: what could be learnt.
        config: of ``tune``.
        on_event: progress.
        doubted: flag that of which a guard has something to say (``harden.screening.spoken_of``),
            for guards that are on for these only; else what is held to be bad.

    Returns:
        Ids of pairs; None where there are no guards, or where they tell no threshold and the mode
        does not go by flags.

    Raises:
        CannotKnowError: a guard tells no threshold, and the mode is ``selective``.
    """
    from codetemper.api.screening_parts import BLOCK, scored_blocks
    from codetemper.harden.screening import doubt_of, flagged, spoken_of, threshold_of
    from codetemper.harden.tune import layout_of, learnable

    if not guards:
        return None
    try:
        says: Callable[..., bool] = flagged
        if doubted:
            says = partial(spoken_of, opposed=config.opposed_share, seed=config.seed)
        limits = [
            (doubt_of(one.manifest) if doubted else threshold_of(one.manifest)[0]) for one in guards
        ]
    except CannotKnowError as error:
        if config.guard_mode != "selective":
            return None
        raise CannotKnowError(
            error.what, why=error.why, mend="make the guard again, or use --guard-mode always"
        ) from error
    asked = [pair for pair in pairs if learnable(pair, config)]
    found: set[str] = set()
    with scored_blocks(workspace, model, guards, under, layout_of(config)) as scorer:
        for begin in range(0, len(asked), BLOCK):
            block = asked[begin : begin + BLOCK]
            scored = scorer.score(block)
            found |= {one.id for one in scored if one is not None and says(one, limits)}
            done = min(begin + BLOCK, len(asked))
            on_event(Event(stage="screen", done=done, total=len(asked), unit="samples"))
    return frozenset(found)


def suite_score(
    handle: Any, name: str, *, limit: int | None, seed: int, options: JudgeOptions | None
) -> Callable[[object], float]:
    """Return a function that says how well the handle's model does on a suite as it is then.

    One completion a case, greedily decoded; counted are those that work and resist, or where the
    suite shows no security, those that work.

    Args:
        handle: the model; what is attached to it meanwhile counts.
        name: suite, by shipped name or ``FORMAT:PATH``.
        limit: use this many of its cases.
        seed: draws them.
        options: of the judges.
    """
    suite = suites.load(name, limit=limit, seed=seed)
    metrics = [metric.partition("@")[0] for metric in suite.card.metrics]
    metric = next((m for m in ("secure_pass", *metrics) if m in metrics), "pass")

    def score(_: object) -> float:
        verdicts = greedy_verdicts(handle, suite, options)
        return sum(scorecards.good(metric, v) is True for v in verdicts) / len(verdicts)

    return score


@contextmanager
def checkpoints(workspace: Workspace, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Give the folder of checkpoints of one training; it is deleted when training has ended.

    A killed training leaves it, and the same command finds it again: it is named by the digest of
    everything that decides what is learnt.

    Args:
        workspace: holds the folder in its cache.
        facts: plain JSON data: model, corpus, configuration.

    Raises:
        UsageError: another process trains the same at this moment.
    """
    name = f"tune-{digest_json(facts)[:16]}"
    folder = workspace.cache / "checkpoints" / name
    if not first_process():
        yield folder
        return
    with workspace.lock(name, timeout_s=1.0):
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def settle_patch(
    workspace: Workspace,
    staged: Path,
    result: Any,
    *,
    verb: str,
    inputs: Mapping[str, str],
    facts: dict[str, Any],
    seed: int,
    note: str,
    purpose: Literal["inference", "train-only"] = "inference",
    technique: str | None = None,
) -> PatchManifest:
    """Make what a technique wrote a patch of the workspace, with its ledger entry.

    Args:
        workspace: gets both; of several processes only the first writes to it.
        staged: folder of ``workspace.staged`` with the tensors.
        result: of the technique; its ``seconds`` and ``report()`` are told.
        verb: what trained.
        inputs: of the ledger entry; ``model`` and ``corpus`` with their digests are the manifest's.
        facts: the configuration, and all else that decides what is learnt.
        seed: of the training.
        note: of the ledger entry; the number of parameters is added to it.
        purpose: what the patch may be used for.
        technique: the file that made it; None: it is named like the verb.

    Raises:
        UsageError, IntegrityError: as ``models.patch.save_patch``.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.models.patch import save_patch

    manifest = save_patch(
        staged,
        verb=verb,
        technique=technique or verb,
        base=inputs["model"],
        base_digest=inputs["model_digest"],
        corpus=inputs["corpus"],
        corpus_digest=inputs["corpus_digest"],
        config=facts,
        purpose=purpose,
        seconds=round(result.seconds, 3),
        seed=seed,
        report=result.report(),
    )
    if first_process():
        told = f"{note}, {manifest.parameters_changed} parameters"
        settle(workspace, staged, "patches", manifest.id, verb, inputs=inputs, note=told)
    return manifest
