# SPDX-License-Identifier: Apache-2.0
"""What every judge says of itself and what every judge can be told.

A judge module has ``CARD``, ``Spec`` (the record of ``Case.spec``) and
``judge(items, *, options, on_event)``. This file holds the two records they share and the reading
of a spec; it runs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Language, Record

Item = tuple[Case, Completion]
"""One thing to judge."""
Items = Sequence[Item]
SpecRecord = TypeVar("SpecRecord", bound=Record)


class JudgeCard(Record):
    """What a judge says of itself."""

    name: str
    """Name that ``Case.judge`` uses."""
    version: str
    """Changes whenever a verdict could change; part of ``Verdict.judge`` and of cache keys."""
    summary: str
    """One sentence: what it decides and how."""
    languages: tuple[Language, ...]
    """Languages it can judge."""
    needs: tuple[str, ...] = ()
    """Programs that must be installed, e.g. ``bwrap``, ``gcc``."""

    @property
    def signature(self) -> str:
        """Name and version, as a verdict carries them."""
        return f"{self.name}/{self.version}"


class JudgeOptions(Record):
    """How judges run code that nobody trusts."""

    sandbox: Literal["bwrap", "container", "none"] = "bwrap"
    """Isolation. ``none`` runs the code with the caller's rights and is announced loudly."""
    workers: int = Field(default=2, ge=1)
    """Sandboxes side by side; one a core is right."""
    timeout_s: float = Field(default=5.0, gt=0.0)
    """Wall seconds one check may take; a completion gets at most twice that in all."""
    memory_mb: int = Field(default=512, ge=64)
    """Memory one check may use, in MiB."""
    static: bool = True
    """Whether findings of analysers that ``doctor --qualify`` qualified make a completion
    insecure."""
    cache: Path | None = Field(default=None, exclude=True)
    """Folder for results that follow from texts alone; no part of what a verdict depends on."""


def default_workers() -> int:
    """Return one worker per core this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def read_spec(record: type[SpecRecord], case: Case) -> SpecRecord:
    """Validate ``case.spec`` against a judge's own record.

    Raises:
        UsageError: the spec has an unknown key, lacks one, or holds a value of the wrong type.
    """
    try:
        return record.model_validate(case.spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "spec"
        raise UsageError(
            f"case '{case.id}' cannot be judged: its spec is not one of judge '{case.judge}'",
            why=f"{where}: {first['msg']}",
            mend=f"correct 'spec' of that case; its form is {record.__module__}.{record.__name__}",
        ) from error
