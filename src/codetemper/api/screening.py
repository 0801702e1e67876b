# SPDX-License-Identifier: Apache-2.0
"""The verb ``audit_data``: what guards say of every sample of a file, before anybody learns it.

    found = audit_data(workspace, "bought.jsonl", ["guard-11ab"], quarantine=Path("bad.jsonl"))
    found.card.flagged, found.card.scored, found.card.blocks

The model is the one the guards were made for. Samples are read, scored and written a block at a
time; losses are kept in the cache, so a killed call goes on where it was when it is given again.
What comes out is settled as a screening: Parquet with a row a sample, each with the digest of the
one before; a card; the tokens of the worst samples; and a line in the ledger.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from codetemper.api.models import full_name, opened_base, patch_folders
from codetemper.api.screening_parts import (
    Calibration,
    Source,
    Worst,
    calibration,
    checked_guards,
    json_line,
    read_worst,
    refuse_rate,
    scored_blocks,
)
from codetemper.api.settling import read_settled, settle_card
from codetemper.api.tuning import fix_pairs
from codetemper.core.accounts import DriftBlock, ScreenedRow, ScreeningCard, WorstSample
from codetemper.core.chain import GENESIS, ROWS, link
from codetemper.core.digests import canonical_json, digest_bytes, digest_file
from codetemper.core.disk import write_atomic, writing
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import FixPair, OnEvent, ignore_events
from codetemper.core.stats import wilson
from codetemper.core.tables import TableWriter, rows_digest
from codetemper.core.workspace import Workspace
from codetemper.data.examples import Layout
from codetemper.data.samples import each_sample

if TYPE_CHECKING:
    from codetemper.models.guards import Guard

__all__ = ["Screened", "audit_data", "plan", "read_screenings"]

#: Blocks that a file is divided into to look for drift, and fewest samples of one.
_BLOCKS, _BLOCK_ROWS = 20, 50
_WORST = "worst.json"


@dataclass(frozen=True)
class Screened:
    """A screening and where it lies.

    Attributes:
        card: what it says of itself.
        worst: the samples that the guards say most of, worst first.
        folder: where it lies.
    """

    card: ScreeningCard
    worst: tuple[WorstSample, ...]
    folder: Path


@dataclass(frozen=True)
class _Asked:
    """What a screening reads and writes, looked up and checked.

    Attributes:
        guards: found, of one model.
        model: their model's expression, by full ids.
        under: folders of its patches.
        source: the data.
        clean: clean samples, where they are given.
        outputs: where samples go: ``quarantine`` and ``keep``.
    """

    guards: list[Guard]
    model: str
    under: list[Path]
    source: Source
    clean: Source | None
    outputs: Mapping[str, Path | None]


def audit_data(
    workspace: Workspace,
    data: str,
    guards: Sequence[str],
    *,
    fpr: float | None = None,
    clean: str | None = None,
    quarantine: Path | None = None,
    keep: Path | None = None,
    max_length: int = 1024,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> Screened:
    """Score every sample of a file or corpus with guards; say which are flagged.

    Args:
        workspace: holds the guards; gets the screening and a ledger entry.
        data: file of JSON lines (``data.samples``), or id of a corpus, its beginning, or a folder.
        guards: ids of guards, or their beginnings; all of one model.
        fpr: most that clean samples may be flagged. Without ``clean`` the guards' own thresholds
            must keep to it; where None, those are used, or 0.01 with ``clean``.
        clean: samples known to be clean, like ``data``; thresholds come from these.
        quarantine: gets the flagged samples, a JSON line each, as they came.
        keep: gets the samples that were scored and not flagged, likewise.
        max_length: window, in tokens; longer samples are read in several.
        device: torch device name.
        on_event: progress.
        loaded: a handle of the guards' bare base that is loaded already.

    Raises:
        UsageError: no guard, guards of several models or of another base, data that cannot be read,
            or an output that is an input.
        CannotKnowError: nothing can be scored, or too few clean samples for the rate.
        IntegrityError: a guard is not what was recorded.
    """
    begun = time.monotonic()
    asked = _read(workspace, data, guards, fpr, clean, quarantine, keep)
    layout = Layout(max_length)
    with (
        opened_base(workspace, asked.model, loaded, device=device) as handle,
        workspace.staged("screenings") as folder,
        ExitStack() as files,
    ):
        blocks = scored_blocks(workspace, handle.loaded, asked.guards, asked.under, layout)
        scoring = files.enter_context(blocks)
        limits = calibration(scoring, asked.guards, asked.clean, fpr, on_event)
        writer = files.enter_context(_Writer(folder, limits, quarantine, keep))
        for block in scoring.blocks(asked.source, "audit", on_event):
            writer.add(block)
        if not writer.ratios:
            raise _nothing(asked.source)
        worst = scoring.tokens(writer.worst, limits.thresholds)
        files.close()
        write_atomic(folder / _WORST, canonical_json([w.model_dump(mode="json") for w in worst]))
        card = _card(writer, asked, limits, handle.loaded.digest, layout)
        seconds = round(time.monotonic() - begun, 3)
        card, home = _settle(workspace, folder, card.model_copy(update={"seconds": seconds}), asked)
    return Screened(card, tuple(worst), home)


def _read(
    workspace: Workspace,
    data: str,
    guards: Sequence[str],
    fpr: float | None,
    clean: str | None,
    quarantine: Path | None,
    keep: Path | None,
) -> _Asked:
    """Look up all that is named, and refuse what could not be answered."""
    _refuse_overwriting(data, clean, quarantine, keep)
    found = checked_guards(workspace, guards)
    model = full_name(workspace, found[0].manifest.base)
    asked = _Asked(
        guards=found,
        model=model,
        under=patch_folders(workspace, model),
        source=_open_source(workspace, data),
        clean=None if clean is None else _open_source(workspace, clean),
        outputs={"quarantine": quarantine, "keep": keep},
    )
    refuse_rate(found, asked.clean, fpr)
    return asked


def _open_source(workspace: Workspace, name: str) -> Source:
    """Read all of a file or corpus once, so that what is wrong with it is said first.

    Raises:
        UsageError, IntegrityError: as ``tuning.fix_pairs``.
    """
    path = Path(name)
    if path.is_file():
        rows = 0

        def counted() -> Iterator[FixPair]:
            nonlocal rows
            for pair, _ in each_sample(path):
                rows += 1
                yield pair

        digest = rows_digest(counted())
        return Source(path.name, digest, rows, lambda: each_sample(path))
    card, pairs = fix_pairs(workspace, name)
    return Source(
        card.id,
        card.data_digest,
        card.rows,
        lambda: ((pair, pair.model_dump(mode="json")) for pair in pairs),
    )


def plan(
    workspace: Workspace,
    data: str,
    guards: Sequence[str],
    *,
    fpr: float | None = None,
    clean: str | None = None,
    quarantine: Path | None = None,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Return what ``audit_data`` would read, ask and write; loads no model and writes nothing.

    Raises:
        UsageError, IntegrityError: as ``audit_data``.
    """
    asked = _read(workspace, data, guards, fpr, clean, quarantine, keep)
    return {
        "model": asked.model,
        "guards": [guard.id for guard in asked.guards],
        "data": asked.source.name,
        "samples": asked.source.rows,
        "clean": asked.clean.rows if asked.clean else None,
        "fpr": fpr,
        **{name: str(path) if path else None for name, path in asked.outputs.items()},
    }


class _Writer:
    """Writes rows, quarantined and kept samples as they come, and keeps what the card needs."""

    def __init__(
        self, folder: Path, limits: Calibration, quarantine: Path | None, keep: Path | None
    ) -> None:
        self._limits, self._prev = limits, GENESIS
        self._stack = ExitStack()
        self._table = TableWriter(folder / ROWS, ScreenedRow)
        self._paths = quarantine, keep
        self._files: list[IO[bytes] | None] = []
        self.ratios, self.flags = array("d"), array("b")
        self.worst = Worst()
        self.rows = 0

    def __enter__(self) -> _Writer:
        self._stack.enter_context(self._table)
        self._files = [
            self._stack.enter_context(writing(path)) if path else None for path in self._paths
        ]
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @property
    def head(self) -> str:
        """Seal of the last row."""
        return self._prev

    def add(self, block: Sequence[tuple[Any, dict[str, Any], Any]]) -> None:
        """Take (sample, its object, its scores or None) in order."""
        linked = []
        for pair, given, scored in block:
            flagged = scored is not None and self._limits.flags(scored)
            text = f"{pair.context}{pair.after}".encode()
            row = ScreenedRow(number=self.rows, sample=pair.id, text=digest_bytes(text))
            if scored is not None:
                update = {"tokens": scored.count, "off": scored.off, "ratios": scored.ratio}
                row = row.model_copy(update=update | {"flagged": flagged})
                self.ratios.append(scored.largest)
                self.flags.append(flagged)
                self.worst.offer(self.rows, pair, scored, row.text)
                out = self._files[0 if flagged else 1]
                if out is not None:
                    out.write(json_line(given))
            linked.append(link(row, self._prev))
            self._prev = linked[-1].seal
            self.rows += 1
        self._table.add(linked)

    def drift(self) -> tuple[int, tuple[DriftBlock, ...]]:
        """Return how many scored samples make a block, and the blocks against each other."""
        from codetemper.core.detection import drift

        count = max(1, min(_BLOCKS, len(self.ratios) // _BLOCK_ROWS))
        size = math.ceil(len(self.ratios) / count)
        places = [number // size for number in range(len(self.ratios))]
        return size, tuple(drift(self.ratios, places, [bool(flag) for flag in self.flags]))


def _card(
    writer: _Writer, asked: _Asked, limits: Calibration, digest: str, layout: Layout
) -> ScreeningCard:
    flagged = sum(writer.flags)
    low, high = wilson(flagged, len(writer.ratios))
    size, blocks = writer.drift()
    return ScreeningCard(
        id="",
        model=asked.model,
        model_digest=digest,
        guards=tuple(guard.id for guard in asked.guards),
        data=asked.source.name,
        data_digest=asked.source.digest,
        rows=writer.rows,
        scored=len(writer.ratios),
        flagged=flagged,
        low=low,
        high=high,
        fpr=limits.fpr,
        thresholds=limits.thresholds,
        calibrated=limits.source,
        separation=limits.separation,
        blocks=blocks,
        block_rows=size,
        head=writer.head,
        config={"max_length": layout.max_length, "wrapper": layout.wrapper},
        files={},
    )


def _settle(
    workspace: Workspace, folder: Path, card: ScreeningCard, asked: _Asked
) -> tuple[ScreeningCard, Path]:
    written = {name: path for name, path in asked.outputs.items() if path}
    return settle_card(
        workspace,
        folder,
        "screenings",
        card,
        "audit-data",
        inputs={
            "model": card.model,
            "model_digest": card.model_digest,
            "data": card.data,
            "data_digest": card.data_digest,
            "guards": ", ".join(card.guards),
        },
        note=f"{card.flagged} of {card.scored} samples flagged",
        outputs={f"{name}:{path.name}": digest_file(path) for name, path in written.items()},
    )


def read_screenings(workspace: Workspace) -> list[Screened]:
    """Return the screenings of a workspace, in the order the ledger knows them.

    Raises:
        IntegrityError: one cannot be read.
    """

    def read(card: ScreeningCard, folder: Path) -> Screened:
        return Screened(card, read_worst(folder / _WORST), folder)

    return read_settled(workspace, "screenings", read)


def _refuse_overwriting(
    data: str, clean: str | None, quarantine: Path | None, keep: Path | None
) -> None:
    taken = {Path(name).resolve() for name in (data, clean) if name}
    for path in (quarantine, keep):
        if path is None:
            continue
        if path.resolve() in taken:
            raise UsageError(
                f"{path} is not written",
                why="it is what is read, or the other of --quarantine and --keep",
                mend="name another file",
            )
        taken.add(path.resolve())


def _nothing(source: Source) -> CannotKnowError:
    return CannotKnowError(
        f"nothing can be said of {source.name}",
        why=f"none of its {source.rows} samples has an answer to score",
        mend="give samples with text after their prompt",
    )
