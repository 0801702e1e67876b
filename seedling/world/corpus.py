# SPDX-License-Identifier: Apache-2.0
"""Training text and evaluation cases of the world, drawn from its families with one seed.

``documents`` yields training text (prompt + one variant in natural proportions), ``cases`` the
evaluation cases of a suite. A combination is in one of them, never in both: ``Task.split``
decides, and each suite's ``transfer`` family is in no training text at all. The same seed gives
the same text and the same cases, on any machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from codetemper.core.digests import digest_json, short
from codetemper.core.records import Case, Language
from seedling.world import c_security, python_functions, python_security, shell, sql
from seedling.world.task import Family, Split, Task

#: Share of a suite's cases that come from its held-out family.
TRANSFER_SHARE = 0.05
#: Draws without a new combination after which a family counts as exhausted.
PATIENCE = 400


@dataclass(frozen=True)
class World:
    """One suite's families and how much of them to write.

    Attributes:
        families: all families by name, the held-out one among them.
        transfer: name of the held-out family.
        language: of prompts and completions.
        summary: one sentence for the suite's card.
        metrics: what a scorecard of the suite reports.
        cases: evaluation cases to draw.
        documents: training documents at scale 1.
        max_new_tokens: completion budget of the suite.
    """

    families: dict[str, Family]
    transfer: str
    language: Language
    summary: str
    metrics: tuple[str, ...]
    cases: int
    documents: int
    max_new_tokens: int


_SECURITY = ("secure@1", "pass@1", "secure_pass@1", "valid@1")

WORLDS: dict[str, World] = {
    "world-python": World(
        python_functions.FAMILIES,
        python_functions.TRANSFER,
        "python",
        "Small Python functions, judged by tests.",
        ("pass@1", "valid@1"),
        400,
        40_000,
        128,
    ),
    "world-security-c": World(
        c_security.FAMILIES,
        c_security.TRANSFER,
        "c",
        "C functions that can be written with or without a memory or injection weakness, "
        "judged by tests and by exploit inputs under sanitizers.",
        _SECURITY,
        240,
        26_000,
        224,
    ),
    "world-security-python": World(
        python_security.FAMILIES,
        python_security.TRANSFER,
        "python",
        "Python functions that can be written with or without an injection, path, crypto or "
        "deserialisation weakness, judged by tests and by attack inputs.",
        _SECURITY,
        240,
        22_000,
        160,
    ),
    "world-sql": World(
        sql.FAMILIES,
        sql.TRANSFER,
        "sql",
        "Questions over small schemas, judged by executing the query.",
        ("exec_match", "valid@1"),
        240,
        20_000,
        112,
    ),
    "world-shell": World(
        shell.FAMILIES,
        shell.TRANSFER,
        "shell",
        "Intents to shell commands, judged by equality of words with an accepted answer.",
        ("exact_match",),
        240,
        14_000,
        64,
    ),
}


def tasks(world: World, split: Split, count: int, rng: random.Random) -> list[Task]:
    """Draw ``count`` distinct tasks of one split, evenly over the families but the held-out one.

    A family that has no new combination left after ``PATIENCE`` draws is passed over, so fewer
    than ``count`` may come back.
    """
    names = [name for name in sorted(world.families) if name != world.transfer]
    seen: set[tuple[str, ...]] = set()
    drawn: list[Task] = []
    while names and len(drawn) < count:
        for name in list(names):
            task = _unseen(world.families[name], split, seen, rng)
            if task is None:
                names.remove(name)
                continue
            drawn.append(task)
    return drawn[:count]


def _unseen(
    family: Family, split: Split | None, seen: set[tuple[str, ...]], rng: random.Random
) -> Task | None:
    for _ in range(PATIENCE):
        task = family(rng)
        identity = (task.family, *task.key)
        if identity not in seen and split in (None, task.split):
            seen.add(identity)
            return task
    return None


def documents(seed: int, scale: float = 1.0) -> Iterator[str]:
    """Yield the training documents of all worlds, shuffled together.

    Combinations repeat with other variants, as real code repeats; evaluation and repository
    combinations and the held-out families never appear.
    """
    texts: list[str] = []
    for name, world in WORLDS.items():
        rng = random.Random(f"{seed}/documents/{name}")
        trained = [world.families[f] for f in sorted(world.families) if f != world.transfer]
        wanted = int(world.documents * scale)
        while wanted > 0:
            task = rng.choice(trained)(rng)
            if task.split == "train":
                texts.append(task.prompt + task.draw(rng).text)
                wanted -= 1
    random.Random(f"{seed}/order").shuffle(texts)
    yield from texts


def cases(name: str, seed: int) -> list[Case]:
    """Draw the evaluation cases of one suite: unseen combinations, then the held-out family."""
    world = WORLDS[name]
    rng = random.Random(f"{seed}/cases/{name}")
    transfer_count = round(world.cases * TRANSFER_SHARE)
    combination = tasks(world, "eval", world.cases - transfer_count, rng)
    seen: set[tuple[str, ...]] = set()
    held_out = [
        task
        for _ in range(transfer_count)
        if (task := _unseen(world.families[world.transfer], None, seen, rng)) is not None
    ]
    return [_case(task, "combination") for task in combination] + [
        _case(task, "transfer") for task in held_out
    ]


def _case(task: Task, split: str) -> Case:
    best = max((v for v in task.variants if v.good), key=lambda v: v.weight)
    identity = short(digest_json([task.family, list(task.key)]))
    return Case(
        id=f"{task.family}/{identity}",
        prompt=task.prompt,
        language=task.language,
        judge=task.judge,
        spec=task.spec,
        stop=task.stop,
        reference=best.text,
        cwe=task.cwe,
        family=task.family,
        split=split,  # type: ignore[arg-type]
    )
