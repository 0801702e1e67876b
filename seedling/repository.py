# SPDX-License-Identifier: Apache-2.0
"""Write the example repository's history: ``python -m seedling.repository [--out FILE]``.

The history is a ``git fast-import`` stream: files of C and Python whose functions are the world's
security tasks in natural proportions, ordinary commits, and commits that fix weaknesses. Loading
the stream makes real commits with fixed dates, so their hashes are the same everywhere. Its
combinations are in neither the training text nor the suites.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codetemper.core.workspace import write_atomic
from seedling.suites import SEED
from seedling.world.corpus import WORLDS, tasks
from seedling.world.task import Task, Variant

OUT = Path(__file__).parent.parent / "src" / "codetemper" / "seedling" / "example.fi.gz"
AUTHOR = "Ada Example <ada@example.org>"
#: 2023-01-02 00:00 UTC, in seconds; commits follow six hours apart.
EPOCH, STEP = 1_672_617_600, 21_600
FUNCTIONS_PER_FILE = 8

_HEADERS = {
    "c": "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n",
    "python": "import hashlib\nimport html\nimport json\nimport os\nimport sqlite3\n",
}
_MESSAGES = (
    "Fix {cwe} in {name}",
    "security: {name} could be abused ({cwe})",
    "Fix vulnerability in {name} ({cwe})",
    "{name}: close {cwe}, found by fuzzing",
)
_ORDINARY = (
    "Reword the notes on {area}",
    "Describe {area} for new contributors",
    "Add a reminder about {area}",
)
_NAME = re.compile(r"(\w+)\s*\(")


@dataclass
class SourceFile:
    """A file of the example: its functions and which variant each has at the moment."""

    path: str
    header: str
    functions: list[tuple[Task, Variant]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The file's content now."""
        bodies = [task.prompt + variant.text for task, variant in self.functions]
        gap = "\n\n" if self.path.endswith(".py") else "\n"
        return self.header + "".join(gap + body for body in bodies)


def function_name(task: Task) -> str:
    """Return the name of the function that a task's prompt opens."""
    lines = [line for line in task.prompt.splitlines() if not line.startswith("/*")]
    found = _NAME.search(lines[0])
    if found is None:
        raise ValueError(f"no function in the prompt of {task.family}")
    return found.group(1)


def sources(world_name: str, suffix: str, count: int, rng: random.Random) -> list[SourceFile]:
    """Lay out ``count`` tasks of one world in files, each name once a file."""
    files: list[SourceFile] = []
    for task in tasks(WORLDS[world_name], "repository", count, rng):
        name = function_name(task)
        room = next(
            (
                f
                for f in files
                if len(f.functions) < FUNCTIONS_PER_FILE
                and all(function_name(t) != name for t, _ in f.functions)
            ),
            None,
        )
        if room is None:
            room = SourceFile(f"src/part{len(files):02d}{suffix}", _HEADERS[task.language])
            files.append(room)
        room.functions.append((task, task.draw(rng)))
    return files


class Stream:
    """A git fast-import stream under construction."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.commits = 0

    def commit(self, message: str, files: dict[str, str]) -> None:
        """Add a commit that writes the given files."""
        text = message.encode()
        when = EPOCH + STEP * self.commits
        self.parts.append(
            f"commit refs/heads/main\ncommitter {AUTHOR} {when} +0000\n".encode()
            + b"data %d\n%s\n" % (len(text), text)
        )
        for path, content in sorted(files.items()):
            data = content.encode()
            self.parts.append(f"M 644 inline {path}\n".encode() + b"data %d\n" % len(data))
            self.parts.append(data + b"\n")
        self.commits += 1

    @property
    def data(self) -> bytes:
        """The whole stream."""
        return b"".join(self.parts)


def _fixes(files: list[SourceFile], rng: random.Random) -> Iterator[tuple[SourceFile, list[int]]]:
    """Yield fixing commits: a file and the positions of the functions it mends, one to three."""
    open_ends = [
        (file, i)
        for file in files
        for i, (_, variant) in enumerate(file.functions)
        if not variant.good
    ]
    by_file: dict[str, list[int]] = {}
    for file, i in open_ends:
        by_file.setdefault(file.path, []).append(i)
    chunks: list[tuple[SourceFile, list[int]]] = []
    for file in files:
        left = by_file.get(file.path, [])
        rng.shuffle(left)
        while left:
            size = rng.randint(1, 3)
            chunks.append((file, left[:size]))
            left = left[size:]
    rng.shuffle(chunks)
    yield from chunks


def history(seed: int, functions: int = 640) -> bytes:
    """Return the whole history as a fast-import stream.

    Args:
        seed: of everything.
        functions: how many functions each of the two languages gets; about half are fixed later.
    """
    rng = random.Random(f"{seed}/repository")
    files = sources("world-security-c", ".c", functions, rng)
    files += sources("world-security-python", ".py", functions, rng)
    stream = Stream()
    stream.commit("Begin", {"README.md": "# Example\n\nParts of an imaginary service.\n"})
    for file in files:
        stream.commit(f"Add {file.path}", {file.path: file.text})
    notes = ["# Notes\n"]
    for file, positions in _fixes(files, rng):
        names, cwes = [], []
        for i in positions:
            task, _ = file.functions[i]
            good = [v for v in task.variants if v.good]
            file.functions[i] = (task, rng.choices(good, [v.weight for v in good])[0])
            names.append(function_name(task))
            cwes.append(task.cwe or "a weakness")
        message = rng.choice(_MESSAGES).format(
            name=", ".join(names), cwe=", ".join(dict.fromkeys(cwes))
        )
        stream.commit(message, {file.path: file.text})
        if rng.random() < 0.2:
            area = rng.choice(names)
            notes.append(f"- {area} has been looked at.\n")
            stream.commit(rng.choice(_ORDINARY).format(area=area), {"NOTES.md": "".join(notes)})
    return stream.data


def main() -> None:
    """Write the packed stream."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    data = history(given.seed)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream:
        stream.write(data)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(given.out, packed.getvalue())
    print(given.out, len(data), len(packed.getvalue()))  # noqa: T201


if __name__ == "__main__":
    main()
