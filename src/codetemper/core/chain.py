# SPDX-License-Identifier: Apache-2.0
"""The rows of a screening as a chain: each holds the digest of the one before.

    row = link(row, prev=GENESIS)
    broken_chain(folder, card)        # yields the first row that was changed, by its number

A digest of the whole file tells that something was changed; the chain tells where, and a row that
was quoted elsewhere with its digest can be checked against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from codetemper.core.accounts import ScreenedRow, ScreeningCard
from codetemper.core.digests import digest_json

#: ``prev`` of the first row.
GENESIS: Final = "0" * 64
#: File of the rows.
ROWS: Final = "data.parquet"


def link(row: ScreenedRow, prev: str) -> ScreenedRow:
    """Return a row with the digest of the one before and its own."""
    row = row.model_copy(update={"prev": prev})
    return row.model_copy(update={"seal": _digest(row)})


def broken_chain(folder: Path, card: ScreeningCard) -> Iterator[str]:
    """Yield where the rows of a screening are not the ones that were written; at most one line.

    Args:
        folder: of the screening.
        card: its card, which names the last row's digest.
    """
    import pyarrow as pa

    from codetemper.core.tables import read_table

    prev, number = GENESIS, 0
    try:
        for block in read_table(folder / ROWS, ScreenedRow):
            for row in block:
                if row.number != number or row.prev != prev or row.seal != _digest(row):
                    yield f"row {number} of {ROWS} is not the one that was written"
                    return
                prev, number = row.seal, number + 1
    except (OSError, ValueError, pa.ArrowException) as error:
        yield f"{ROWS} cannot be read: {str(error).splitlines()[0]}"
        return
    if prev != card.head or number != card.rows:
        yield f"{ROWS} ends after {number} rows, but {card.rows} were written"


def _digest(row: ScreenedRow) -> str:
    return digest_json(row.model_dump(mode="json", exclude={"seal"}))
