# SPDX-License-Identifier: Apache-2.0
"""The shell families: an intent in words, and the command for it.

The families are the rows of two tables (``shell_files.py``, ``shell_text.py``); this file draws
their parts and makes tasks. Nothing here is ever run: a command is right when it equals an
accepted answer word by word.
"""

from __future__ import annotations

import random

from seedling.world.shell_files import FILE_COMMANDS
from seedling.world.shell_parts import Command, Templates, fill
from seedling.world.shell_text import TEXT_COMMANDS
from seedling.world.task import Family, Task, Variant

COMMANDS: tuple[Command, ...] = FILE_COMMANDS + TEXT_COMMANDS


def _side(templates: Templates, words: dict[str, str], weight: float, right: bool) -> list[Variant]:
    # The first way of a side is the usual one and weighs as much as the others together, or more.
    rest = len(templates) - 1
    parts = [1.0] if not rest else [2 / 3, *[1 / 3 / rest] * rest]
    return [
        Variant(f"{fill(template, words)}\n", right, idiom, round(weight * part, 4))
        for (idiom, template), part in zip(templates, parts, strict=True)
    ]


def _family(command: Command) -> Family:
    def draw(rng: random.Random) -> Task:
        words = command.draw(rng)
        intent = fill(rng.choice(command.intents), words)
        good = _side(command.good, words, 1 - command.share, True)
        bad = _side(command.bad, words, command.share, False)
        return Task(
            family=f"shell.{command.name}",
            key=(*words.values(), intent),
            prompt=f"# {intent}\n",
            variants=(*good, *bad),
            language="shell",
            judge="exact",
            spec={"answers": [variant.text.strip() for variant in good], "normalise": "shell"},
            stop=("\n",),
        )

    return draw


FAMILIES: dict[str, Family] = {f"shell.{command.name}": _family(command) for command in COMMANDS}
"""Every family by name."""

TRANSFER = "shell.find_name_mtime"
"""Kept out of the training text: known from finding by name, by size and by time."""
