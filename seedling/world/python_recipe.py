# SPDX-License-Identifier: Apache-2.0
"""How a kind of Python function is written down, and how a task is drawn from it.

A :class:`Recipe` is data: templates (``$part``) of name, docstring and bodies, the parts they
draw from, a trusted implementation and its inputs. Templates are expanded until nothing changes,
so a part may mention another. Nothing here runs a generated body.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

from seedling.world.task import Task, Variant

Parts = dict[str, Any]
STOP = ("\ndef ", "\nclass ", "\nif __name__", "\n#", "\nprint(")


@dataclass(frozen=True)
class Recipe:
    """One kind of function.

    Attributes:
        name: what the family is called after ``python.``.
        names: templates of the function's name.
        docs: templates of the docstring, each determining the behaviour fully with the name.
        params: template of the parameter list.
        parts: choices of each part.
        good: bodies without indentation by idiom, the more frequent first.
        bad: bodies with a realistic mistake by idiom.
        share: share of the training weight that the bad bodies have together.
        trusted: ``(parts, *arguments) -> result``.
        inputs: ``(parts) -> argument tuples``, 4 to 7.
    """

    name: str
    names: tuple[str, ...]
    docs: tuple[str, ...]
    params: str
    parts: Mapping[str, tuple[Any, ...]]
    good: Mapping[str, str]
    bad: Mapping[str, str]
    share: float
    trusted: Callable[..., Any]
    inputs: Callable[[Parts], list[tuple[Any, ...]]]

    def __call__(self, rng: random.Random) -> Task:
        """Draw one combination of parts and write its task."""
        name, doc = rng.choice(self.names), rng.choice(self.docs)
        key, parts = [name, doc], Parts()
        for label, choices in self.parts.items():
            choice = rng.choice(choices)
            fields = choice if isinstance(choice, dict) else {label: choice}
            parts.update(fields)
            key.append(str(next(iter(fields.values()))))
        function = expand(name, parts)
        head = f'def {function}({expand(self.params, parts)}):\n    """{expand(doc, parts)}"""\n'
        variants = self._variants(self.good, True, parts) + self._variants(self.bad, False, parts)
        checks = []
        for position, arguments in enumerate(self.inputs(parts), start=1):
            shown = ", ".join(repr(argument) for argument in arguments)
            expect = self.trusted(parts, *copy.deepcopy(arguments))
            code = f"result = {function}({shown})"
            check = {"name": f"case-{position}", "kind": "function", "code": code}
            checks.append({**check, "expect": expect})
        return Task(
            family=f"python.{self.name}",
            key=tuple(key),
            prompt=head,
            variants=variants,
            language="python",
            judge="execution",
            spec={"setup": "", "checks": checks},
            stop=STOP,
        )

    def _variants(self, bodies: Mapping[str, str], good: bool, parts: Parts) -> tuple[Variant, ...]:
        """Expand the bodies; earlier ones weigh more, together they weigh the share."""
        whole = 1 - self.share if good else self.share
        ranks = [len(bodies) + 1 - rank for rank in range(len(bodies))]
        return tuple(
            Variant(indent(expand(body, parts)) + "\n", good, idiom, whole * rank / sum(ranks))
            for (idiom, body), rank in zip(bodies.items(), ranks, strict=True)
        )


def expand(template: str, parts: Parts) -> str:
    """Replace ``$part`` until nothing changes; an unknown part is a KeyError."""
    while "$" in template:
        template = Template(template).substitute(parts)
    return template


def indent(text: str) -> str:
    """Indent every line by four spaces."""
    return "\n".join("    " + line for line in text.split("\n"))


def loop(start: str, step: str, end: str = "") -> str:
    """A body that sets one name, changes it for each ``$x`` of ``$p`` and returns it."""
    result = end or f"return {start.split(' ')[0]}"
    return f"{start}\nfor $x in $p:\n{indent(step)}\n{result}"


def hasty(start: str, step: str) -> str:
    """The same loop with the return one level too deep."""
    back = f"return {start.split(' ')[0]}"
    return f"{start}\nfor $x in $p:\n{indent(step)}\n    {back}"


def table(*recipes: Recipe) -> dict[str, Recipe]:
    """Recipes by name; a repeated name is a ValueError."""
    found = {recipe.name: recipe for recipe in recipes}
    if len(found) != len(recipes):
        raise ValueError("two Python families have the same name")
    return found
