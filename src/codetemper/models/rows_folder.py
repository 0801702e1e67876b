# SPDX-License-Identifier: Apache-2.0
"""A ``rows`` patch as a folder: which rows or columns of which weights, and their new values.

    rows.json          what each part replaces and where
    rows.safetensors   NAME: new values; NAME@index: their places, where a part is not the whole

So where all parts are whole weights, ``model.load_state_dict(load_file("rows.safetensors"),
strict=False)`` is all a stranger needs. ``read_rows`` checks that the two files fit together;
whether they fit a model is for ``rows`` to say, which puts them on; ``patch`` adds the manifest.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from codetemper.core.errors import IntegrityError
from codetemper.core.records import Record

ROWS_INDEX = "rows.json"
ROWS_WEIGHTS = "rows.safetensors"
#: Ending of the tensor with the places of a part that is not a whole weight.
INDEX = "@index"


class RowsPart(Record):
    """A changed part of one weight."""

    weight: str
    """Its name in the model."""
    shape: tuple[int, ...]
    """Shape of the whole weight."""
    axis: Literal[0, 1] | None
    """0: rows are replaced; 1: columns; None: the whole weight."""
    places: int | None = None
    """How many rows or columns are replaced; None with the whole weight."""
    replaced: str
    """SHA-256 of the old values of this part, as ``patch.tensor_digest`` takes it."""

    @property
    def own_shape(self) -> tuple[int, ...]:
        """Shape of the replaced part."""
        if self.axis is None or self.places is None:
            return self.shape
        return tuple(
            self.places if axis == self.axis else size for axis, size in enumerate(self.shape)
        )


class RowsFolder(Record):
    """What ``rows.json`` says."""

    parts: tuple[RowsPart, ...]
    """One for each changed weight, sorted by name."""

    @property
    def numbers(self) -> int:
        """Numbers that are replaced, over all parts."""
        return sum(math.prod(part.own_shape) for part in self.parts)


def read_rows(folder: Path) -> RowsFolder:
    """Read and check a rows folder; no values are loaded but the indices.

    Raises:
        IntegrityError: files that are missing, damaged or do not fit each other.
    """
    path = folder / ROWS_INDEX
    try:
        listed = RowsFolder.from_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise _broken(path, str(error).splitlines()[0]) from error
    path = folder / ROWS_WEIGHTS
    try:
        with safe_open(path, framework="pt") as tensors:
            known = set(tensors.keys())
            for part in listed.parts:
                known -= {part.weight, part.weight + INDEX}
                if part.axis is not None:
                    _check_index(path, part, tensors.get_tensor(part.weight + INDEX).tolist())
                if tuple(tensors.get_slice(part.weight).get_shape()) != part.own_shape:
                    raise _broken(path, f"the values of {part.weight} have another shape")
    except (SafetensorError, OSError) as error:
        raise _broken(path, str(error)) from error
    names = [part.weight for part in listed.parts]
    if known or names != sorted(set(names)):
        raise _broken(path, f"{ROWS_INDEX} does not list its tensors, each once and in order")
    return listed


def _check_index(path: Path, part: RowsPart, places: list[int]) -> None:
    if part.axis is None or part.axis >= len(part.shape) or len(places) != part.places:
        raise _broken(path, f"the index of {part.weight} does not fit {ROWS_INDEX}")
    if not places or places != sorted(set(places)):
        raise _broken(path, f"the index of {part.weight} is not a sorted list of places")
    if not 0 <= places[0] <= places[-1] < part.shape[part.axis]:
        raise _broken(path, f"the index of {part.weight} points outside of it")


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is damaged",
        why=why,
        mend="restore it from a copy, or make the patch again from the ledger's inputs",
    )
