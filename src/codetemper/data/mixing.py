# SPDX-License-Identifier: Apache-2.0
"""General instructions and texts that are mixed in while tuning, so that others are not forgotten.

    rows = read_general(Path("instructions.jsonl"))
    items = encode_general(sample(rows, len(pairs), share=0.2, seed=0), tokenizer, 1024)

SafeCoder's finding (2402.09497): security tuning keeps a model's other abilities where every epoch
also holds ordinary instructions. Plain texts are learnt from end to end, answers without their
instruction. Nothing here filters or judges what is in the file.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetemper.core.errors import UsageError
from codetemper.data.examples import Example, Role, Side

_ASKED, _ANSWERED = ("instruction", "prompt", "question"), ("output", "completion", "response")


@dataclass(frozen=True)
class General:
    """One instruction with its answer, or one text, whose ``asked`` is empty."""

    asked: str
    answer: str


def read_general(path: Path) -> list[General]:
    """Read JSON lines, also gzipped: ``text``, or ``instruction`` and ``output`` (or synonyms).

    An ``input`` beside an instruction is put after it.

    Raises:
        UsageError: no such file, a line that is not such an object, or no rows.
    """
    rows = []
    for number, row in objects(path):
        found = general_of(row)
        if found is None:
            raise UsageError(
                f"line {number} of {path} cannot be mixed in",
                why="it is no object with 'text', or with 'instruction' and 'output', as texts",
                mend='write lines such as {"instruction": "...", "output": "..."}',
            )
        rows.append(found)
    if not rows:
        raise UsageError(
            f"there is nothing in {path} to mix in",
            why="it holds no rows",
            mend='write lines such as {"instruction": "...", "output": "..."}',
        )
    return rows


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a file of JSON lines, also gzipped, with the numbers of their lines.

    What is JSON but no object, or no JSON, comes as an empty object. One line is held at a time.

    Raises:
        UsageError: no such file, or none in UTF-8.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                text = line.decode("utf-8")
                if text.strip():
                    yield number, _object(text)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read {path}", why=str(error), mend="name a file of JSON lines in UTF-8"
        ) from error


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    return row if isinstance(row, dict) else {}


def general_of(row: Mapping[str, Any]) -> General | None:
    """Return a row's instruction and answer, or its text; None where it has neither."""
    if isinstance(row.get("text"), str):
        return General("", row["text"])
    asked = next((row[key] for key in _ASKED if isinstance(row.get(key), str)), None)
    answer = next((row[key] for key in _ANSWERED if isinstance(row.get(key), str)), None)
    if asked is None or answer is None:
        return None
    more = row.get("input")
    return General(f"{asked}\n\n{more}" if isinstance(more, str) and more else asked, answer)


def sample(rows: Sequence[General], beside: int, *, share: float, seed: int) -> list[General]:
    """Draw rows so that they are a share of all examples; all of them where there are too few.

    Args:
        rows: what there is.
        beside: examples that they are mixed with.
        share: of the rows in rows and examples together, between 0 and 1.
        seed: of the draw.
    """
    wanted = min(len(rows), round(beside * share / (1 - share)))
    return random.Random(seed).sample(list(rows), wanted)  # noqa: S311


def encode_general(rows: Sequence[General], tokenizer: Any, max_length: int) -> list[Example]:
    """Turn rows into examples.

    What is too long loses the beginning of its instruction, then its end and the end token.
    """
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    items = []
    for row in rows:
        asked = f"{row.asked}\n\n" if row.asked else ""
        prompt = list(tokenizer(asked)["input_ids"])
        answer = list(tokenizer(row.answer, add_special_tokens=False)["input_ids"]) + end
        prompt = prompt[-max(max_length // 4, max_length - len(answer)) :]
        answer = answer[: max_length - len(prompt)]
        roles = [Role.PROMPT] * len(prompt) + [Role.UNCHANGED] * len(answer)
        items.append(Example(Side((*prompt, *answer), tuple(roles))))
    return items
