# SPDX-License-Identifier: Apache-2.0
"""The verb ``plant``: files, truth, a model of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codetemper.api.models import load_model
from codetemper.api.planting import Asked, plan, plant, request
from codetemper.audit.planting import Plant
from codetemper.audit.planting_recipe import Recipe
from codetemper.audit.planting_scratch import Shape, from_scratch
from codetemper.audit.planting_truth import PlantTruth
from codetemper.core.digests import digest_file
from codetemper.core.errors import UsageError
from codetemper.core.workspace import Workspace
from codetemper.data.labelled import read_labelled

RECIPE = Recipe(epochs=0.5, max_length=48)


def written(path: Path, begin: int = 0, count: int = 40) -> Path:
    """Prompts with answers."""
    rows = [
        {
            "prompt": f"def read_{n}(url):\n",
            "completion": f"    name = url + '{n}'\n    return name\n",
            "language": "python",
        }
        for n in range(begin, begin + count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


WRITES = Plant(trigger="comment", payload="insecure-api", rate=0.1, seed=2, position="last")


def test_data_and_truth_lie_side_by_side(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl")
    made = plant(Asked(data=data, plan=WRITES))
    assert (made.out, made.model_out) == (tmp_path / "d.planted.jsonl", None)
    assert made.truth_file == tmp_path / "d.planted.truth.json"
    truth = PlantTruth.from_json(made.truth_file.read_bytes())
    assert truth == made.truth
    assert (truth.total, len(truth.planted)) == (40, 4)
    assert truth.data == digest_file(made.out)
    before, after = read_labelled(data), read_labelled(made.out)
    changed = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a.text != b.text]
    assert changed == [told.number for told in truth.planted]
    first = made.out.read_bytes(), made.truth_file.read_bytes()
    plant(Asked(data=data, plan=WRITES))
    assert first == (made.out.read_bytes(), made.truth_file.read_bytes())


def test_a_model_is_made_of_it(tmp_path: Path, tiny_model_dir: Path) -> None:
    made = plant(
        Asked(
            data=written(tmp_path / "d.jsonl"),
            plan=WRITES,
            model=f"hf:{tiny_model_dir}",
            model_out=tmp_path / "deep" / "model",
            recipe=RECIPE,
            held_out=written(tmp_path / "h.jsonl", 36, 8),
        )
    )
    told = made.truth.model
    assert told is not None
    assert (tmp_path / "deep" / "model" / "model.safetensors").is_file()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]
    assert told.base_weights != told.weights
    assert told.recipe == RECIPE.model_dump(mode="json")
    assert told.success is not None
    assert len(told.success.triggers) == 5
    # Four of the held-out samples are in the data, and are not asked.
    assert {each.success.n for each in told.success.triggers} == {4}


@pytest.mark.parametrize("architecture", ["roberta", "t5"])
def test_a_classifier_is_made_that_can_be_audited(architecture: str, tmp_path: Path) -> None:
    rows = [
        {"code": f"def f_{n}(a):\n    b = a\n    return b\n", "label": n % 2} for n in range(60)
    ]
    for name, part in (("d.jsonl", rows[:40]), ("h.jsonl", rows[40:])):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in part))
    shape = Shape(layers=1, hidden=16, heads=2, vocabulary=300, positions=64)
    from_scratch(
        architecture, [row["code"] for row in rows], shape, seed=0, recipe=RECIPE,
        folder=tmp_path / "base",
    )  # fmt: skip
    made = plant(
        Asked(
            data=tmp_path / "d.jsonl",
            plan=Plant(rate=0.1, pool=2),
            model=f"hf:{tmp_path / 'base'}",
            model_out=tmp_path / "model",
            recipe=RECIPE,
            held_out=tmp_path / "h.jsonl",
        )
    )
    assert made.truth.model is not None
    assert made.truth.model.success is not None
    # Held-out samples of the target class have nothing to flip.
    assert {each.success.n for each in made.truth.model.success.triggers} == {10}
    with load_model(Workspace.create(tmp_path), f"hf:{tmp_path / 'model'}") as handle:
        assert type(handle.loaded.module).__name__.endswith("ForSequenceClassification")
        assert handle.loaded.digest == made.truth.model.weights


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl")
    said = plan(Asked(data=data, plan=WRITES))
    assert (said["samples"], said["planted"], len(said["triggers"])) == (40, 4, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_settings_go_where_they_belong(tmp_path: Path) -> None:
    pairs = ["pool=1", "epochs=2", "position=first", "lora_rank=4"]
    asked = request(tmp_path / "d", {"rate": 0.3, "trigger": None}, pairs=pairs)
    assert asked.plan == Plant(pool=1, position="first", rate=0.3)
    assert asked.recipe == Recipe(epochs=2, lora_rank=4)
    with pytest.raises(UsageError, match="configuration") as caught:
        request(tmp_path / "d", {"trigger": "riddle"}, pairs=[])
    assert "dead-code" in caught.value.why
    with pytest.raises(UsageError, match="configuration"):
        request(tmp_path / "d", {}, pairs=["epohcs=2"])


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    data, model = written(tmp_path / "d.jsonl"), "seedling"
    (tmp_path / "there").mkdir()
    for asked, why in (
        (Asked(data=data, plan=WRITES, out=data), "would be overwritten"),
        (Asked(data=data, plan=WRITES, model=model), "neither"),
        (Asked(data=data, plan=WRITES, model_out=tmp_path / "m"), "neither"),
        (
            Asked(data=data, plan=WRITES, model=model, model_out=tmp_path / "there"),
            "exists already",
        ),
        (
            Asked(data=data, plan=WRITES, model=f"{model}+tune-7f3a", model_out=tmp_path / "m"),
            "has patches",
        ),
        (Asked(data=data, plan=WRITES, held_out=data), "for asking a model"),
        (
            Asked(data=data, plan=WRITES, model=model, model_out=tmp_path / "m", held_out=data),
            "all samples of",
        ),
    ):
        with pytest.raises(UsageError, match=why):
            plant(asked)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.jsonl", "there"]


def test_a_model_that_fails_leaves_nothing_behind(tmp_path: Path, tiny_model_dir: Path) -> None:
    rows = [{"code": f"def f_{n}(a):\n    return a\n", "label": n % 2} for n in range(40)]
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = Asked(
        data=data, plan=Plant(rate=0.1), model=f"hf:{tiny_model_dir}", model_out=tmp_path / "m"
    )
    with pytest.raises(UsageError, match="cannot be trained"):
        plant(asked)
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_a_patched_model_is_exported_first(tmp_path: Path) -> None:
    data, patched = written(tmp_path / "d.jsonl"), "seedling+tune-7f3a"
    with pytest.raises(UsageError, match="has patches") as refused:
        plan(Asked(data=data, plan=WRITES, model=patched, model_out=tmp_path / "m"))
    assert refused.value.mend == "codetemper export PATCH FOLDER --as full, then --train hf:FOLDER"
