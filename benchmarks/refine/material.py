# SPDX-License-Identifier: Apache-2.0
"""Training, validation and held-out cases of the refinement benchmark, drawn from the world.

Everything that is sampled from, paired or validated on is of the world's split ``repository``; the
shipped suites, which are tested on, are of ``eval``; the seedling itself was trained on ``train``.
No combination is in two of them. Some *families* are left out of training and validation too:
their cases in the shipped suite tell whether what was learnt carries over. The family that the
shipped suites call ``transfer`` is one that the seedling has never seen at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from codetemper.core.digests import digest_json, short
from codetemper.core.records import Case
from codetemper.evaluate import suites
from seedling.world.corpus import WORLDS, tasks
from seedling.world.task import Task

#: One family in so many is left out of training and validation.
LEFT_OUT_OF: Final = 6


@dataclass(frozen=True)
class Track:
    """One kind of task.

    Attributes:
        world: suite that is trained for, and tested on.
        metric: what a refinement of it is to raise.
        also: suites that must not lose.
        train: training prompts.
        validation: cases that rounds are compared on.
    """

    world: str
    metric: str
    also: tuple[str, ...] = ()
    train: int = 500
    validation: int = 160


TRACKS: Final = {
    "python": Track("world-python", "pass@1"),
    "sql": Track("world-sql", "exec_match"),
    "security-python": Track("world-security-python", "secure_pass@1", ("world-python",)),
    "security-c": Track("world-security-c", "secure_pass@1", ("world-python",)),
}


@dataclass(frozen=True)
class Material:
    """What one seed of a track works with.

    Attributes:
        train: suite of the training prompts, as ``refine`` takes it.
        validation: suite that rounds are compared on.
        left_out: families of which neither holds a case.
        also: suites of prompts of the worlds that must not lose, half as many each.
    """

    train: str
    validation: str
    left_out: frozenset[str]
    also: tuple[str, ...] = ()


def left_out(world: str, seed: int) -> frozenset[str]:
    """Draw the families that are not trained on, beside the one the seedling never saw."""
    whole = WORLDS[world]
    names = [name for name in sorted(whole.families) if name != whole.transfer]
    rng = random.Random(f"{seed}/left-out/{world}")  # noqa: S311
    return frozenset(rng.sample(names, max(1, len(names) // LEFT_OUT_OF)))


def write(track: Track, seed: int, folder: Path) -> Material:
    """Write the suites of one seed.

    Args:
        track: what is trained for.
        seed: draws the families that are left out and the cases.
        folder: gets ``train`` and ``validation``; what lies there already is written again, the
            bytes depend on track and seed alone.
    """
    without, found = _drawn(track.world, seed, track.train + track.validation)
    return Material(
        _written(track.world, "train", found[: track.train], folder),
        _written(track.world, "validation", found[track.train :], folder),
        without,
        tuple(
            _written(world, "train", _drawn(world, seed, track.train // 2)[1], folder)
            for world in track.also
        ),
    )


def _drawn(world: str, seed: int, wanted: int) -> tuple[frozenset[str], list[Case]]:
    """Return the families that are left out, and cases of the others, in any order."""
    without, whole = left_out(world, seed), WORLDS[world]
    kept = {name: family for name, family in whole.families.items() if name not in without}
    rng = random.Random(f"{seed}/refine/{world}")  # noqa: S311
    found = [
        case_of(task) for task in tasks(replace(whole, families=kept), "repository", wanted, rng)
    ]
    if len(found) < wanted:
        raise ValueError(f"{world} has {len(found)} cases of the repository, not {wanted}")
    rng.shuffle(found)
    return without, found


def _written(world: str, part: str, cases: Sequence[Case], folder: Path) -> str:
    card, name = suites.load(world, limit=1).card, f"{world}-{part}"
    changes = {
        "name": name, "cases": f"{name}.jsonl.gz", "source": f"{card.source}, repository",
    }  # fmt: skip
    suites.write(card.model_copy(update=changes), cases, folder, by="benchmarks/refine")
    return f"suite:{folder / name}.yaml"


def few(world: str, folder: Path) -> str:
    """Write the first cases of a shipped suite as one of their own; return its name.

    ``refine`` tests on it in the end, since it must test on something: the whole suite is asked by
    the benchmark itself.
    """
    shipped = suites.load(world)
    name = f"{world}-few"
    card = shipped.card.model_copy(update={"name": name, "cases": f"{name}.jsonl.gz"})
    suites.write(card, shipped.cases[:4], folder, by="benchmarks/refine")
    return f"suite:{folder / name}.yaml"


def families_of(world: str) -> dict[str, tuple[str, str]]:
    """Return family and split of each case of a shipped suite, by id."""
    return {case.id: (case.family, case.split) for case in suites.load(world).cases}


def of_families(world: str, families: Iterable[str]) -> frozenset[str]:
    """Return the ids of the cases of a shipped suite that belong to some families."""
    chosen = frozenset(families)
    return frozenset(name for name, (family, _) in families_of(world).items() if family in chosen)


def never_seen(world: str) -> frozenset[str]:
    """Return the ids of the cases of the family that the seedling never saw."""
    return frozenset(n for n, (_, split) in families_of(world).items() if split == "transfer")


def case_of(task: Task) -> Case:
    """Return a task as a case, with its best answer as the reference."""
    best: Sequence[str] = [
        way.text for way in sorted(task.variants, key=lambda way: -way.weight) if way.good
    ]
    return Case(
        id=f"{task.family}/{short(digest_json([task.family, list(task.key)]))}",
        prompt=task.prompt,
        language=task.language,
        judge=task.judge,
        spec=task.spec,
        stop=task.stop,
        reference=best[0],
        cwe=task.cwe,
        family=task.family,
    )
