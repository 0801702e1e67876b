# SPDX-License-Identifier: Apache-2.0
"""Load suites: a named, versioned set of cases.

A suite is named by its shipped name (``world-python``) or by ``FORMAT:PATH``: ``suite:`` for our
own YAML, others in ``formats`` (``docs/formats.md`` lists them). Loading checks everything and runs
nothing.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml
from pydantic import ValidationError

from codetemper.core.digests import canonical_json, digest_bytes, digest_json, short
from codetemper.core.disk import write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.plugins import did_you_mean
from codetemper.core.records import Case, SuiteCard
from codetemper.evaluate import formats


@dataclass(frozen=True)
class Suite:
    """A card and its cases.

    Attributes:
        card: what the suite says of itself.
        cases: in the order of the file.
        digest: SHA-256 over the cases; two runs are comparable only where it is equal.
    """

    card: SuiteCard
    cases: tuple[Case, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the cases' canonical JSON."""
        return digest_json([case.model_dump(mode="json") for case in self.cases])


def shipped() -> list[str]:
    """Return the names of the suites in the package."""
    folder = resources.files("codetemper.suites")
    return sorted(
        p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")
    )


def load(name: str, *, limit: int | None = None, seed: int = 0) -> Suite:
    """Load a suite by shipped name or ``FORMAT:PATH``.

    Args:
        name: e.g. ``world-sql``, ``suite:my/suite.yaml``, ``humaneval:HumanEval.jsonl.gz``.
        limit: keep this many cases, drawn with ``seed`` and left in the file's order.
        seed: of the draw.

    Raises:
        UsageError: unknown name or format, missing file, a key the format does not have, no cases.
    """
    kind, colon, path = name.partition(":")
    if colon:
        suite = _own(Path(path), name) if kind == "suite" else Suite(*formats.read(kind, path))
    elif name in shipped():
        with resources.as_file(resources.files("codetemper.suites")) as folder:
            suite = _own(folder / f"{name}.yaml", name)
    else:
        raise UsageError(
            f"there is no suite named '{name}'",
            why=did_you_mean(name, shipped()) or "it is not among the shipped suites",
            mend=f"take one of {', '.join(shipped())}, or FORMAT:PATH",
        )
    if not suite.cases:
        raise UsageError(
            f"the suite '{name}' has no cases",
            why="its file of cases is empty",
            mend="check the file the card names under 'cases'",
        )
    return drawn(suite, limit, seed)


def drawn(suite: Suite, limit: int | None, seed: int) -> Suite:
    """Return a suite with this many of its cases, drawn with a seed and left in their order."""
    if limit is None or limit >= len(suite.cases):
        return suite
    draw = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    kept = sorted(draw.sample(range(len(suite.cases)), max(1, limit)))
    return Suite(suite.card, tuple(suite.cases[i] for i in kept))


def write(card: SuiteCard, cases: Iterable[Case], out: Path, *, by: str) -> str:
    """Write a suite as ``NAME.yaml`` and the gzipped JSON Lines its card names.

    The bytes depend on card and cases alone.

    Args:
        card: names the file of cases.
        cases: in the order they are to have.
        out: folder to write to.
        by: the command that writes it, for the card's header.

    Returns:
        Short digest of the cases' text.
    """
    lines = [canonical_json(case.model_dump(mode="json")) for case in cases]
    text = b"\n".join(lines) + b"\n"
    write_atomic(out / card.cases, gzip.compress(text, mtime=0))
    body = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, width=100)
    write_atomic(out / f"{card.name}.yaml",
                 f"# {card.summary}\n# Written by: {by}\n{body}".encode())  # fmt: skip
    return short(digest_bytes(text))


def budget(name: str) -> int:
    """Return the longest completion that a suite's card asks for, in tokens."""
    return load(name, limit=1).card.max_new_tokens


def _own(card_path: Path, name: str) -> Suite:
    try:
        raw = yaml.safe_load(card_path.read_text("utf-8"))
        card = SuiteCard.model_validate(raw)
    except OSError as error:
        raise UsageError(
            f"cannot read the suite card {card_path}", why=str(error), mend="check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"{card_path} is not YAML", why=why, mend="mend the file") from error
    except ValidationError as error:
        raise _bad(f"the suite card {card_path}", error, list(SuiteCard.model_fields)) from error
    cases = []
    for number, line in enumerate(formats.read_lines(card_path.parent / card.cases), 1):
        try:
            cases.append(Case.from_json(line))
        except ValidationError as error:
            where = f"case {number} of '{name}'"
            raise _bad(where, error, list(Case.model_fields)) from error
    names = [case.id for case in cases]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise UsageError(
            f"the suite '{name}' has two cases named '{twice}'",
            why="ids must be unique",
            mend="rename one of them",
        )
    return Suite(card, tuple(cases))


def _bad(what: str, error: ValidationError, known: list[str]) -> UsageError:
    reasons = []
    for problem in error.errors():
        key = ".".join(map(str, problem["loc"]))
        hint = did_you_mean(key, known) if problem["type"] == "extra_forbidden" else ""
        reasons.append(f"{key}: {problem['msg']}{f' ({hint})' if hint else ''}")
    return UsageError(
        f"{what} is not valid", why="; ".join(reasons), mend=f"known keys: {', '.join(known)}"
    )
