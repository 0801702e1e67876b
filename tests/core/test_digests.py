# SPDX-License-Identifier: Apache-2.0
"""Digests: equal values agree, different ones differ, folders notice every file."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.core.digests import (
    SHORT,
    canonical_json,
    digest_bytes,
    digest_file,
    digest_folder,
    digest_json,
    short,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
def test_canonical_json_is_json_and_stable(value: object) -> None:
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data
    assert b"\n" not in data


@given(st.dictionaries(st.text(max_size=4), st.integers(), min_size=2))
def test_order_of_keys_does_not_count(value: dict[str, int]) -> None:
    assert digest_json(value) == digest_json(dict(reversed(value.items())))


def test_types_count() -> None:
    assert len({digest_json(x) for x in (1, 1.0, True, "1", [1], None)}) == 6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": float("-inf")}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(value)
    with pytest.raises(TypeError):
        canonical_json({"a": {1, 2}})


def test_lone_surrogates_have_a_digest() -> None:
    assert digest_json("\ud800") != digest_json("\ud801")


def test_known_digest() -> None:
    assert digest_bytes(b"abc").startswith("ba7816bf8f01cfea")
    assert short(digest_bytes(b"abc")) == "ba7816bf8f01"
    assert SHORT == 12


def test_folder_notices_bytes_names_and_depth(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_bytes(b"1")
    (tmp_path / "y").write_bytes(b"2" * (1 << 20) + b"3")
    seen = [digest_folder(tmp_path)]
    (tmp_path / "a/x").write_bytes(b"2")
    seen.append(digest_folder(tmp_path))
    (tmp_path / "a/x").rename(tmp_path / "a/z")
    seen.append(digest_folder(tmp_path))
    (tmp_path / "new").touch()
    seen.append(digest_folder(tmp_path))
    assert len(set(seen)) == 4
    assert digest_folder(tmp_path, leave_out=frozenset({"new"})) == seen[2]
    assert digest_file(tmp_path / "y") == digest_bytes((tmp_path / "y").read_bytes())
