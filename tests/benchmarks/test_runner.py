# SPDX-License-Identifier: Apache-2.0
"""What runners of benchmarks have in common: options, folders, what is written down and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import Figure
from benchmarks.runner import Report, home, options

ONE = {"speed": Figure(2.0, 1.0, 3.0, "at least 1", True)}


def test_only_what_is_asked_for_is_an_option() -> None:
    given = options("About.\n\nMore.", quick="little").parse_args(["--quick", "--json"])
    assert vars(given) == {"quick": True, "json": True}
    parser = options("About.", quick="little", sections=("a", "b"), kept="models")
    given = parser.parse_args(["--section", "b", "--section", "a", "--keep", "there"])
    assert (given.section, given.keep) == (["b", "a"], Path("there"))
    with pytest.raises(SystemExit):
        parser.parse_args(["--section", "c"])


def test_a_folder_is_kept_where_one_is_named(tmp_path: Path) -> None:
    with home(None) as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with home(tmp_path / "deep" / "kept") as folder:
        assert folder == tmp_path / "deep" / "kept"
    assert folder.is_dir()


def test_each_section_is_written_when_it_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(str(tmp_path / "run.py"), quick=False, as_json=False)
    for section in report.begun(["fast", "absent"]):
        report.add(section, ONE if section == "fast" else {}, histories="one")
    written = json.loads((tmp_path / "results.json").read_text())["sections"]
    assert list(written) == ["fast"]
    assert written["fast"]["histories"] == "one"
    report.show()
    told = capsys.readouterr()
    assert told.err == "-- fast\n-- absent\n"
    assert told.out.startswith("speed: 2 [1, 3]")


def test_a_quick_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(str(tmp_path / "run.py"), quick=True, as_json=True)
    report.add("fast", ONE)
    report.show()
    assert json.loads(capsys.readouterr().out)["figures"]["speed"]["value"] == 2.0
    assert list(tmp_path.iterdir()) == []
