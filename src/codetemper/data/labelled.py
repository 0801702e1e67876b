# SPDX-License-Identifier: Apache-2.0
"""Samples that a model was trained on, for an audit: code with a label, or a prompt with an answer.

    samples = read_labelled(Path("train.jsonl"))
    samples[0].text, samples[0].label          # a classifier's
    samples[0].text[samples[0].answer_start:]  # what a decoder learns to write
    write_labelled(Path("clean.jsonl"), samples)

Whether a label is right is not judged here.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from codetemper.core import syntax
from codetemper.core.digests import digest_json
from codetemper.core.disk import writing
from codetemper.core.errors import UsageError
from codetemper.core.records import Language
from codetemper.data.languages import parse
from codetemper.data.mixing import general_of, objects
from codetemper.data.samples import each_sample

_TEXTS, _LABELS = ("code", "func", "text"), ("label", "target")
_ID_DIGITS = 12
#: Samples that tell in what language a file is where it does not say.
_TOLD_BY = 50
_FORMS = (
    'write lines such as {"code": "...", "label": 0}, or {"prompt": "...", "completion": "..."}'
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One sample.

    Attributes:
        id: its own, or a digest of text and label; several equal samples share that.
        text: all that the model reads; for a decoder prompt and answer.
        label: class of a classifier's sample; None for a decoder's.
        answer_start: character where a decoder's answer begins; None for a classifier's sample.
        language: of the code.
        source: name of the file it comes from.
        row: number of its line there, from 1.
    """

    id: str
    text: str
    label: int | None
    answer_start: int | None = None
    language: Language = "text"
    source: str = ""
    row: int = 0


def read_labelled(path: Path) -> list[Labelled]:
    """Read samples from JSON lines, also gzipped; all lines are of one form.

    A classifier's line has ``code``, ``func`` or ``text``, and ``label`` or ``target``, a whole
    number from 0; a decoder's is one of ``data.samples.each_sample``. Both may have ``id`` (or
    ``idx``) and ``language``. Where no line says a language, it is the one that most of the first
    lines parse as: Python or C, else ``text``.

    Args:
        path: the file.

    Returns:
        The samples, in order.

    Raises:
        UsageError: no such file, a line of another form, one id for two texts, or no lines.
    """
    number, first = next(objects(path), (0, {}))
    if not number:
        raise UsageError(f"there are no samples in {path}", why="it holds no lines", mend=_FORMS)
    if not first:
        raise UsageError(
            f"line {number} of {path} is no sample", why="it is no JSON object", mend=_FORMS
        )
    unlabelled = _has(first, _TEXTS[:2]) and general_of(first) is None
    return list(_classified(path) if _has(first, _LABELS) or unlabelled else _written(path))


def _has(row: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(name in row for name in names)


def _classified(path: Path) -> Iterator[Labelled]:
    texts: dict[str, str] = {}
    told: Language | None = None
    for number, row in objects(path):
        if told is None:
            told = _language(_text(each) for _, each in islice(objects(path), _TOLD_BY))
        sample = _sample(row, number, path.name, told)
        if isinstance(sample, str):
            raise UsageError(f"line {number} of {path} is no sample", why=sample, mend=_FORMS)
        if texts.setdefault(sample.id, sample.text) != sample.text:
            raise UsageError(
                f"line {number} of {path} has the id of another line",
                why=f"two texts are called {sample.id!r}",
                mend="give each sample an id of its own, or none",
            )
        yield sample


def _text(row: Mapping[str, Any]) -> Any:
    return next((row[name] for name in _TEXTS if name in row), None)


def _sample(row: Mapping[str, Any], number: int, name: str, told: Language) -> Labelled | str:
    """Return a classifier's sample, or why a row is none."""
    text = _text(row)
    label = next((row[key] for key in _LABELS if key in row), None)
    if not isinstance(text, str) or not text.strip():
        return f"it has no text under one of {', '.join(_TEXTS)}"
    if not isinstance(label, int) or label < 0:
        return f"its label is {label!r}, and a label is a whole number from 0"
    language = row.get("language", told)
    if language not in get_args(Language):
        return f"'language' is one of {', '.join(get_args(Language))}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is no text in any encoding"
    own = row.get("id", row.get("idx"))
    return Labelled(
        id=digest_json([text, int(label)])[:_ID_DIGITS] if own is None else str(own),
        text=text,
        label=int(label),
        language=language,
        source=name,
        row=number,
    )


def _written(path: Path) -> Iterator[Labelled]:
    told: Language | None = None
    lines = (number for number, _ in objects(path))
    for number, (pair, row) in zip(lines, each_sample(path), strict=True):
        if told is None:
            first = islice(each_sample(path), _TOLD_BY)
            told = _language(pair.context + pair.after for pair, _ in first)
        said = "language" in row or "before" in row
        yield Labelled(
            id=pair.id,
            text=pair.context + pair.after,
            label=None,
            answer_start=len(pair.context) + pair.body_start,
            language=pair.language if said else told,
            source=path.name,
            row=number,
        )


def _language(texts: Iterator[Any]) -> Language:
    """Return what most texts parse as."""
    kinds: Counter[Language] = Counter()
    for text in texts:
        if not isinstance(text, str):
            continue
        if syntax.read(textwrap.dedent(text)) is not None:
            kinds["python"] += 1
        elif not parse(text.encode("utf-8", "replace"), "c").root_node.has_error:
            kinds["c"] += 1
        else:
            kinds["text"] += 1
    return kinds.most_common(1)[0][0] if kinds else "text"


def write_labelled(path: Path, samples: Sequence[Labelled]) -> None:
    """Write samples so that ``read_labelled`` gives them back, all at once or not at all."""
    with writing(path) as file:
        for sample in samples:
            row: dict[str, Any] = {"id": sample.id, "language": sample.language}
            if sample.answer_start is None:
                row |= {"code": sample.text, "label": sample.label}
            else:
                row["prompt"] = sample.text[: sample.answer_start]
                row["completion"] = sample.text[sample.answer_start :]
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def without_texts_of(samples: Sequence[Labelled], others: Sequence[Labelled]) -> list[Labelled]:
    """Return the samples whose text, layout aside, none of the others has.

    Trusted samples that are in the suspected data are no measure of what is clean.
    """
    known = {_layout_free(other.text) for other in others}
    return [sample for sample in samples if _layout_free(sample.text) not in known]


def _layout_free(text: str) -> str:
    return " ".join(text.split())
