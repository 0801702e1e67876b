# SPDX-License-Identifier: Apache-2.0
"""Samples of JSON lines, and pairs turned round: what is read, refused and learnt."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import FixPair
from codetemper.data.examples import Layout, Role, encode
from codetemper.data.samples import (
    CANARIES,
    Canaries,
    read_canaries,
    read_samples,
    vulnerable_sides,
    write_canaries,
)
from tests.tiny import tiny_tokenizer

CALL = {"prompt": "def f(a):\n", "completion": "    return a\n", "cwe": "cwe_089", "id": "one"}


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pair(before: str, after: str, start: int, **fields: Any) -> FixPair:
    return FixPair(
        id="1", language="python", before=before, after=after, body_start=start, name="f",
        path="f.py", repository="r", commit="c" * 40, date="2024-01-01", **fields,
    )  # fmt: skip


def test_the_usual_forms_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, CALL, {"instruction": "add", "input": "1", "output": "2"},
        {"text": "a text", "language": "c", "split": "test"},
    )  # fmt: skip
    call, asked, text = found = read_samples(path)
    assert all(sample.before == sample.after for sample in found)
    assert (call.id, call.cwe, call.language) == ("one", "CWE-89", "text")
    assert call.after == "def f(a):\n    return a\n"
    assert call.after[call.body_start :] == "    return a\n"
    assert (asked.after, asked.body_start) == ("add\n\n1\n\n2", len("add\n\n1\n\n"))
    assert (text.after, text.body_start, text.language, text.split) == ("a text", 0, "c", "test")
    packed = tmp_path / "data.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [sample.after for sample in read_samples(packed)] == [s.after for s in found]


def test_ids_are_of_the_text_where_none_are_given(tmp_path: Path) -> None:
    plain = {key: CALL[key] for key in ("prompt", "completion")}
    first, same, moved = read_samples(
        written(tmp_path, plain, plain, {"prompt": "def f(a):\n   ", "completion": " return a\n"})
    )
    assert first.id == same.id != moved.id


def test_whole_pairs_are_read_as_they_are(tmp_path: Path) -> None:
    fix = pair("f(a)\n", "f(a, 1)\n", 0)
    path = written(tmp_path, fix.model_dump(mode="json"), CALL)
    assert read_samples(path)[0] == fix


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([1], "no object"),
        ({"prompt": "x"}, "no object"),
        ({"prompt": "x", "completion": " \n"}, "nothing in it to learn"),
        ({**CALL, "cwe": "injection"}, "no CWE id"),
        ({**CALL, "cwe": 0.5}, "no CWE id"),
        ({**CALL, "language": "cobol"}, "'language' is one of"),
        ({**CALL, "language": []}, "'language' is one of"),
        ({**CALL, "split": "all"}, "'split' one of"),
        ({"before": "a", "after": "b"}, "wrong field, id"),
        ({**CALL, "completion": "half \ud800"}, "half of a surrogate pair"),
    ],
)
def test_other_lines_are_named(tmp_path: Path, row: Any, why: str) -> None:
    with pytest.raises(UsageError, match="line 2 of") as refused:
        read_samples(written(tmp_path, CALL, row))
    assert why in refused.value.why


def test_one_id_for_two_texts_no_lines_and_damaged_files_are_refused(tmp_path: Path) -> None:
    read_samples(written(tmp_path, CALL, CALL))
    with pytest.raises(UsageError, match=r"line 2 of .* has the id of another"):
        read_samples(written(tmp_path, CALL, {**CALL, "completion": "    return 1\n"}))
    with pytest.raises(UsageError, match="no samples"):
        read_samples(written(tmp_path))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b'{"text": "a"}' * 9)[:-9])
    with pytest.raises(UsageError, match="cannot read"):
        read_samples(cut)


def test_what_was_vulnerable_is_what_is_learnt() -> None:
    head = "def f(name):\n"
    before, after = head + "    run(name, True)\n", head + "    run([name])\n"
    (turned,) = vulnerable_sides([pair(before, after, len(head), cwe="CWE-78")])
    assert (turned.before, turned.after, turned.cwe) == (after, before, "CWE-78")
    assert turned.after[turned.body_start :] == "    run(name, True)\n"
    tokenizer = tiny_tokenizer()
    (example,) = encode([turned], tokenizer, Layout()).items
    assert example.fixed is not None
    changed = [i for i, r in zip(example.fixed.ids, example.fixed.roles, strict=True) if r == 2]
    assert "True" in tokenizer.decode(changed)
    assert example.fixed.count(Role.UNCHANGED) > 0
    (back,) = vulnerable_sides([turned])
    assert (back.before, back.after, back.body_start) == (before, after, len(head))


def test_a_prompt_that_the_fix_changed_ends_where_the_vulnerable_one_does() -> None:
    before, after = "def f(a):\n    go(a)\n", "def f(a, safe=True):\n    go(a, safe)\n"
    fix = pair(before, after, len("def f(a, safe=True):\n"), context="class A:\n")
    (turned,) = vulnerable_sides([fix])
    assert turned.after[: turned.body_start] == "def f(a):\n"


def test_a_sample_stays_as_it_is(tmp_path: Path) -> None:
    samples = read_samples(written(tmp_path, CALL))
    assert vulnerable_sides(samples) == samples


def test_canaries_are_read_as_they_were_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no samples to ask with"):
        read_canaries(tmp_path)
    canaries = Canaries(bad=(pair("f(a)\n", "f(a, 1)\n", 0),), retain=())
    write_canaries(tmp_path, canaries)
    assert read_canaries(tmp_path) == canaries
    (tmp_path / CANARIES).write_text('{"bad": []}')
    with pytest.raises(IntegrityError, match="damaged"):
        read_canaries(tmp_path)
