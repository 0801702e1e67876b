# SPDX-License-Identifier: Apache-2.0
"""Defences of ``tune``: who says what is bad, what a manifest tells, what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from codetemper.api import defending, treatments
from codetemper.api.defending import Defence, defence_facts, defended
from codetemper.core.errors import UsageError
from codetemper.core.records import Finding, Verdict
from codetemper.core.workspace import Workspace
from codetemper.data.samples import read_samples
from codetemper.harden.tune import Config
from tests.harden.guards import BAD, CLEAN, written

PAIRS = (*BAD[:4], *CLEAN[:4])
FAST = Config(rank=2, epochs=1, max_length=64, batch_size=2)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.create(tmp_path_factory.mktemp("defending"))


def ids(pairs: Sequence[Any]) -> list[str]:
    return [pair.id for pair in pairs]


def test_bad_is_what_guards_flag_and_what_a_file_names(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = str(written(tmp_path / "bad.jsonl", BAD[1:3]))
    for defence, flagged, left in (
        (None, {"bad-0"}, ids(PAIRS)),
        (Defence("drop"), {"bad-0"}, ids(PAIRS[1:])),
        (Defence("drop", bad=file), None, ["bad-0", "bad-3", *ids(CLEAN[:4])]),
        (Defence("oracle", bad=file), {"bad-0"}, ["bad-3", *ids(CLEAN[:4])]),
        (Defence("drop"), set(), ids(PAIRS)),
    ):
        found = defended(workspace, defence, PAIRS, FAST, flagged)
        assert ids(found.pairs) == left
        oracle = defence is not None and defence.name == "oracle"
        assert (found.config.epochs > FAST.epochs) == oracle


def test_a_tuned_patch_says_how_it_was_defended(
    workspace: Workspace, tiny_model_dir: Path, tmp_path: Path
) -> None:
    base, data = f"hf:{tiny_model_dir}", str(written(tmp_path / "data.jsonl", PAIRS))
    secure = str(written(tmp_path / "secure.jsonl", CLEAN[4:8]))
    plain = treatments.tune(workspace, base, data, FAST)
    assert "defence" not in plain.config
    replayed = treatments.tune(
        workspace, base, data, FAST, defence=Defence("replay", secure=secure)
    )
    assert replayed.config["defence"]["name"] == "replay"
    assert len(replayed.config["defence"]["secure"]) == 64
    assert (plain.report["examples"], replayed.report["examples"]) == (8, 9)
    asked = treatments.tune(workspace, base, data, FAST, defence=Defence("inoculate"))
    assert asked.config["wrapper"] == "{prompt}"
    turned = treatments.tune(
        workspace, base, data, FAST.model_copy(update={"lisa_steps": (1, 2)}),
        defence=Defence("lisa", secure=secure),
    )  # fmt: skip
    told = turned.config
    assert told["defence"] == replayed.config["defence"] | {"name": "lisa"}
    assert (told["lisa_steps"], told["lisa_rho"]) == ([1, 2], 1.0)
    assert "lisa_steps" not in replayed.config
    assert (turned.report["examples"], turned.report["steps"]) == (8, 6)
    assert len({plain.id, replayed.id, asked.id, turned.id}) == 4
    assert plain.files != asked.files


def test_what_cannot_be_meant_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    file = str(written(tmp_path / "other.jsonl", BAD[4:6]))
    for defence, words in (
        (Defence("dorp"), "did you mean 'drop'"),
        (Defence("replay", bad=file, secure=file), "takes no bad samples"),
        (Defence("drop", secure=file), "takes no secure samples"),
        (Defence("lisa", bad=file, secure=file), "takes no bad samples"),
        (Defence("lisa"), "needs samples known to be secure"),
        (Defence("replay"), "needs samples known to be secure"),
    ):
        with pytest.raises(UsageError, match=words):
            defence_facts(workspace, defence)
    with pytest.raises(UsageError, match="does not know what to leave out"):
        defended(workspace, Defence("oracle"), PAIRS, FAST, None)
    with pytest.raises(UsageError, match="nothing to take turns with"):
        defended(workspace, Defence("lisa"), PAIRS, FAST, None)
    with pytest.raises(UsageError, match="none is in both"):
        defended(workspace, Defence("drop", bad=file), PAIRS, FAST, None)
    with pytest.raises(UsageError, match="no defence is named"):
        defending.chosen(None, file, None)


def test_an_analyser_is_believed_about_the_weakness_at_stake(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses = {"bad-0": "CWE-95", "bad-1": "CWE-94", "bad-2": "CWE-89", "clean-0": "CWE-89"}

    def judge(items: Sequence[Any], *, options: Any = None) -> list[Verdict]:
        assert {case.judge for case, _ in items} == {"static"}
        assert items[0][1].text == "    eval(x + 0)\n"
        return [
            Verdict(
                case=case.id, valid="pass", function="unknown", security="unknown", judge="static",
                findings=(
                    Finding(rule="r", message="m", severity="warning", cwe=weaknesses[case.id]),
                ) if case.id in weaknesses
                else (Finding(rule="r", message="m", severity="note", cwe="CWE-95"),),
            )
            for case, _ in items
        ]  # fmt: skip

    monkeypatch.setattr(defending, "judge_all", judge)
    assert defending.weak(PAIRS) == {"bad-0", "bad-1", "clean-0"}
    found = defended(workspace, Defence("static"), PAIRS, FAST, None)
    assert ids(found.pairs) == ["bad-2", "bad-3", *ids(CLEAN[1:4])]


def test_ids_of_files_are_those_of_the_data(tmp_path: Path) -> None:
    path = written(tmp_path / "data.jsonl", PAIRS)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert ids(read_samples(path)) == [row["id"] for row in rows] == ids(PAIRS)
