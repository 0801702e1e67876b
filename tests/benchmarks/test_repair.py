# SPDX-License-Identifier: Apache-2.0
"""The repair benchmark keeps its pages apart, reads what it says, and goes on where it was."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.repair import bench, cost, material, plot, router
from benchmarks.repair.cells import Cells
from benchmarks.repair.material import Row
from benchmarks.repair.subject import Problem, Subject, solver
from codetemper.backends.hf_load import load_base
from codetemper.core.repairs import Failure
from codetemper.models.expression import parse


def rows(count: int = 120) -> list[Row]:
    return [
        Row(f"tool{n // 3}", f"Display the {n} of a file", f"tool{n // 3} --show {n} file")
        for n in range(count)
    ]


def test_no_page_is_in_two_parts_and_training_is_of_no_seed() -> None:
    first, second = (material.split(rows(600), seed) for seed in (0, 1))
    for parts in (first, second):
        pages = [{row.page for row in part} for part in parts.values()]
        assert sum(map(len, pages)) == len(set.union(*pages)) == 200
        assert all(pages)
    assert {r.prompt for r in first["train"]} == {r.prompt for r in second["train"]}
    assert {r.prompt for r in first["failing"]} != {r.prompt for r in second["failing"]}


def test_wordings_that_are_asked_are_not_those_that_are_given() -> None:
    row = Row("tar", "List the files of an archive", "tar tf {{archive}}")
    given, asked = material.given_wordings(row), material.asked_wordings(row)
    assert len(given) == 2
    assert len(asked) == 4
    assert not {row.prompt, *given} & set(asked)
    near = material.near(row, [row, Row("tar", "Extract it", "tar xf"), Row("zip", "Zip", "zip")])
    assert [other.command for other in near] == ["tar xf"]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    home = tmp_path_factory.mktemp("repair")
    recipe = material.Recipe(32, 64, 2, 2, 300, epochs=2, rows=90)
    folder = material.trained(rows()[:90], home, recipe)
    assert material.trained(rows()[:90], home, recipe) == folder
    loaded = load_base(parse(f"hf:{folder}"), dtype="float32", device="cpu")
    texts = [row.text for row in rows()[:60]]
    return Subject(loaded, texts, [row.text for row in rows()[90:96]], home / "cache", guards=8)


@pytest.mark.parametrize("method", ["joint", "sgd"])
def test_a_repair_is_measured_and_the_model_left_alone(subject: Subject, method: str) -> None:
    row = rows()[100]
    near = tuple(other.text for other in material.near(row, rows()))
    problem = Problem(
        Failure(id="a", prompt=row.prompt, reference="tool --do"),
        (),
        material.asked_wordings(row),
        near,
    )
    before = {k: v.clone() for k, v in subject.loaded.module.state_dict().items()}
    edit, wall, cpu = subject.solve(method, subject.passages([problem]))
    found = subject.measured(edit, problem)
    assert found["exact"] == found["free"] == edit.solved
    assert found["free"] is (method == "joint")
    assert min(wall, cpu, found["kl"]) > 0
    assert len(found["kept"]) == len(near)
    assert len(found["gained"]) <= len(problem.asked)
    after = subject.loaded.module.state_dict()
    assert all(bool((before[name] == after[name]).all()) for name in before)


def test_failures_have_few_wrong_tokens(subject: Subject) -> None:
    made = [
        Problem(Failure(id=r.prompt, prompt=r.prompt, reference=r.command)) for r in rows()[90:]
    ]
    for problem in bench.failing(subject, made, 3):
        seen = subject.engine.observe(subject.passages([problem]))
        assert bench.WRONG[0] <= int(seen.wrong.sum()) <= bench.WRONG[1]


def test_a_cell_is_measured_once_for_each_source(tmp_path: Path) -> None:
    cells, calls = Cells(tmp_path), []

    def make() -> dict[str, int]:
        calls.append(1)
        return {"n": len(calls)}

    def module(text: str) -> ModuleType:
        found = ModuleType("m")
        path = tmp_path / f"{text}.py"
        path.write_text(text)
        found.__file__ = str(path)
        return found

    assert cells.of({"a": 1}, make, module("x")) == {"n": 1}
    assert cells.of({"a": 1}, make, module("x")) == {"n": 1}
    assert cells.of({"a": 1}, make, module("y")) == {"n": 2}
    assert cells.of({"a": 2}, make, module("x")) == {"n": 3}
    assert cells.of({"a": 1}, make, module("x"), module("y")) == {"n": 4}
    assert cells.of({"a": 1}, make, module("x")) == {"n": 1}
    assert solver("memit") is solver("alphaedit")


def test_the_logistic_sum_finds_what_tells_lasting_repairs() -> None:
    generator = np.random.default_rng(0)
    made: list[dict[str, Any]] = []
    for _ in range(80):
        sure, noise = generator.random(2)
        made.append({"signals": {"withstood": sure, "gap": noise}, "stood": sure})
    weights = router.fitted(made, ("withstood", "gap"))
    assert weights[0] > 4 * abs(weights[1])
    scores = router.features(made, ("withstood", "gap")) @ weights
    assert router._auroc(made, scores).value > 0.95


def test_a_timed_repair_has_its_planted_failures() -> None:
    told = cost._planted(32)
    assert 16 <= told["tokens"] <= 32
    assert told["right"] > 0.5
    assert min(told["cpu"], told["wall"], told["setup"]) > 0


def test_the_plot_shows_what_was_measured() -> None:
    values = {
        "1 failures: CPU seconds": 0.1, "100 failures: CPU seconds": 90.0,
        "10 failures: CPU seconds": 10.0, "10 failures: wall seconds": 11.0,
        "10 failures: memory grown, MB": 5.0, "1 failures: memory grown, MB": 0.0,
        "growth of CPU seconds from 10 to 100 failures, power": 0.95,
        "width 64: CPU seconds": 1.0, "width 128: CPU seconds": 2.0,
    }  # fmt: skip
    shown = plot.panels({name: {"value": value} for name, value in values.items()})
    assert [(panel.title, panel.below) for panel in shown] == [
        ("CPU seconds", "failures"), ("CPU seconds", "width of the model"),
    ]  # fmt: skip
    assert shown[0].points == [(1, 0.1), (10, 10.0), (100, 90.0)]
    assert shown[0].line == 1
    picture = ElementTree.fromstring(plot.drawn(shown))
    circles = [one for one in picture.iter() if one.tag.endswith("circle")]
    assert [one[0].text for one in circles][:3] == ["1: 0.1", "10: 10", "100: 90"]
    # Ten times as many is as far on either axis of the first panel, whose ends are powers of ten.
    across = [float(one.get("cx", "nan")) for one in circles[:3]]
    assert across == pytest.approx([0, plot.WIDE / 2, plot.WIDE])
    up = [float(one.get("cy", "nan")) for one in circles[:2]]
    assert up == pytest.approx([plot.HIGH * (1 - power / 3) for power in (0, 2)], abs=0.1)
