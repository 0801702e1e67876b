# SPDX-License-Identifier: Apache-2.0
"""Curation: copies, evaluation cases and straddling pairs go, each counted; the rest is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import Event, FixPair
from codetemper.data.contamination import CaseText
from codetemper.data.curation import CurationConfig, curate
from tests.data.fixes import fix, function

NO_SPLIT = CurationConfig(split="none")


def test_each_pair_that_goes_is_counted_under_its_reason() -> None:
    pairs = [
        fix(1, cwe="CWE-787", licence="MIT", quality=0.95, evidence='CVE-2020-1 (+10); "uaf" (+6)'),
        fix(1, id="again"),
        fix(2, quality=0.3, date="2021-05-05T00:00:00+00:00"),
        fix(3),
    ]
    cases = [CaseText("suite", "a", "c", (function(3),)), CaseText("suite", "b", "c", ("int x;",))]
    events: list[Event] = []
    found = curate(pairs, NO_SPLIT, cases, on_event=events.append)
    assert [pair.id for pair in found.pairs] == ["pair-000001", "pair-000002"]
    assert [pair.id for pair in found.pairs] == ["pair-000001", "pair-000002"]
    assert found.dropped == {"pair: duplicate": 1, "pair: text of an evaluation case": 1}
    assert len(found.pairs) + sum(found.dropped.values()) == len(pairs)
    assert found.counts == {
        "cwe": {"CWE-787": 1, "unknown": 1},
        "language": {"c": 2},
        "granularity": {"function": 2},
        "licence": {"MIT": 1, "unknown": 1},
        "split": {"train": 2},
        "quality": {"0.3-0.4": 1, "0.9-1.0": 1},
        "evidence": {"CVE id": 1, "none": 1, "words of the message": 1},
        "repository": {"project-1": 1, "project-2": 1},
        "year": {"2020": 1, "2021": 1},
        "duplicates": {"clusters": 1, "exact": 1, "near": 0},
        "contaminated": {"suite": 1},
    }
    assert found.account() == {
        "duplicates": [{"pair": "again", "of": "pair-000001", "likeness": 1.0, "exact": True}],
        "contaminated": [{"pair": "pair-000003", "suite": "suite", "case": "a", "share": 1.0,
                          "renamed": False}],
    }  # fmt: skip
    assert {event.stage for event in events} == {"curate"}
    assert events[-1].done == events[-1].total == 2


def test_repositories_are_split_whole() -> None:
    pairs = [fix(i, repository=f"r{i % 20}") for i in range(60)]
    found = curate(pairs, CurationConfig())
    splits = {pair.id: pair.split for pair in found.pairs}
    place = {pair.repository: pair.split for pair in found.pairs}
    assert all(splits[pair.id] == place[pair.repository] for pair in pairs)
    assert found.counts["split"] == {"test": 6, "train": 48, "validation": 6}


@pytest.mark.parametrize("split", ["repository", "date"])
def test_what_belongs_together_never_straddles(split: str) -> None:
    config = CurationConfig.model_validate({"split": split})
    pairs = [
        fix(i, repository=f"r{i % 20}", date=f"{2000 + i % 20}-01-01T00:00:00+00:00")
        for i in range(60)
    ]
    splits = {pair.id: pair.split for pair in curate(pairs, config).pairs}
    tested = next(i for i in range(60) if splits[pairs[i].id] == "test")
    trained = [i for i in range(60) if splits[pairs[i].id] == "train"][:3]
    # The same CVE, the same commit, and a later fix of the same function elsewhere.
    changes: list[dict[str, Any]] = [{"cve": "CVE-2020-1"}, {"commit": "b" * 40}, {}]
    for other, change in zip(trained, changes, strict=True):
        mixed = list(pairs)
        mixed[tested] = mixed[tested].model_copy(update=change)
        mixed[other] = mixed[other].model_copy(update=change or {
            "before": pairs[tested].after,
            "after": pairs[tested].after.replace("}\n", "  if (q9) return;\n}\n"),
        })  # fmt: skip
        found = curate(mixed, config)
        assert found.dropped == {"pair: belongs to pairs of another split": 1}
        ids = {pair.id for pair in found.pairs}
        assert mixed[other].id in ids
        assert mixed[tested].id not in ids


def test_the_same_pairs_give_the_same_corpus() -> None:
    pairs = [fix(i // 2, id=str(i), repository=f"r{i % 5}") for i in range(20)]
    first, second = (curate(pairs, CurationConfig()) for _ in range(2))
    assert list(first.pairs) == list(second.pairs)
    assert (first.dropped, first.counts) == (second.dropped, second.counts)
    assert first.dropped["pair: duplicate"] == 10


def test_texts_are_read_one_at_a_time() -> None:
    class OnDisk(Sequence[FixPair]):
        def __len__(self) -> int:
            return 30

        def __getitem__(self, index: Any) -> Any:
            return fix(range(30)[index])

        def __iter__(self) -> Any:
            return (self[i] for i in range(30))

    found = curate(OnDisk(), CurationConfig())
    assert [pair.id for pair in found.pairs] == [fix(i).id for i in range(30)]


def test_no_pairs_are_a_result() -> None:
    found = curate([], CurationConfig(), [CaseText("s", "a", "c", ("int x;",))])
    assert (len(found.pairs), found.dropped) == (0, {})


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"test_since": "soon", "split": "date"}, "no date"),
     ({"test_since": "2020-01-01"}, "not split by"),
     ({"test_share": 0.6, "validation_share": 0.5}, "nothing would be left")],
)  # fmt: skip
def test_settings_that_make_no_sense(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        curate([], CurationConfig.model_validate(settings))
