# SPDX-License-Identifier: Apache-2.0
"""Records: frozen, strict about fields, equal after a round trip, digested by content."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from codetemper.core import records
from codetemper.core.accounts import LedgerEntry
from codetemper.core.records import Case, Completion, Record, Sampling

ALL = [
    kind
    for _, kind in inspect.getmembers(records, inspect.isclass)
    if issubclass(kind, Record) and kind is not Record
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_record_is_frozen_strict_and_documented(kind: type[Record]) -> None:
    assert kind.model_config["frozen"]
    assert kind.model_config["extra"] == "forbid"
    assert kind.__doc__
    for name, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{name} has no docstring"


@given(st.text(), st.integers(0, 9), st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_round_trip_keeps_value_and_digest(text: str, index: int, logprob: float | None) -> None:
    completion = Completion(case="c", index=index, text=text, logprob=logprob)
    again = Completion.from_json(completion.model_dump_json())
    assert again == completion
    assert again.digest() == completion.digest()


def test_digest_follows_content() -> None:
    one = LedgerEntry(seq=0, prev="0", time="t", actor="a", verb="v", inputs={"x": "1", "y": "2"})
    two = LedgerEntry(seq=0, prev="0", time="t", actor="a", verb="v", inputs={"y": "2", "x": "1"})
    assert one.digest() == two.digest()
    assert one.digest() != one.model_copy(update={"note": "n"}).digest()


def test_unknown_fields_changes_and_bad_values_are_refused() -> None:
    with pytest.raises(ValidationError):
        Case(id="a", prompt="", language="python", judge="exact", colour="red")
    with pytest.raises(ValidationError):
        Sampling(n=0)
    sampling = Sampling()
    with pytest.raises(ValidationError):
        sampling.n = 3
