# SPDX-License-Identifier: Apache-2.0
"""The shape of a C security family: word lists and templates that draw into a task.

``c_bounds.py`` and its kin fill in shapes; ``c_security.py`` gathers them.
In every template ``<word>`` stands for a drawn part. This file compiles and runs nothing.
"""

from __future__ import annotations

import math
import random
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seedling.world.task import Task, Variant

NOUNS = (
    "session",
    "user",
    "device",
    "server",
    "account",
    "client",
    "job",
    "order",
    "report",
    "sensor",
    "printer",
    "camera",
    "ticket",
    "route",
    "station",
    "driver",
    "member",
    "vendor",
    "invoice",
    "channel",
)
NUMBERS = ("number", "id", "port", "size", "age", "rank")
TEXTS = ("name", "title", "path", "label", "owner", "city")
ITEMS = ("score", "price", "level", "mark", "weight", "limit")
SIZES = ("16", "20", "24", "32", "40", "48", "64", "80")
COUNTS = ("4", "6", "8", "10", "12", "16", "20", "24")

INCLUDES = """\
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

"""

STOP = tuple(
    f"\n{opening}"
    for opening in (
        "/*",
        "int ",
        "char ",
        "void ",
        "static ",
        "struct ",
        "#",
        "size_t ",
        "long ",
        "const ",
        "unsigned ",
        "FILE ",
    )
)

WRONG_SHARE = 0.06
_WORD = re.compile(r"<([a-z]+)>")


def fill(template: str, words: Mapping[str, str]) -> str:
    """Put the drawn words in the places of a template.

    Args:
        template: text with ``<word>`` places.
        words: what stands for each place.

    Returns:
        The text without places.

    Raises:
        KeyError: a place has no word.
    """
    return _WORD.sub(lambda place: words[place.group(1)], template)


def block(text: str, indent: str = "") -> str:
    """Return an indented literal of this source as C lines, ending with a line break."""
    return textwrap.indent(textwrap.dedent(text).strip(), indent) + "\n"


@dataclass(frozen=True)
class Check:
    """One run of the driver.

    Attributes:
        kind: ``function`` for ordinary input, ``security`` for hostile input.
        argv: templates of the arguments.
        expect: template of standard output, without the last line break.
    """

    kind: str
    argv: tuple[str, ...]
    expect: str


def function(*argv: str, expect: str) -> Check:
    """Return a check with ordinary input."""
    return Check("function", argv, expect)


def security(*argv: str, expect: str = "safe") -> Check:
    """Return a check with hostile input."""
    return Check("security", argv, expect)


@dataclass(frozen=True)
class Shape:
    """A family of C tasks; calling it with a generator draws one task.

    Attributes:
        name: name of the family.
        cwe: weakness of the vulnerable idioms.
        parts: choices of each word; a key ``a b`` with tuples draws words that go together.
        comments: phrasings of the functional need.
        names: patterns of the function's name, which becomes the word ``name``.
        signature: result type, name and parameters.
        secure: bodies by idiom, right and secure.
        vulnerable: bodies by idiom, right on ordinary input only.
        wrong: bodies by idiom, secure but not what was asked for.
        share: share of the vulnerable idioms in the training text.
        prelude: C before the prompt, after the includes.
        driver: C after the completion.
        checks: runs of the driver.
    """

    name: str
    cwe: str
    parts: Mapping[str, Sequence[str] | Sequence[tuple[str, ...]]]
    comments: Sequence[str]
    names: Sequence[str]
    signature: str
    secure: Mapping[str, str]
    vulnerable: Mapping[str, str]
    share: float
    driver: str
    checks: Sequence[Check]
    prelude: str = ""
    wrong: Mapping[str, str] = field(default_factory=dict)

    @property
    def combinations(self) -> int:
        """How many different keys the family has."""
        choices = [len(values) for values in self.parts.values()]
        return math.prod(choices) * len(self.comments) * len(self.names)

    def __call__(self, rng: random.Random) -> Task:
        """Draw one combination."""
        words: dict[str, str] = {}
        for place, values in self.parts.items():
            drawn = rng.choice(values)
            values_drawn = (drawn,) if isinstance(drawn, str) else drawn
            words.update(zip(place.split(), values_drawn, strict=True))
        comment, pattern = rng.choice(self.comments), rng.choice(self.names)
        key = (*words.values(), comment, pattern)
        if "size" in words:
            words |= _lengths(int(words["size"]))
        words["name"] = fill(pattern, words)
        return Task(
            family=self.name,
            key=key,
            prompt=f"/* {fill(comment, words)} */\n{fill(self.signature, words)}\n{{\n",
            variants=self._variants(words),
            language="c",
            judge="compiled",
            spec=self._spec(words),
            stop=STOP,
            cwe=self.cwe,
        )

    def _variants(self, words: Mapping[str, str]) -> tuple[Variant, ...]:
        """Write every idiom; secure ones take what vulnerable and wrong ones leave."""
        wrong = WRONG_SHARE if self.wrong else 0.0
        groups = (
            (self.secure, True, 1.0 - self.share - wrong),
            (self.vulnerable, False, self.share),
            (self.wrong, False, wrong),
        )
        return tuple(
            Variant(f"{fill(block(body, '    '), words)}}}\n", good, idiom, share / len(bodies))
            for bodies, good, share in groups
            for idiom, body in bodies.items()
        )

    def _spec(self, words: Mapping[str, str]) -> dict[str, Any]:
        """Write the specification for the judge ``compiled``."""
        checks = [
            {
                "name": f"{check.kind}-{number}",
                "kind": check.kind,
                "argv": [fill(argument, words) for argument in check.argv],
                "stdin": "",
                "expect_stdout": fill(check.expect, words) + "\n",
                "cwe": self.cwe if check.kind == "security" else None,
            }
            for number, check in enumerate(self.checks, start=1)
        ]
        prelude = fill(block(self.prelude), words) + "\n" if self.prelude else ""
        return {
            "prelude": INCLUDES + prelude,
            "driver": fill(block(self.driver), words),
            "checks": checks,
            "flags": [],
        }


def _lengths(size: int) -> dict[str, str]:
    """Return the words that follow from a buffer size: texts and indices about its end."""
    return {
        "last": str(size - 1),
        "fits": "b" * (size - 1),
        "exact": "A" * size,
        "over": "A" * (size + 9),
        "beyond": str(size + 1),
    }
