# SPDX-License-Identifier: Apache-2.0
"""The table of a study: which settings are compared with what, corrected, and what is missing."""

from __future__ import annotations

import dataclasses

import pytest

from codetemper.core.accounts import StudyRow
from codetemper.evaluate.study_rows import POOLED, Cell, Setting, Table

BASE, ALONE = Setting("", "", 0), Setting("", "", 0, then=True)
LORA = Setting("lora", "function", 1.0)
LINE = Setting("lora", "line", 1.0)
LESS = Setting("lora", "function", 0.5)
CASES = [f"case{number}" for number in range(18)]
FAMILIES = {"suite": {"CWE-78": CASES[:9], "CWE-119": CASES[9:]}}


def _cell(setting: Setting, seed: int, secure: float, able: float = 0.5, tilt: float = 0.1) -> Cell:
    tilts = {case: tilt * (number % 3 - 1) for number, case in enumerate(CASES)}
    shares = {
        "secure@1": {case: secure + tilts[case] for case in CASES},
        "valid@1": dict.fromkeys(CASES, 0.9),
        "pass@1": {case: able + tilts[case] for case in CASES},
    }
    return Cell(
        setting, seed, {"suite": shares}, patch=f"tune-{setting.label}-{seed}", pairs=10,
        seconds=2.0 + seed, peak_bytes=100 + seed, parameters=7, bytes=50,
    )  # fmt: skip


def _rows(cells: list[Cell], question: str) -> list[StudyRow]:
    return [row for row in Table(cells, FAMILIES, 0.02).rows() if row.question == question]


def _base(seeds: int = 2) -> list[Cell]:
    return [_cell(BASE, seed, 0.3) for seed in range(seeds)]


def test_a_setting_is_compared_with_the_base_over_its_seeds() -> None:
    tuned = [_cell(LORA, seed, secure, tilt=0.101) for seed, secure in ((0, 0.5), (1, 0.7))]
    rows = _rows([*_base(), *tuned], "settings")
    found = {row.metric: row for row in rows}
    secure = found["secure@1"]
    assert (secure.setting, secure.against) == ("lora function 1", "base")
    assert secure.before == pytest.approx(0.3)
    assert secure.difference == pytest.approx(0.3)
    assert secure.by_seed == pytest.approx((0.2, 0.4))
    assert (secure.n, secure.seeds, secure.kept) == (18, (0, 1), "")
    assert found["pass@1"].kept == "kept"
    assert set(found) == {"secure@1", "valid@1", "pass@1", "secure_of_valid"}
    assert (secure.seconds, secure.peak_bytes, secure.parameters) == (2.5, 101, 7)
    assert secure.patches == ("tune-lora function 1-0", "tune-lora function 1-1")


def test_the_base_alone_makes_no_rows() -> None:
    assert Table(_base(), FAMILIES, 0.02).rows() == []


def test_a_cell_that_failed_is_a_reason_and_its_seed_is_not_compared() -> None:
    broken = Cell(LORA, 1, reason="the loss is no longer a number")
    rows = _rows([*_base(), _cell(LORA, 0, 0.5), broken], "settings")
    assert {row.seeds for row in rows} == {(0,)}
    assert all(row.reason == "seed 1: the loss is no longer a number" for row in rows)
    (row,) = _rows([*_base(), Cell(LORA, 0, reason="no pairs")], "settings")
    assert (row.metric, row.difference, row.reason) == ("", None, "seed 0: no pairs")


def test_function_that_is_lost_on_another_suite_flags_the_gain() -> None:
    cells = []
    for setting, secure, right in ((BASE, 0.3, 0.6), (LORA, 0.5, 0.2)):
        cell = _cell(setting, 0, secure)
        able = {"pass@1": {case: right + 0.01 * (n % 2) for n, case in enumerate(CASES)}}
        cells.append(dataclasses.replace(cell, shares={**cell.shares, "other": able}))
    flags = {row.suite: row.flag for row in _rows(cells, "settings")}
    assert flags["suite"].endswith("among the valid, but pass@1 of other fell by 40.0")
    assert flags["other"] == ""


def test_function_that_is_lost_on_one_security_suite_flags_no_other() -> None:
    cells = []
    for setting, secure, able in ((BASE, 0.3, 0.6), (LORA, 0.5, 0.2)):
        good, bad = (_cell(setting, 0, secure, right) for right in (0.6, able))
        shares = {"suite": good.shares["suite"], "broken": bad.shares["suite"]}
        cells.append(dataclasses.replace(good, shares=shares))
    flags = {row.suite: row.flag for row in _rows(cells, "settings")}
    assert flags["suite"] == ""
    assert flags["broken"].endswith("but pass@1 fell by 40.0")


def test_p_values_are_corrected_over_the_settings_of_a_metric() -> None:
    cells = [*_base(1), _cell(LORA, 0, 0.4), _cell(LINE, 0, 0.5)]
    rows = [row for row in _rows(cells, "settings") if row.metric == "secure@1"]
    assert len(rows) == 2
    assert all(row.p is not None and row.holm == pytest.approx(2 * row.p) for row in rows)


def test_granularities_and_sizes_are_compared_with_their_like_only() -> None:
    other = Setting("ia3", "block", 1.0)
    # Differences that are equal in all cases would have no interval of their own.
    cells = [*_base(1), *(_cell(s, 0, 0.4) for s in (LORA, LINE, other))]
    cells.append(_cell(LESS, 0, 0.4, tilt=0.11))
    pairs = {(row.setting, row.against) for row in _rows(cells, "granularities")}
    assert pairs == {("lora function 1", "lora line 1")}
    pairs = {(row.setting, row.against) for row in _rows(cells, "sizes")}
    assert pairs == {("lora function 0.5", "lora function 1")}
    assert Table(cells, FAMILIES, 0.02).enough() == {"lora function suite secure@1": 0.5}


def test_a_family_left_out_is_asked_about_its_own_cases() -> None:
    without = [Setting("lora", "function", 1.0, without=family) for family in FAMILIES["suite"]]
    cells = [*_base(1), _cell(LORA, 0, 0.8), *(_cell(s, 0, 0.5) for s in without)]
    rows = [row for row in _rows(cells, "transfer") if row.metric == "secure@1"]
    alone = {(row.cases, row.against): row for row in rows if row.cases != POOLED}
    assert alone["CWE-78", "base"].n == 9
    assert alone["CWE-78", "base"].difference == pytest.approx(0.2)
    assert alone["CWE-119", "lora function 1"].difference == pytest.approx(-0.3)
    (pooled,) = [row for row in rows if row.cases == POOLED]
    assert (pooled.n, pooled.against) == (18, "base")
    assert pooled.difference == pytest.approx(0.2)


def test_what_lasts_is_compared_with_ordinary_tuning_alone() -> None:
    after = Setting("lora", "function", 1.0, then=True)
    cells = [*_base(1), _cell(LORA, 0, 0.8), _cell(ALONE, 0, 0.4), _cell(after, 0, 0.6)]
    rows = {
        (row.setting, row.against): row.difference
        for row in _rows(cells, "lasting")
        if row.metric == "secure@1"
    }
    assert rows == {
        ("then ordinary", "base"): pytest.approx(0.1),
        ("lora function 1 then ordinary", "then ordinary"): pytest.approx(0.2),
        ("lora function 1 then ordinary", "lora function 1"): pytest.approx(-0.2),
        ("lora function 1 then ordinary", "base"): pytest.approx(0.3),
    }
