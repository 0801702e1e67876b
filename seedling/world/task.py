# SPDX-License-Identifier: Apache-2.0
"""What a task of the world is, and how its combinations are split.

A *family* is a function ``(rng) -> Task`` that draws one random combination of parts. The parts
that make it what it is form its ``key``; the split is decided by a digest of family and key, so
that an evaluation case is a combination the training text never holds. The families live beside
this file, one file a domain; ``corpus.py`` writes text and suites from them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from codetemper.core.digests import digest_json

Split = Literal["train", "eval", "repository"]


@dataclass(frozen=True)
class Variant:
    """One way to complete a task's prompt.

    Attributes:
        text: the completion: what follows the prompt, ending with a line break.
        good: right (and, where security is at stake, secure).
        idiom: a name for the way it is done, e.g. ``snprintf`` or ``off-by-one``.
        weight: relative frequency in the training text (natural proportions, not equal ones).
    """

    text: str
    good: bool
    idiom: str
    weight: float = 1.0


@dataclass(frozen=True)
class Task:
    """One combination: a prompt, the ways people complete it, and the case that judges them.

    Attributes:
        family: name of the family, e.g. ``c.copy_field``.
        key: the parts that make this combination; never empty, never a mere random number.
        prompt: comment or docstring plus signature; prompt + variant is whole code.
        variants: at least one good and one bad.
        language: as in ``codetemper.core.records.Case``.
        judge: name of the judge of the case.
        spec: the judge's specification.
        stop: strings that end a completion.
        cwe: weakness at stake, or None.
    """

    family: str
    key: tuple[str, ...]
    prompt: str
    variants: tuple[Variant, ...]
    language: Literal["python", "c", "sql", "shell"]
    judge: str
    spec: dict[str, Any] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    cwe: str | None = None

    @property
    def split(self) -> Split:
        """Where this combination belongs: 1 in 8 to evaluation, 1 in 8 to the repository."""
        bucket = int(digest_json([self.family, list(self.key)])[:8], 16) % 8
        return {0: "eval", 1: "repository"}.get(bucket, "train")  # type: ignore[return-value]

    def draw(self, rng: random.Random) -> Variant:
        """Draw a variant in natural proportions."""
        return rng.choices(self.variants, [v.weight for v in self.variants])[0]


Family = Callable[[random.Random], Task]
