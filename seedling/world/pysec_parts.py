# SPDX-License-Identifier: Apache-2.0
"""The parts that every Python security family is built from.

A ``Pattern`` is a declarative family: word slots, a prompt, bodies by idiom and checks, all written
as ``string.Template`` text. Calling it with a random generator draws one ``Task``. The checks judge
by behaviour: each sets up its surroundings in an empty working directory, calls the function and
assigns plain data to ``result``. Nothing here runs a program; the execution judge does.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from textwrap import indent
from typing import Any

from seedling.world.task import Task, Variant

#: Imports of every program of the suite, so that bodies stay short.
SETUP = """\
import ast, hashlib, hmac, html, json, os, pickle, random, re, secrets, shlex
import sqlite3, string, subprocess, tempfile
from pathlib import Path
from urllib.parse import urlsplit
"""
STOP = ("\ndef ", "\nclass ", "\nif __name__", "\n#", "\nprint(")
#: Idioms of bodies that are secure but do the wrong thing start with this.
WRONG = "wrong-"
#: Share of the drawn bodies that are secure but wrong, in families that have such a body.
WRONG_SHARE = 0.06


@dataclass(frozen=True)
class Check:
    """One check of a family: code that assigns ``result``, and the result to expect."""

    name: str
    code: str
    expect: Any
    security: bool = False


def expects(name: str, code: str, expect: Any) -> Check:
    """Return a function check."""
    return Check(name, code, expect)


def resists(name: str, code: str, expect: Any = False) -> Check:
    """Return a security check; by default ``result`` says whether the attack got through."""
    return Check(name, code, expect, security=True)


def attack(call: str, *hostile: str) -> str:
    """Return code that makes ``call`` with each hostile value and gathers what came back.

    Args:
        call: an expression that uses the variable ``hostile``.
        hostile: expressions, one for each hostile value.

    Returns:
        Code that fills the list ``seen``; a call that raises leaves None, for it refused.
    """
    return (
        f"seen = []\nfor hostile in [{', '.join(hostile)}]:\n"
        f"    try:\n        seen.append({call})\n"
        "    except Exception:\n        seen.append(None)\n"
    )


@dataclass(frozen=True)
class Pattern:
    """A family as data; call it to draw a task.

    Attributes:
        name: name of the family, e.g. ``python.find_rows``.
        cwe: weakness at stake.
        slots: slot to its possible values; values may mention other slots. ``call`` is the
            function's name and ``doc`` its docstring.
        parameters: the parameter list.
        secure: idiom to body; earlier idioms are more frequent.
        vulnerable: idiom to body; these do the job, and fall to an attack.
        checks: function and security checks.
        wrong: idiom to body that is secure but does the wrong thing.
        vulnerable_share: share of the drawn bodies that are vulnerable.
    """

    name: str
    cwe: str
    slots: Mapping[str, tuple[str, ...]]
    parameters: str
    secure: Mapping[str, str]
    vulnerable: Mapping[str, str]
    checks: tuple[Check, ...]
    wrong: Mapping[str, str] = field(default_factory=dict)
    vulnerable_share: float = 0.5

    @property
    def combinations(self) -> int:
        """Number of distinct keys."""
        draws = itertools.product(*self.slots.values())
        return len({self._key(dict(zip(self.slots, draw, strict=True))) for draw in draws})

    def __call__(self, rng: random.Random) -> Task:
        """Draw one combination of the slots."""
        parts = {slot: rng.choice(values) for slot, values in self.slots.items()}
        checks = [
            {
                "name": check.name,
                "kind": "security" if check.security else "function",
                "code": _fill(check.code, parts),
                "expect": _fill_data(check.expect, parts),
                "cwe": self.cwe if check.security else None,
            }
            for check in self.checks
        ]
        return Task(
            family=self.name,
            key=self._key(parts),
            prompt=_fill(self._prompt, parts),
            variants=self._variants(parts),
            language="python",
            judge="execution",
            spec={"setup": SETUP, "checks": checks},
            stop=STOP,
            cwe=self.cwe,
        )

    @property
    def _prompt(self) -> str:
        return f'def $call({self.parameters}):\n    """$doc"""\n'

    def _key(self, parts: Mapping[str, str]) -> tuple[str, ...]:
        # Only slots that show count: otherwise one text could be in two splits.
        bodies = (*self.secure.values(), *self.vulnerable.values(), *self.wrong.values())
        text = "\n".join((self._prompt, *bodies))
        shown: set[str] = set()
        while new := set(Template(text).get_identifiers()) - shown:
            shown |= new
            text = "\n".join(parts[slot] for slot in new)
        return tuple(value for slot, value in parts.items() if slot in shown)

    def _variants(self, parts: Mapping[str, str]) -> tuple[Variant, ...]:
        wrong_share = WRONG_SHARE if self.wrong else 0.0
        groups = (
            (self.secure, True, "", 1 - self.vulnerable_share - wrong_share),
            (self.vulnerable, False, "", self.vulnerable_share),
            (self.wrong, False, WRONG, wrong_share),
        )
        return tuple(
            Variant(indent(_fill(body, parts), "    ") + "\n", good, prefix + idiom, weight)
            for bodies, good, prefix, share in groups
            for (idiom, body), weight in zip(
                bodies.items(), _falling(len(bodies), share), strict=True
            )
        )


def _falling(count: int, share: float) -> list[float]:
    """Split ``share`` into ``count`` weights in the proportions count : ... : 2 : 1."""
    total = count * (count + 1) / 2
    return [share * (count - place) / total for place in range(count)]


def _fill(text: str, parts: Mapping[str, str]) -> str:
    # Values of slots may mention other slots, two levels deep (doc -> call -> noun).
    for _ in range(3):
        text = Template(text).substitute(parts)
    return text


def _fill_data(value: Any, parts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _fill(value, parts)
    if isinstance(value, list):
        return [_fill_data(item, parts) for item in value]
    return value
