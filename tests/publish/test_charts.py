# SPDX-License-Identifier: Apache-2.0
"""Geometry of the charts: every mark inside its frame, also for extreme numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.core.records import Difference, Estimate
from codetemper.publish import charts


def change(low: float, value: float, high: float) -> Difference:
    return Difference(before=0, after=value, difference=value, low=low, high=high, p=0.5, n=9)


def test_share_mark_is_in_percent() -> None:
    mark = charts.share_mark(Estimate(value=0.5, low=0.25, high=0.75, n=4))
    assert mark == charts.Mark(25.0, 50.0, 75.0)


def test_no_number_no_mark() -> None:
    assert charts.share_mark(None) is None
    assert charts.share_mark(Estimate(value=math.nan, low=0, high=1, n=0)) is None
    assert charts.change_mark(change(math.nan, 0.1, 0.2), 0.5) is None


def test_change_axis_holds_every_interval_and_zero_is_its_middle() -> None:
    found = [change(-0.02, 0.1, 0.22), change(-0.07, -0.05, -0.03)]
    limit = charts.change_limit(found)
    assert limit == pytest.approx(0.25)
    assert charts.change_mark(change(0.0, 0.0, 0.0), limit) == charts.Mark(50.0, 50.0, 50.0)
    assert charts.change_mark(found[0], limit) == charts.Mark(46.0, 70.0, 94.0)


@given(st.dictionaries(st.sampled_from([*charts.FAILURES, "novel"]), st.integers(0, 50)))
def test_stacked_bar_is_whole(failures: dict[str, int]) -> None:
    total = sum(failures.values()) + 3
    segments = charts.stacked(failures, total)
    assert segments[0].label == "clean"
    assert segments[0].count == 3
    assert sum(s.count for s in segments) == total
    assert segments[-1].start + segments[-1].width == pytest.approx(100, abs=0.05)
