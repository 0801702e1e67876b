# SPDX-License-Identifier: Apache-2.0
"""From a few bad snippets to many: what the model is asked, what is kept, who confirms it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from codetemper.api import growing, guards
from codetemper.api.growing import Growth, confirmed, grow, variations
from codetemper.cli.app import app
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Case, Completion, FixPair, Sampling
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import read_corpus
from tests.harden.guards import sample, written

SEEDS = tuple(
    sample(f"s{n}", f"def run_{n}(x):\n", f"    return eval(x + {n})\n", cwe="CWE-95")
    for n in range(6)
)


class Writer:
    """Writes a numbered body, or a whole function where there is no prompt."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sampling: list[Sampling] = []

    def __call__(self, prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
        self.sampling.append(sampling)
        rows = []
        for prompt in prompts:
            row = []
            for index in range(sampling.n):
                self.asked.append(prompt)
                number = len(self.asked)
                bodies = (f"    return eval(x) * {number}\n", f"    return {number}\n", "    ret")
                text = bodies[number % 3]
                if prompt.endswith("\n\n"):
                    text = f"def new_{number}(x):\n{text}\n\nprint(1)\n"
                row.append(Completion(case="", index=index, text=text, finished=number % 3 < 2))
            rows.append(row)
        return rows


def bad(pairs: Sequence[FixPair]) -> Collection[str]:
    return {pair.id for pair in pairs if "eval(" in pair.after}


def test_only_new_whole_functions_that_are_confirmed_are_kept() -> None:
    writer = Writer()
    found = variations(SEEDS, writer, bad, Growth(wanted=20, shown=2, draws=3, rounds=4))
    assert len(found.pairs) == 20
    assert found.pairs[:6] == SEEDS
    assert len({pair.after for pair in found.pairs}) == 20
    for pair in found.pairs[6:]:
        assert pair.before == pair.after
        assert "eval(x) *" in pair.after[pair.body_start :]
        assert "print" not in pair.after
        assert (pair.cwe, pair.language, pair.split) == ("CWE-95", "python", "train")
    assert found.counts["kept"] == 14
    assert found.counts["not confirmed"] >= 14
    assert found.counts["no whole function"] >= 6
    kinds = {pair.after.startswith("def new_") for pair in found.pairs[6:]}
    assert kinds == {True, False}


def test_the_model_is_shown_other_seeds_and_their_weakness() -> None:
    writer = Writer()
    variations(SEEDS, writer, bad, Growth(wanted=8, shown=2, draws=1, rounds=1))
    assert len(writer.asked) == 12
    first = writer.asked[0]
    assert first.startswith("# Each of these functions has the weakness CWE-95.\n")
    assert first.count("return eval(") == 2
    assert "return eval(x + 0)" not in first
    assert first.endswith("\n\ndef run_0(x):\n")
    assert writer.asked[1].endswith("\n\n")
    other = Writer()
    variations(SEEDS, other, bad, Growth(wanted=8, shown=2, draws=1, rounds=1))
    assert (other.asked, other.sampling) == (writer.asked, writer.sampling)


def test_prompts_of_the_data_are_completed_those_most_like_a_seeds_first() -> None:
    theirs = [
        sample("t0", "def other(y):\n", "    return 1\n"),
        sample("t1", "def run_number(x):\n", "    return 2\n"),
        sample("t2", "def run_number(x):\n", "    return 3\n"),
        sample("t3", "int f(int x) {\n", "    return x;\n}\n", language="c"),
    ]
    writer = Writer()
    found = variations(
        SEEDS[:5], writer, bad, Growth(wanted=60, shown=1, draws=2, rounds=2), asked=theirs
    )
    of_theirs = [one for one in writer.asked if "def run_number(x):\n" in one]
    others = [one for one in writer.asked if one.endswith("\n\ndef other(y):\n")]
    # 5 seeds, 2 draws, 2 rounds, once each: in turn, a prompt that comes twice being one.
    assert (len(of_theirs), len(others)) == (10, 10)
    assert writer.asked.index(of_theirs[0]) < writer.asked.index(others[0])
    assert of_theirs[0].startswith("# Each of these functions has the weakness CWE-95.\n")
    assert [sampling.n for sampling in writer.sampling] == [2, 1, 2, 1]
    assert not any("int f" in one or "return 2" in one for one in writer.asked)
    names = {pair.name for pair in found.pairs}
    assert {"run_number", "other"} <= names
    made = [pair for pair in found.pairs[5:] if pair.name in {"run_number", "other"}]
    assert found.of_data == len(made) > 0
    assert len({pair.after for pair in found.pairs}) == len(found.pairs)


def test_no_weakness_has_the_place_of_another() -> None:
    rare = [
        sample(f"r{n}", f"def ask_{n}(x):\n", f"    return os.system(x + {n})\n", cwe="CWE-78")
        for n in range(2)
    ]

    numbers, rounds = count(), list[int]()

    def write(prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
        rounds.append(len(prompts))
        texts = [f"    return eval(x) * {next(numbers)}\n" for _ in range(sampling.n)]
        return [
            [Completion(case="", index=n, text=text) for n, text in enumerate(texts)]
            for _ in prompts
        ]

    seeds = [*SEEDS[:4], *rare]
    often = Growth(wanted=20, draws=2, rounds=3)

    def half(pairs: Sequence[FixPair]) -> set[str]:
        """Confirm all of the first weakness, and of the other one in a round."""
        rares = [pair.id for pair in pairs if pair.cwe == "CWE-78"]
        return {pair.id for pair in pairs if pair.cwe == "CWE-95"} | set(rares[:1])

    found = variations(seeds, write, half, often)
    # Ten of each are wanted; the other gives two and one a round, and the rest is filled up.
    assert [pair.cwe for pair in found.pairs].count("CWE-78") == 5
    assert [pair.cwe for pair in found.pairs].count("CWE-95") == 15
    assert rounds == [12] * 3, "the room of the other is kept till the last round"
    assert found.counts["kept"] == 14
    assert found.counts["more than wanted"] == 3 * 8 - 11


def test_what_is_known_is_not_grown_again() -> None:
    def write(prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
        return [[Completion(case="", text="    return  eval(x + 0)\n")] for _ in prompts]

    with pytest.raises(CannotKnowError, match="no other bad samples") as caught:
        variations(SEEDS[:1] * 5, write, bad, Growth(wanted=20, draws=1, rounds=2))
    assert "known already" in caught.value.why


def test_cases_judge_by_behaviour_and_analysers_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = "def f(x):\n"
    checks = [
        {"name": "sum", "kind": "function", "code": "result = f('1 + 1')", "expect": 2},
        {"name": "code", "kind": "security", "code": "result = f('len([])')", "expect": None,
         "cwe": "CWE-95"},
    ]  # fmt: skip
    case = Case(id="c", prompt=prompt, language="python", judge="execution",
                spec={"checks": checks})  # fmt: skip
    pairs = [
        sample("weak", prompt, "    return eval(x)\n"),
        sample("safe", prompt, "    return 2 if x == '1 + 1' else None\n"),
        sample("broken", prompt, "    return eval(\n"),
        sample("other", "def g(x):\n", "    return eval(x)\n", cwe="CWE-95"),
        sample("calm", "def g(x):\n", "    return x\n", cwe="CWE-95"),
    ]
    looked: list[str] = []

    def weak(given: Sequence[FixPair], options: Any) -> set[str]:
        looked.extend(pair.id for pair in given)
        return {"other"}

    monkeypatch.setattr(growing, "weak", weak)
    assert confirmed(pairs, {prompt: case}) == {"weak", "other"}
    assert looked == ["other", "calm"]


def test_a_corpus_is_grown_once_and_recorded(
    tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "weak", lambda pairs, options: set(bad(pairs)))
    workspace = Workspace.create(tmp_path / "home")
    path = written(tmp_path / "seeds.jsonl", SEEDS, cwe="CWE-95", language="python")
    config = Growth(wanted=12, rounds=2)
    models = [SimpleNamespace(generate=Writer(), digest="d") for _ in range(2)]
    one, two = (
        grow(workspace, f"hf:{tiny_model_dir}", str(path), config, loaded=model) for model in models
    )
    assert one.id == two.id
    assert one.id.startswith("grow-")
    theirs = written(
        tmp_path / "user.jsonl", [sample("u", "def theirs(x):\n", "    return 1\n")],
        language="python",
    )  # fmt: skip
    writer = Writer()
    model = SimpleNamespace(generate=writer, digest="d")
    other = grow(
        workspace, f"hf:{tiny_model_dir}", str(path), config, loaded=model, user_data=str(theirs)
    )
    assert other.id != one.id
    assert any(prompt.endswith("\n\ndef theirs(x):\n") for prompt in writer.asked)
    card, rows = read_corpus(workspace.resolve("corpora", one.id))
    assert (card.rows, len(rows)) == (12, 12)
    assert card.counts["written"]["kept"] == 6
    assert card.counts["confirmed"] == {growing.OF_DATA: 0}
    assert other.counts["confirmed"][growing.OF_DATA] > 0
    entries = workspace.ledger.entries()
    assert [entry.verb for entry in entries][-1] == "grow"


def test_seeds_must_be_some_and_be_code(tmp_path: Path, tiny_model_dir: Path) -> None:
    workspace = Workspace.create(tmp_path / "home")
    base = f"hf:{tiny_model_dir}"
    few = written(tmp_path / "few.jsonl", SEEDS[:4], language="python")
    with pytest.raises(UsageError, match="too few seeds"):
        grow(workspace, base, str(few))
    text = written(tmp_path / "text.jsonl", SEEDS)
    with pytest.raises(UsageError, match="cannot be varied"):
        grow(workspace, base, str(text))
    with pytest.raises(UsageError, match="too few seeds"):
        grow(workspace, base, str(text), cwe="CWE-89")


def test_the_command_grows_before_it_guards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    of_data = 0

    def grown(workspace: Any, model: str, seeds: str, config: Growth, **more: Any) -> Any:
        asked.update(more, seeds=seeds, wanted=config.wanted, seed=config.seed)
        return SimpleNamespace(id="grow-1234", counts={"confirmed": {growing.OF_DATA: of_data}})

    def guard(workspace: Any, model: str, data: str, *given: Any, **more: Any) -> Any:
        asked["made_of"] = data
        raise UsageError("made", why="it is a test", mend="none")

    monkeypatch.setattr(growing, "grow", grown)
    monkeypatch.setattr(guards, "guard", guard)
    Workspace.create(tmp_path)
    seeds = str(written(tmp_path / "s.jsonl", SEEDS, cwe="CWE-95", language="python"))
    user = str(written(tmp_path / "u.jsonl", SEEDS, language="python"))
    args = ["guard", "hf:x", "--data", seeds, "-w", str(tmp_path), "--judged-by", "world-python",
            "--user-data", user]  # fmt: skip
    grows = [*args, "--from-seeds", "50", "--seed", "3"]

    plan = CliRunner().invoke(app, [*grows, "--by-cwe", "--dry-run", "--json"])
    document = json.loads(plan.stdout)
    assert (document["from_seeds"], document["samples"]["seeds"]) == (50, 6)
    assert document["guards"] == {"CWE-95": None}, "how many is known when they are grown"
    for wrong, said in (
        (("--retain", str(tmp_path / "none")), "does not name one of the corpora"),
        (("--cwe", "CWE-89"), "too few seeds"),
        (("--judged-by", "nothing"), "nothing"),
    ):
        refused = CliRunner().invoke(app, [*grows, *wrong])
        assert isinstance(refused.exception, UsageError)
        assert said in refused.exception.what
    assert not asked, "what cannot be is refused before anything is grown"

    found = CliRunner().invoke(app, [*grows, "--cwe", "CWE-95"])
    assert isinstance(found.exception, UsageError)
    assert asked.pop("made_of") == "grow-1234"
    assert (asked["seeds"], asked["wanted"], asked["seed"]) == (seeds, 50, 3)
    assert (asked["cwe"], asked["judged_by"]) == ("CWE-95", "world-python")
    assert asked["user_data"] == user
    useless = "".join(f"Nothing bad came of the prompts of {user}".split())  # lines may break
    assert useless in "".join(found.stderr.split())
    of_data = 1
    useful = CliRunner().invoke(app, [*grows, "--cwe", "CWE-95"])
    assert useless not in "".join(useful.stderr.split())
    alone = CliRunner().invoke(app, args)
    assert isinstance(alone.exception, UsageError)
    assert "nothing to judge" in alone.exception.what
