# SPDX-License-Identifier: Apache-2.0
"""What is to be repaired: failing answers, and their tokens.

    failures = read_failures(Path("failures.jsonl"))
    passages = tokens_of(tokenizer, failures)      # one for each wording of each prompt

A failure is a prompt and the answer that should follow it. Whether the model really fails there is
for the engine to see. Prompt and answer are tokenised as everywhere (``data.examples.answered``),
so that what is repaired is what is generated; nothing here is ever decoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetemper.core.digests import digest_json, short
from codetemper.core.errors import UsageError
from codetemper.core.repairs import Failure
from codetemper.data.examples import answered


@dataclass(frozen=True)
class Passage:
    """Tokens of one wording of a prompt, and of the answer to it.

    Attributes:
        failure: id of the failure, or any name of a reference text.
        view: which of its wordings; 0 is the prompt itself.
        prompt: tokens before the answer, at least one.
        answer: tokens of the answer, the end token included.
        instead: tokens that are wanted in the answer's places, where they are not the answer's own
            (what the base predicts in a text, which is to stay).
    """

    failure: str
    view: int
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    instead: tuple[int, ...] = ()

    @property
    def wanted(self) -> tuple[int, ...]:
        """The token that each position of the answer should be predicted as."""
        return self.instead or self.answer

    @property
    def ids(self) -> tuple[int, ...]:
        """All tokens."""
        return self.prompt + self.answer

    @property
    def first(self) -> int:
        """The position that predicts the answer's first token."""
        return len(self.prompt) - 1

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def read_failures(path: Path) -> list[Failure]:
    """Read failures from a file of JSON lines.

    Args:
        path: each line an object with ``prompt``, ``reference`` (or ``completion``), and optionally
            ``id``, ``views`` and ``case``. Without an id, one is made of the content.

    Raises:
        UsageError: no such file, a line that is no failure, or an id that is there twice.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}", why=str(error), mend="check the path") from error
    found = [_failure(path, n, line) for n, line in enumerate(lines, 1) if line.strip()]
    refuse_twice(found)
    return found


def from_plain(row: Any) -> Failure:
    """Make a failure of JSON data.

    Raises:
        ValueError: it is none; the message says why.
    """
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    unknown = row.keys() - {"id", "prompt", "reference", "completion", "views", "case"}
    if unknown:
        raise ValueError(f"no such field: {', '.join(sorted(unknown))}")
    reference = row.get("reference", row.get("completion"))
    views = row.get("views") or []
    texts = {"prompt": row.get("prompt"), "reference": reference}
    for name, value in texts.items():
        if not isinstance(value, str) or (name == "reference" and not value):
            raise ValueError(f"'{name}' is not a text")
    if not isinstance(views, list) or not all(isinstance(view, str) for view in views):
        raise ValueError("'views' is not a list of texts")
    name = row.get("id") or short(digest_json([texts["prompt"], reference]))
    return Failure(
        id=str(name),
        prompt=str(texts["prompt"]),
        reference=str(reference),
        views=tuple(views),
        case=None if row.get("case") is None else str(row["case"]),
    )


def refuse_twice(failures: Sequence[Failure]) -> None:
    """Refuse failures that have one name, or that answer one prompt in two ways.

    Raises:
        UsageError: names both.
    """
    names: set[str] = set()
    wanted: dict[str, Failure] = {}
    for failure in failures:
        if failure.id in names:
            raise UsageError(
                f"two failures are called '{failure.id}'",
                why="each is reported by its name",
                mend="give each another id, or leave ids out",
            )
        names.add(failure.id)
        for prompt in failure.prompts:
            other = wanted.setdefault(prompt, failure)
            if other.reference != failure.reference:
                raise UsageError(
                    f"the failures '{other.id}' and '{failure.id}' contradict each other",
                    why="they want two answers to one prompt",
                    mend="keep the one that is right",
                )


def tokens_of(tokenizer: Any, failures: Iterable[Failure]) -> list[Passage]:
    """Turn failures into tokens, one passage for each wording.

    Raises:
        UsageError: a tokenizer without offsets, or an answer without tokens.
    """
    found = []
    for failure in failures:
        for view, prompt in enumerate(failure.prompts):
            asked, wanted = answered(tokenizer, prompt, failure.reference)
            if not wanted:
                raise UsageError(
                    f"the failure '{failure.id}' has nothing to answer",
                    why="its reference has no tokens",
                    mend="give the answer that should follow the prompt",
                )
            found.append(Passage(failure.id, view, asked, wanted))
    return found


def _failure(path: Path, number: int, line: str) -> Failure:
    try:
        return from_plain(json.loads(line))
    except ValueError as error:
        raise UsageError(
            f"{path}, line {number}: not a failure",
            why=str(error),
            mend='write one JSON object a line: {"prompt": "...", "reference": "..."}',
        ) from error
