# SPDX-License-Identifier: Apache-2.0
"""Content ids: named by files and facts, blind to what differs between equal makings."""

from hypothesis import given
from hypothesis import strategies as st

from codetemper.core.contents import NOT_FACTS, content_id, content_id_of

FILES = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)
DOCUMENT = {"id": "tune-0", "verb": "tune", "files": {"a": "1"}, "config": {"rank": 8}}


@given(FILES, FILES)
def test_an_id_follows_its_files(one: dict[str, str], two: dict[str, str]) -> None:
    assert (content_id("tune", one, {}) == content_id("tune", two, {})) == (one == two)
    assert content_id("tune", one, {})[5:] == content_id("mine", one, {})[5:]


def test_a_document_is_named_by_its_facts() -> None:
    id = content_id_of(DOCUMENT)
    assert id == content_id("tune", {"a": "1"}, {"verb": "tune", "config": {"rank": 8}})
    for key in NOT_FACTS - {"files", "id"}:
        assert content_id_of({**DOCUMENT, key: 3}) == id
    assert content_id_of({**DOCUMENT, "id": "tune-1"}) == id
    for changed in ({"files": {"a": "2"}}, {"config": {"rank": 9}}, {"new": 1}):
        assert content_id_of({**DOCUMENT, **changed}) != id


def test_a_verb_comes_from_the_call_the_field_or_the_id() -> None:
    card = {key: value for key, value in DOCUMENT.items() if key != "verb"}
    assert content_id_of(card).startswith("tune-")
    assert content_id_of({**card, "id": "two-words-0"}).startswith("two-words-")
    assert content_id_of(card, "mine").startswith("mine-")
