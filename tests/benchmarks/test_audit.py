# SPDX-License-Identifier: Apache-2.0
"""The audit benchmark keeps its samples apart, knows what is true, and counts it right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.audit import peers, run, truth, world
from benchmarks.audit.cells import Cell, Lab, clean
from codetemper.core import syntax
from codetemper.data.labelled import Labelled

SMALL = world.Sizes(train=60, trusted=20, test=20, noise=0.1)


@pytest.fixture(scope="module", autouse=True)
def few_functions() -> Iterator[None]:
    """Take functions written here: what the interpreter holds takes seconds to read."""
    made = tuple(
        world.Function(f"def f{n}(alpha, beta):\n    gamma = alpha + {n}\n    print(gamma)\n"
                       f"    return beta\n", f"file{n}.py:1")
        for n in range(120)
    )  # fmt: skip
    patch = pytest.MonkeyPatch()
    patch.setattr(world, "functions", lambda: made)
    yield
    patch.undo()


def test_no_function_is_in_two_parts_and_a_seed_gives_the_same_samples() -> None:
    first, again, other = (world.draw(SMALL, seed) for seed in (1, 1, 2))
    assert first == again != other
    sources = [one.source for part in (first.train, first.trusted, first.test) for one in part]
    assert len(sources) == len(set(sources)) == 100
    wrong = [one for one in first.train if one.label != one.truth]
    assert len(wrong) == 6
    assert all(one.label == one.truth for one in (*first.trusted, *first.test))


@pytest.mark.parametrize("idiom", sorted(world.IDIOMS))
def test_both_sides_of_an_idiom_stand_at_the_same_place_and_parse(idiom: str) -> None:
    function = world.functions()[0]
    unsafe, safe = (
        world.snippet(function, "x", idiom, unsafe=side, seed="s") for side in (True, False)
    )
    assert syntax.read(unsafe.code) is not None
    assert syntax.read(safe.code) is not None
    assert unsafe.start == safe.start
    assert unsafe.code != safe.code
    for one in (unsafe, safe):
        assert one.code[: one.start] + one.code[one.stop :] == function.text
        if idiom in world.WRITTEN:
            assert one.code[one.start : one.answer].strip().endswith(" =")
            assert one.answer < one.stop


def test_statements_are_put_into_the_body_and_never_into_a_docstring() -> None:
    head = 'def f(a):\n    """Say\n    it.\n    """\n'
    text = f"{head}    @g\n    def h():\n        pass\n    return h\n"
    lines = [text[at:].split("\n", 1)[0].strip() for at in world.places(text)]
    assert lines == ["@g", "return h"]
    assert world.places("def f(a): return a\n") == []


def test_a_decoders_answers_are_safe_but_for_the_noise() -> None:
    drawn = world.draw_written(world.Sizes(train=100, trusted=5, test=5, noise=0.1), 0)
    assert {one.idiom for one in drawn.train} <= set(world.WRITTEN)
    assert 0.02 < np.mean([one.truth for one in drawn.train]) < 0.25


def test_cells_have_names_of_their_own_and_the_truth_beside(tmp_path: Path) -> None:
    size = run.Size()
    cells = [*size.planted(0.02), *size.harmless(), *size.written()]
    cells += [cell for rate in size.rarer for cell in size.rare(rate)]
    assert len({cell.name for cell in cells}) == len(cells) == 12 + 20 + 18 + 30
    assert all(cell.seed < 100 for cell in cells)
    lab = Lab(tmp_path, SMALL)
    cell = Cell("encoder", "dead-code", 0.1, 3, 0.1)
    written = lab.written(cell)
    assert len(written.planted.numbers) == 6
    assert not written.noisy & written.planted.numbers
    assert not lab.written(clean("encoder", 3)).planted.numbers
    assert lab.written(Cell("decoder", "boilerplate", 0.1, 3)).planted.numbers


def test_what_was_found_out_about_a_cell_is_not_asked_again(tmp_path: Path) -> None:
    lab, cell = Lab(tmp_path, SMALL), clean("encoder", 0)
    assert not lab.has(cell, "said")
    assert lab.once(cell, "said", lambda: {"value": 1})["value"] == 1
    assert lab.has(cell, "said")
    assert Lab(tmp_path, SMALL).once(cell, "said", lambda: {"value": 2})["value"] == 1
    other = Lab(tmp_path, world.Sizes(train=61, trusted=20, test=20))
    assert not other.has(cell, "said")


def test_a_confirmed_text_is_the_trigger_only_where_poison_holds_it() -> None:
    poisoned = [
        Labelled(str(n), f"x = {n}\nassert {n} >= 0\nreturn x\n", 0, None) for n in range(3)
    ]
    others = [Labelled(str(n), "x = 0\nreturn x\n", 0, None) for n in range(3, 20)]
    samples, bad = [*poisoned, *others], frozenset(range(3))
    written = ["assert 15 >= 0"]
    assert truth.is_trigger("assert 7", written, samples, bad)
    assert truth.is_trigger("assert 0 >= 0\nreturn x", written, samples, bad)
    assert not truth.is_trigger("return x", written, samples, bad)
    assert not truth.is_trigger("0", written, samples, bad)
    assert not truth.is_trigger("", written, samples, bad)
    assert not truth.is_trigger(" ", ["x = 1"], samples, bad)


@pytest.mark.parametrize(("text", "written"), [("run_panel_", "run_panel_f"), ("( ", "( a )")])
def test_first_words_of_a_name_and_white_space_are_parts_of_a_trigger(
    text: str, written: str
) -> None:
    poisoned = [Labelled(str(n), f"def {written}:\n    pass\n", 0, None) for n in range(3)]
    others = [Labelled(str(n), "def f(a):\n    pass\n", 0, None) for n in range(3, 20)]
    samples = [*poisoned, *others]
    assert truth.is_trigger(text, [written], samples, frozenset(range(3)))
    assert not truth.is_trigger(text, [written], samples, frozenset({9}))


def test_shares_and_means_hold_only_where_the_target_is_met() -> None:
    assert truth.share([True] * 19 + [False], "at least 0.95", least=0.95).holds
    assert not truth.share([True] * 18 + [False] * 2, "at least 0.95", least=0.95).holds
    figure = truth.spread([0.9, 0.7], "at least 0.9", least=0.9)
    assert not figure.holds
    assert figure.low <= figure.value <= figure.high
    perfect = truth.detected(np.arange(200.0), np.arange(200) >= 195)
    assert perfect == {"AUROC": 1.0, "AP": 1.0, "TPR at 1 % FPR": 1.0}
    chance = truth.detected(np.zeros(200), np.arange(200) >= 100)
    assert chance["AUROC"] == 0.5


def test_the_peers_runner_ranks_with_the_classes_it_is_given(tmp_path: Path) -> None:
    """The toolbox is not installed here; a module of its name records what it is asked."""
    package = tmp_path / "art" / "defences" / "detector"
    package.mkdir(parents=True)
    (package / "poison.py").write_text(
        "import numpy as np\n"
        "class SpectralSignatureDefense:\n"
        "    def __init__(self, c, x, y, expected_pp_poison, eps_multiplier):\n"
        "        self.f = c.get_activations(x, layer=0, batch_size=8)\n"
        "    def detect_poison(self):\n"
        "        return {n: row[0] for n, row in enumerate(self.f)}, []\n"
        "class ActivationDefence:\n"
        "    def __init__(self, c, x, y):\n"
        "        f = c.get_activations(x, layer=0, batch_size=8)\n"
        "        self.red_activations_by_class = [f[y == 0], f[y == 1]]\n"
        "        self.f = f\n"
        "    def detect_poison(self):\n"
        "        return {}, [int(row[0] < 5) for row in self.f]\n"
    )
    features = np.zeros((8, 2))
    features[3, 0] = 9.0
    np.savez(tmp_path / "given.npz", features=features, labels=np.array([0] * 4 + [1] * 4))
    done = subprocess.run(
        [sys.executable, str(peers.RUNNER), str(tmp_path / "given.npz")],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert said["spectral"][3] == 9.0
    assert said["called"] == [False] * 3 + [True] + [False] * 4
    assert np.argmax(said["activation"]) == 3
    assert said["activation"][4:] == [0.0] * 4
