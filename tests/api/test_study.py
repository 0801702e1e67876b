# SPDX-License-Identifier: Apache-2.0
"""A study on a tiny model: planned, stopped in the middle, resumed, written, verified, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codetemper.api import evaluation, reporting, treatments
from codetemper.api.account import read_manifest
from codetemper.api.study import StudyConfig, plan_study, read_studies, study_tuning
from codetemper.api.study_parts import memory, part_of
from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.data.corpus import read_corpus, write_corpus
from tests.api.conftest import Bench

SMALL = StudyConfig(
    sizes=(0.02, 0.04), seeds=(3,), suites=("world-shell",), samples=1, limit=2,
    tune={"rank": 2, "epochs": 1, "max_length": 128},
)  # fmt: skip


def _pair(commit: str, cwe: str | None) -> FixPair:
    return FixPair(
        id=f"{commit}-{cwe}", language="c", before="a", after="b", body_start=0, name="f",
        path="f.c", repository="r", commit=commit, date="2020-01-01", cwe=cwe,
    )  # fmt: skip


def test_parts_are_drawn_by_commit_nested_and_without_a_family() -> None:
    pairs = [_pair(f"{n:040d}", cwe) for n in range(20) for cwe in ("CWE-787", "CWE-78", None)]
    half, quarter = part_of(pairs, 0.5, "", 1), part_of(pairs, 0.25, "", 1)
    assert len({p.commit for p in half}) == 10
    assert len(half) == 30
    assert {p.commit for p in quarter} < {p.commit for p in half}
    assert half != part_of(pairs, 0.5, "", 2)
    assert part_of(pairs, 1.0, "", 1) == pairs
    # CWE-787 is of the family of memory bounds, which CWE-119 names.
    assert {p.cwe for p in part_of(pairs, 1.0, "CWE-119", 1)} == {"CWE-78", None}


def test_a_killed_study_goes_on_where_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, calls = bench.workspace, {"tune": 0, "evaluate": 0}
    real: dict[str, Any] = {"tune": treatments.tune, "evaluate": evaluation.evaluate}

    def counted(name: str, deadly: int) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            if calls[name] == deadly:
                raise KeyboardInterrupt
            return real[name](*args, **kwargs)

        return call

    monkeypatch.setattr(treatments, "tune", counted("tune", 2))
    monkeypatch.setattr(evaluation, "evaluate", counted("evaluate", 0))
    plan = plan_study(workspace, bench.base, bench.corpus.id, SMALL)
    assert (plan["cells"], plan["tuned"], plan["evaluations"]) == (2, 0, 3)
    with pytest.raises(KeyboardInterrupt):
        study_tuning(workspace, bench.base, bench.corpus.id, SMALL)
    assert calls == {"tune": 2, "evaluate": 2}
    assert plan_study(workspace, bench.base, bench.corpus.id, SMALL)["tuned"] == 1
    made = study_tuning(workspace, bench.base, bench.corpus.id, SMALL)
    assert calls == {"tune": 3, "evaluate": 3}
    again = study_tuning(workspace, bench.base, bench.corpus.id, SMALL)
    assert calls == {"tune": 3, "evaluate": 3}
    assert again.card.id == made.card.id
    assert workspace.verify() == []
    kept = [study for study in read_studies(workspace) if study.card.id == made.card.id]
    assert [study.rows for study in kept] == [made.rows]
    settings = [row for row in made.rows if row.question == "settings"]
    assert {row.setting for row in settings} == {"lora function 0.02", "lora function 0.04"}
    assert all(row.parameters and row.peak_bytes and row.pairs for row in settings)
    page = reporting.report(workspace, bench.base, out=workspace.root / "study.html").path
    assert made.card.id in page.read_text("utf-8")
    data = made.folder / "data.parquet"
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    assert any(made.card.id in problem.path for problem in workspace.verify())


def test_a_setting_that_cannot_be_tuned_is_a_row_with_a_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = SMALL.model_copy(update={"sizes": (0.03,)})
    tries = []

    def diverge(*args: Any, **kwargs: Any) -> Any:
        tries.append(args)
        raise UsageError("the loss is no longer a number", why="it diverged", mend="lower it")

    monkeypatch.setattr(treatments, "tune", diverge)
    made = study_tuning(bench.workspace, bench.base, bench.corpus.id, asked)
    assert [row.reason for row in made.rows] == [
        "seed 3: the loss is no longer a number: it diverged"
    ]
    study_tuning(bench.workspace, bench.base, bench.corpus.id, asked)
    assert len(tries) == 1, "it is known, so it is not tried again"


def test_a_full_disk_ends_the_study_and_is_not_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise UsageError("the disk is full", why="28", mend="free some") from error

    monkeypatch.setattr(treatments, "tune", full)
    asked = SMALL.model_copy(update={"sizes": (0.01,)})
    with pytest.raises(UsageError, match="disk is full"):
        study_tuning(bench.workspace, bench.base, bench.corpus.id, asked)
    plan = plan_study(bench.workspace, bench.base, bench.corpus.id, asked)
    assert [cell["patch"] for cell in plan["plan"]] == ["to do"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ("lorra",)}, "method"),
        ({"granularities": ("word",)}, "granularity"),
        ({"tune": {"rang": 3}}, "did you mean"),
        ({"suites": ("world-shel",)}, "world-shel"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_made(
    bench: Bench, change: dict[str, Any], words: str
) -> None:
    asked = SMALL.model_copy(update=change)
    with pytest.raises(UsageError) as caught:
        study_tuning(bench.workspace, bench.base, bench.corpus.id, asked)
    assert words in f"{caught.value.what} {caught.value.why}"


def test_a_base_with_patches_is_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match="already carries a patch"):
        plan_study(bench.workspace, bench.patched, bench.corpus.id, SMALL)


def test_memory_is_measured_for_the_scope_alone() -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system does not tell a process's peak memory")
    with memory("cpu") as small:
        pass
    with memory("cpu") as large:
        held = bytearray(b"x") * 200_000_000
        del held
    assert large["bytes"] - small["bytes"] > 150_000_000


def test_later_ordinary_tuning_goes_on_top_and_is_compared_with_itself_alone(
    bench: Bench, tmp_path: Path
) -> None:
    card, rows = read_corpus(bench.workspace.resolve("corpora", bench.corpus.id))
    plain = [row.model_copy(update={"before": row.after}) for row in rows[:6]]
    ordinary = tmp_path / "ordinary"
    ordinary.mkdir()
    write_corpus(ordinary, plain, verb="ordinary", sources=card.sources)
    asked = SMALL.model_copy(update={"sizes": (0.02,), "then": str(ordinary)})
    made = study_tuning(bench.workspace, bench.base, bench.corpus.id, asked)
    lasting = [row for row in made.rows if row.question == "lasting"]
    assert {(row.setting, row.against) for row in lasting} == {
        ("then ordinary", "base"),
        ("lora function 0.02 then ordinary", "base"),
        ("lora function 0.02 then ordinary", "then ordinary"),
        ("lora function 0.02 then ordinary", "lora function 0.02"),
    }
    first = next(row.patches[0] for row in made.rows if row.question == "settings")
    last = next(row.patches[0] for row in lasting if row.against == "then ordinary")
    manifest = read_manifest(bench.workspace.patches / last)
    assert manifest.base == f"{bench.base}+{first}"
    assert manifest.config["unlikelihood"] == 0


def test_leaving_out_plans_a_model_for_each_family_of_the_data_and_the_suites(bench: Bench) -> None:
    asked = SMALL.model_copy(
        update={"leave_one_out": True, "suites": ("world-security-python",), "limit": 12}
    )
    plan = plan_study(bench.workspace, bench.base, bench.corpus.id, asked)
    left = [cell for cell in plan["plan"] if "without" in cell["setting"]]
    whole = next(cell for cell in plan["plan"] if cell["setting"] == "lora function 0.04")
    assert len(left) >= 3
    assert all(cell["setting"].startswith("lora function 0.04 without CWE-") for cell in left)
    assert all(cell["pairs"] <= whole["pairs"] for cell in left)
    assert any(cell["pairs"] < whole["pairs"] for cell in left)
