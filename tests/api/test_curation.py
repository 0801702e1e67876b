# SPDX-License-Identifier: Apache-2.0
"""From mining to a corpus: suites are looked for, settings are kept, mined pairs are kept too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codetemper.api import treatments
from codetemper.api.curation import CorpusConfig, case_texts
from codetemper.api.demo import plant_example
from codetemper.core.errors import UsageError
from codetemper.core.workspace import Workspace
from codetemper.data.choice import MineConfig
from codetemper.data.corpus import read_corpus
from codetemper.evaluate import suites


def test_texts_of_cases_are_programs_with_each_answer() -> None:
    texts, digests = case_texts(["secure-c"])
    suite = suites.load("secure-c")
    assert [text.case for text in texts] == [case.id for case in suite.cases]
    case = suite.cases[0]
    assert case.prompt + str(case.reference) in texts[0].texts
    assert case.prompt + str(case.vulnerable) in texts[0].texts
    assert str(case.reference) in texts[0].texts
    assert digests == {"secure-c": suite.digest}
    assert set(case_texts()[1]) == set(suites.shipped())
    with pytest.raises(UsageError, match="no suite"):
        case_texts(["secure-d"])


def test_a_corpus_tells_what_it_holds_and_what_it_left_out(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    example = plant_example(tmp_path / "example.git")
    clean = treatments.mine(workspace, [example], against=["world-security-c"])
    every = treatments.mine(workspace, [example], against=[])
    left = clean.card.counts["contaminated"]["world-security-c"]
    assert 50 < left < every.card.rows
    assert every.card.rows - clean.card.rows == left
    assert every.card.counts["contaminated"] == {}
    assert len(clean.result.pairs) == len(every.result.pairs)
    for mined in (clean, every):
        dropped = sum(n for reason, n in mined.card.counts["dropped"].items() if "pair:" in reason)
        assert mined.card.rows + dropped == len(mined.result.pairs)
        card, rows = read_corpus(workspace.resolve("corpora", mined.card.id))
        assert card == mined.card
        assert len(rows) == card.rows == sum(card.counts["split"].values())
    home = workspace.resolve("corpora", clean.card.id)
    account = json.loads((home / "curation.json").read_bytes())
    assert len({hit["pair"] for hit in account["contaminated"]}) == left
    assert list(clean.card.config["against"]) == ["world-security-c"]
    assert clean.card.config["near_duplicates"] == 0.8
    assert workspace.verify() == []
    # The mined pairs do not depend on how they are curated: one journal serves both.
    assert len(list((workspace.cache / "mine").glob("*.sqlite"))) == 1


def test_settings_of_both_steps_in_one() -> None:
    config = CorpusConfig.model_validate({"split": "date", "min_score": 7})
    assert config.mining() == MineConfig(min_score=7)
