# SPDX-License-Identifier: Apache-2.0
"""The verb ``review``: pairs out to people, and what they chose back as a corpus of its own.

    export_pairs(workspace, "pair-3fa9", Path("look.jsonl"), limit=50)
    choices = import_choices(workspace, "pair-3fa9", Path("look.jsonl"))     # review-...

Writing out leaves the workspace as it is. What comes back is a corpus ``review-...`` with
``because="human"``, which ``refine`` takes as ``choices``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from codetemper.api.settling import settle
from codetemper.core.accounts import CorpusCard
from codetemper.core.digests import digest_file
from codetemper.core.disk import write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.records import PreferencePair
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import read_corpus, write_corpus
from codetemper.data.review import LABELS, as_lines, as_tasks, blinded, read_choices

Form = Literal["jsonl", "label-studio"]


@dataclass(frozen=True)
class Exported:
    """What was written for people to look at.

    Attributes:
        corpus: id of the corpus.
        pairs: how many.
        files: the file of rows or tasks; for Label Studio its labelling interface too.
    """

    corpus: str
    pairs: int
    files: tuple[Path, ...]


def preference_pairs(workspace: Workspace, corpus: str) -> tuple[CorpusCard, list[PreferencePair]]:
    """Read a corpus of pairs.

    Args:
        workspace: where ids are looked up.
        corpus: id, or its beginning, or a folder.

    Raises:
        UsageError: no such corpus, or one of other rows.
        IntegrityError: it is not what its card says.
    """
    folder = Path(corpus)
    if not (folder / "card.json").is_file():
        folder = workspace.resolve("corpora", corpus)
    card, rows = read_corpus(folder)
    pairs = [row for row in rows if isinstance(row, PreferencePair)]
    if len(pairs) < len(rows):
        raise UsageError(
            f"the corpus {card.id} holds no pairs of answers",
            why=f"its rows are {card.record}, of which nobody prefers one",
            mend="codetemper ls corpora shows those of PreferencePair; refine makes them",
        )
    return card, pairs


def human_choices(workspace: Workspace, corpus: str) -> tuple[CorpusCard, list[PreferencePair]]:
    """Read a corpus of what people chose.

    Args:
        workspace: where ids are looked up.
        corpus: id, or its beginning, or a folder.

    Raises:
        UsageError: as ``preference_pairs``, or pairs that nobody looked at.
        IntegrityError: it is not what its card says.
    """
    card, pairs = preference_pairs(workspace, corpus)
    other = next((pair.because for pair in pairs if pair.because != "human"), None)
    if other is not None:
        raise UsageError(
            f"the corpus {card.id} holds pairs that nobody chose",
            why=f"one is there because of {other}",
            mend=f"codetemper review {card.id} --out FILE, fill it in, then --choices FILE",
        )
    return card, pairs


def export_pairs(
    workspace: Workspace,
    corpus: str,
    out: Path,
    *,
    form: Form = "jsonl",
    limit: int | None = None,
    seed: int = 0,
) -> Exported:
    """Write pairs for people to look at.

    Args:
        workspace: holds the corpus; it stays as it is.
        corpus: id, or its beginning, or a folder.
        out: the file. For Label Studio the interface is written beside it, ending in ``.xml``.
        form: ``jsonl`` or ``label-studio``.
        limit: write this many pairs, drawn with the seed.
        seed: decides too which answer is left.

    Raises:
        UsageError: no such corpus, one of other rows, or a file that cannot be written.
        IntegrityError: the corpus is not what its card says.
    """
    card, pairs = preference_pairs(workspace, corpus)
    if limit is not None and limit < len(pairs):
        draw = random.Random(seed)  # noqa: S311 (a sample, not a secret)
        pairs = [pairs[at] for at in sorted(draw.sample(range(len(pairs)), limit))]
    rows = blinded(pairs, seed=seed)
    write_atomic(out, as_lines(rows) if form == "jsonl" else as_tasks(rows))
    files = [out]
    if form == "label-studio":
        files.append(out.with_suffix(".xml"))
        write_atomic(files[-1], LABELS.encode())
    return Exported(card.id, len(pairs), tuple(files))


def plan_review(
    workspace: Workspace, corpus: str, *, choices: Path | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Return what ``export_pairs``, or with choices ``import_choices``, would do; writes nothing.

    Raises:
        UsageError: as they do.
        IntegrityError: as they do.
    """
    card, pairs = preference_pairs(workspace, corpus)
    plan: dict[str, Any] = {"dry_run": True, "corpus": card.id}
    if choices is None:
        return plan | {"pairs": min(len(pairs), limit or len(pairs))}
    reviewed = read_choices(choices, pairs)
    return plan | {"pairs": len(reviewed.pairs), "choices": reviewed.counts}


def import_choices(workspace: Workspace, corpus: str, path: Path) -> CorpusCard:
    """Make a corpus of what people chose.

    Args:
        workspace: gets the corpus and a ledger entry.
        corpus: the pairs that ``export_pairs`` wrote out.
        path: the file, filled in, or an export of Label Studio.

    Raises:
        UsageError: a row that is not of these pairs, or nobody chose.
        IntegrityError: the corpus is not what its card says.
    """
    card, pairs = preference_pairs(workspace, corpus)
    reviewed = read_choices(path, pairs)
    told = ", ".join(f"{count} {what}" for what, count in reviewed.counts.items() if count)
    if not reviewed.pairs:
        raise UsageError(
            f"nobody chose an answer in {path}",
            why=f"of {len(pairs)} pairs: {told}",
            mend="write 'left' or 'right' as the choice of some rows",
        )
    inputs = {"corpus": card.id, "corpus_digest": card.data_digest, "choices": digest_file(path)}
    with workspace.staged("corpora") as folder:
        made = write_corpus(
            folder,
            reviewed.pairs,
            verb="review",
            sources=(card.id,),
            counts={"choices": reviewed.counts},
            config=inputs,
        )
        note = f"{len(reviewed.pairs)} pairs chosen by people; {told}"
        settle(workspace, folder, "corpora", made.id, "review", inputs=inputs, note=note)
    return made
