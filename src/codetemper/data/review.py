# SPDX-License-Identifier: Apache-2.0
"""Pairs for people to look at, and what they chose: JSON lines, or tasks of Label Studio.

    write_atomic(out, as_lines(blinded(pairs, seed=0)))      # left and right, nothing tells which
    reviewed = read_choices(out, pairs)                      # pairs because="human"

A row has ``pair``, ``case``, ``language``, ``prompt``, ``left``, ``right`` and ``choice``, which is
``left``, ``right`` or ``neither``; an empty one is still open. Rows of one pair that choose
differently say nothing. Of Label Studio both exports are read, JSON and JSON-MIN. What tells the
two answers apart is never in a row; the seed decides which is left.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetemper.core.digests import digest_json
from codetemper.core.errors import UsageError
from codetemper.core.records import PreferencePair
from codetemper.data.mixing import objects
from codetemper.data.pairs import pair_id

CHOICES = ("left", "right", "neither")

#: The labelling interface that the tasks are made for: Label Studio, Settings, Labeling Interface.
LABELS = """\
<View>
  <Header value="Which answer is better?"/>
  <Text name="prompt" value="$prompt"/>
  <View style="display: grid; grid-template-columns: 1fr 1fr; gap: 1em">
    <View><Header value="left" size="5"/><Text name="left" value="$left"/></View>
    <View><Header value="right" size="5"/><Text name="right" value="$right"/></View>
  </View>
  <Choices name="choice" toName="prompt" choice="single" showInline="true">
    <Choice value="left"/>
    <Choice value="right"/>
    <Choice value="neither"/>
  </Choices>
</View>
"""


@dataclass(frozen=True)
class Reviewed:
    """What people chose.

    Attributes:
        pairs: those somebody chose of, in the order of the corpus.
        counts: pairs by what became of them: ``kept``, ``turned`` (the worse answer was chosen),
            ``neither``, ``open``, ``divided`` (rows choose differently).
    """

    pairs: list[PreferencePair]
    counts: dict[str, int]


def blinded(pairs: Iterable[PreferencePair], *, seed: int) -> Iterator[dict[str, str]]:
    """Yield a row for each pair, its answers left and right by chance.

    Args:
        pairs: what to look at.
        seed: decides which answer is left.
    """
    for pair in pairs:
        sides = [pair.chosen, pair.rejected]
        if int(digest_json([seed, pair.id]), 16) % 2:
            sides.reverse()
        yield {
            "pair": pair.id,
            "case": pair.case,
            "language": pair.language,
            "prompt": pair.prompt,
            "left": sides[0],
            "right": sides[1],
        }


def as_lines(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return rows as JSON lines, each with an empty ``choice`` to fill in."""
    return b"".join(_json({**row, "choice": ""}) + b"\n" for row in rows)


def as_tasks(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return rows as a file of tasks that Label Studio imports; ``LABELS`` shows them."""
    return b"[\n" + b",\n".join(_json({"data": dict(row)}) for row in rows) + b"\n]\n"


def _json(row: Mapping[str, Any]) -> bytes:
    # Half of a surrogate pair, which UTF-8 cannot hold, becomes JSON's escape of it.
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")


def read_choices(path: Path, pairs: Sequence[PreferencePair]) -> Reviewed:
    """Read what people chose.

    Args:
        path: JSON lines as ``as_lines`` writes them, filled in; or an export of Label Studio.
        pairs: the pairs they were asked about; some may be missing in the file.

    Returns:
        Pairs with ``because="human"``. What is wrong with the worse answer is kept where people
        chose as the pair had it, and unknown where they turned it round.

    Raises:
        UsageError: no such file, or a row that is not of these pairs; it is named.
    """
    known = {pair.id: pair for pair in pairs}
    votes: dict[str, set[str]] = defaultdict(set)
    for place, row, words in _rows(path):
        pair = known.get(str(row.get("pair")))
        if pair is None:
            raise _bad(
                place,
                f"the corpus has no pair {row['pair']!r}" if "pair" in row else "it names no pair",
                "name the corpus that the file was written from, and fill in 'choice' alone",
            )
        if {row.get("left"), row.get("right")} != {pair.chosen, pair.rejected}:
            raise _bad(
                place,
                f"its answers are not those of the pair {pair.id}",
                "leave 'left' and 'right' as they were written, and fill in 'choice' alone",
            )
        for word in words:
            choice = word.strip().lower() if isinstance(word, str) else ""
            if choice in ("left", "right"):
                choice = "kept" if row[choice] == pair.chosen else "turned"
            elif choice != "neither":
                mend = f"choose one of {', '.join(CHOICES)}, or leave it empty"
                raise _bad(place, f"its choice is {word!r}", mend)
            votes[pair.id].add(choice)
    return _reviewed(pairs, votes)


def _reviewed(pairs: Sequence[PreferencePair], votes: Mapping[str, set[str]]) -> Reviewed:
    counts = Counter({"kept": 0, "turned": 0, "neither": 0, "open": 0, "divided": 0})
    chosen = []
    for pair in pairs:
        said = votes.get(pair.id, set())
        choice = "open" if not said else "divided" if len(said) > 1 else next(iter(said))
        counts[choice] += 1
        if choice in ("kept", "turned"):
            chosen.append(_by_human(pair, turned=choice == "turned"))
    return Reviewed(chosen, dict(counts))


def _by_human(pair: PreferencePair, *, turned: bool) -> PreferencePair:
    better, worse = pair.chosen, pair.rejected
    known: dict[str, Any] = {"because": "human"}
    if turned:
        better, worse = worse, better
        known |= {
            "chosen": better,
            "rejected": worse,
            "chosen_count": pair.rejected_count,
            "rejected_count": pair.chosen_count,
            "failure": None,
        }
    known["id"] = pair_id(pair.case, pair.prompt, better, worse, "human")
    return pair.model_copy(update=known)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any], list[Any]]]:
    """Yield where a row stands, the row, and the choices made in it."""
    tasks = _tasks(path)
    if tasks is None:
        for number, row in objects(path):
            yield f"line {number} of {path}", row, _given(row)
        return
    for number, task in enumerate(tasks, 1):
        place = f"task {number} of {path}"
        if not isinstance(task, dict):
            raise _bad(place, "it is no object", "export from Label Studio as JSON or JSON-MIN")
        data = task.get("data")
        if isinstance(data, dict):
            yield place, data, [word for made in _annotations(task) for word in _labels(made)]
        else:
            yield place, task, _given(task)


def _given(row: Mapping[str, Any]) -> list[Any]:
    return [] if row.get("choice") in (None, "") else [row["choice"]]


def _annotations(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what people made of a task and did not cancel."""
    made = task.get("annotations")
    return [
        one
        for one in (made if isinstance(made, list) else [])
        if isinstance(one, dict) and not one.get("was_cancelled")
    ]


def _labels(annotation: Mapping[str, Any]) -> Iterator[Any]:
    results = annotation.get("result")
    for result in results if isinstance(results, list) else []:
        if isinstance(result, dict) and result.get("from_name") == "choice":
            value = result.get("value")
            words = value.get("choices") if isinstance(value, dict) else None
            yield from words if isinstance(words, list) else [words]


def _tasks(path: Path) -> list[Any] | None:
    """Return the tasks of a file that is one JSON list; None of any other."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}", why=str(error), mend="name the file that was filled in"
        ) from error
    if not data.lstrip().startswith(b"["):
        return None
    try:
        tasks = json.loads(data)
    except ValueError as error:
        raise UsageError(
            f"{path} is not JSON",
            why=str(error),
            mend="export from Label Studio as JSON or JSON-MIN",
        ) from error
    return tasks if isinstance(tasks, list) else None


def _bad(place: str, why: str, mend: str) -> UsageError:
    return UsageError(f"{place} is no choice between two answers", why=why, mend=mend)
