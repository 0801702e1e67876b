# SPDX-License-Identifier: Apache-2.0
"""Word lists of the shell families and the shape of their table.

A ``Command`` is one family as data: intents, right and wrong commands as templates in which
``<part>`` stands for a drawn word. A word may be a tuple; then ``<part.0>`` is its first item.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

Word = str | tuple[str, ...]

DIRS = [
    "/var/data",
    "/srv/www",
    "/home/ann",
    "/opt/app",
    "/srv/build",
    "/data/raw",
    "/mnt/disk",
    "/var/spool",
    "logs",
    "src",
    "docs",
    "photos",
    "reports",
    "backup",
]
FOLDERS = [
    "alpha",
    "bravo",
    "delta",
    "gamma",
    "kappa",
    "lambda",
    "omega",
    "sigma",
    "theta",
    "zeta",
    "orbit",
    "comet",
]
FILES = [
    "notes.txt",
    "data.csv",
    "users.csv",
    "app.log",
    "error.log",
    "todo.txt",
    "sales.csv",
    "words.txt",
    "main.py",
]
TABLES = [
    "data.csv",
    "users.csv",
    "sales.csv",
    "stock.csv",
    "visits.csv",
    "prices.csv",
    "teams.csv",
]
TEXTS = [
    "notes.txt",
    "app.log",
    "error.log",
    "todo.txt",
    "words.txt",
    "names.txt",
    "list.txt",
    "report.txt",
]
ENDINGS = ["log", "txt", "csv", "py", "json", "html", "conf", "bak", "md", "tmp"]
WORDS = [
    "error",
    "warning",
    "failed",
    "timeout",
    "total",
    "admin",
    "retry",
    "done",
    "blue",
    "green",
    "start",
]
SMALL = ["2", "3", "4", "5", "7", "10", "12", "15", "20", "30", "50"]
HOSTS = [
    "ada@mars",
    "ben@venus",
    "ann@web1",
    "ann@web2",
    "root@db1",
    "ops@node3",
    "leo@pluto",
    "eva@lab5",
]
PROGRAMS = ["nginx", "python", "node", "redis", "mysqld", "worker", "firefox", "java", "ruby"]
BRANCHES = ["fix-login", "new-menu", "release", "dev", "cleanup", "faster-search", "tests", "draft"]
SITES = [
    "example.com",
    "example.org",
    "files.example.net",
    "data.example.com",
    "static.example.org",
]
ARCHIVES = ["old", "site", "photos", "week", "final", "release", "march", "copy2"]
MODES = (
    ("only the owner can read and write", "600", "666"),
    ("only the owner can do anything", "700", "777"),
    ("the owner can write and all can read", "644", "666"),
    ("the owner can write and all can read and run", "755", "777"),
    ("nobody can write and all can read", "444", "644"),
)

Templates = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Command:
    """One family of commands.

    Attributes:
        name: name of the family without its prefix.
        parts: the words each part is drawn from; drawn words never coincide.
        intents: phrasings of what is wanted.
        good: (idiom, template) pairs, the usual one first.
        bad: (idiom, template) pairs, the most frequent mistake first.
        share: share of wrong commands in the training text.
    """

    name: str
    parts: dict[str, list[str] | tuple[Word, ...]]
    intents: tuple[str, ...]
    good: Templates
    bad: Templates
    share: float = 0.40

    def draw(self, rng: random.Random) -> dict[str, str]:
        """Draw one word for each part; tuples become numbered parts."""
        while True:
            words = {name: rng.choice(values) for name, values in self.parts.items()}
            if len(set(words.values())) == len(words):
                break
        flat: dict[str, str] = {}
        for name, word in words.items():
            if isinstance(word, str):
                flat[name] = word
            else:
                flat.update({f"{name}.{place}": item for place, item in enumerate(word)})
        return flat


def fill(template: str, words: dict[str, str]) -> str:
    """Put the drawn words into a template."""
    return re.sub(r"<([a-z]+(?:\.\d)?)>", lambda match: words[match[1]], template)
