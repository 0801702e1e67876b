# SPDX-License-Identifier: Apache-2.0
"""What every record is made of, and what a stage says of its progress.

Import ``Record``, ``Event``, ``OnEvent`` and ``ignore_events`` from ``codetemper.core.records``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pydantic import BaseModel, ConfigDict

from codetemper.core.digests import digest_json


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields, versioned, digestible."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: int = 1
    """Version of this record's form; readers refuse versions they do not know."""

    def digest(self) -> str:
        """Return the SHA-256 of the record's canonical JSON (64 hexadecimal digits)."""
        return digest_json(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse and validate one JSON document."""
        return cls.model_validate_json(text)


class Event(BaseModel):
    """Progress of a stage, handed to an ``on_event`` callback; never stored with results."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    stage: str
    """What is being done, e.g. ``generate``, ``judge``, ``mine``, ``train``."""
    done: int = 0
    """Units finished so far."""
    total: int | None = None
    """Units in all, where known."""
    unit: str = "items"
    """What is counted."""
    note: str = ""
    """A short remark, e.g. the current loss."""


OnEvent = Callable[[Event], None]


def ignore_events(event: Event) -> None:
    """Take an event and do nothing: the default ``on_event``."""
