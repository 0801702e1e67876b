# SPDX-License-Identifier: Apache-2.0
"""The grammar of model expressions: round trips, readings, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.core.errors import UsageError
from codetemper.models.expression import Expression, parse
from tests.imports import imported

PATCHES = st.lists(st.from_regex(r"[a-z]{2,6}-[0-9a-f]{3,12}", fullmatch=True), max_size=3)
TEXT = st.text(min_size=1).filter(lambda text: text == text.strip())


@given(
    backend=st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True).filter(lambda b: b != "seedling"),
    base=TEXT,
    revision=st.none() | TEXT,
    patches=PATCHES,
)
def test_any_expression_survives_its_text(
    backend: str, base: str, revision: str | None, patches: list[str]
) -> None:
    expression = Expression(backend, base, revision, tuple(patches))
    assert parse(str(expression)) == expression


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expression = parse(text)
    except UsageError:
        return
    assert parse(str(expression)) == expression


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seedling", Expression("seedling", "seedling")),
        ("seedling+tune-7f3a9c", Expression("seedling", "seedling", None, ("tune-7f3a9c",))),
        ("hf:Qwen/Q@9e3c1f+a-1+b-2", Expression("hf", "Qwen/Q", "9e3c1f", ("a-1", "b-2"))),
        ("./models/mine", Expression("hf", "./models/mine")),
        ("hf:/data/a%2Bb%40c", Expression("hf", "/data/a+b@c")),
        ("hf:seedling", Expression("hf", "seedling")),
        (
            "server:http://127.0.0.1:8000/v1#name",
            Expression("server", "http://127.0.0.1:8000/v1#name"),
        ),
    ],
)
def test_readings(text: str, expected: Expression) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "base is empty"),
        ("hf:", "base is empty"),
        ("+tune-1", "base is empty"),
        ("hf:x+", "name of a patch"),
        ("hf:x++a", "name of a patch"),
        ("hf:x+../../etc", "name of a patch"),
        ("hf:x@", "revision"),
        ("hf:x@1@2", "revision"),
        ("seedling@1", "no revisions"),
        ("seedling:x", "no base of its own"),
    ],
)
def test_refusals_say_which_part_is_wrong(text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert why in refused.value.why
    assert refused.value.mend


def test_patches_are_added_and_left_out() -> None:
    expression = parse("hf:x@1+a-1")
    assert str(expression.plus("b-2")) == "hf:x@1+a-1+b-2"
    assert str(expression.bare) == "hf:x@1"


def test_reading_an_expression_loads_no_torch() -> None:
    code = "from codetemper.models.expression import parse; parse('seedling')"
    assert imported(code, ("torch",)) == []
