# SPDX-License-Identifier: Apache-2.0
"""The verb ``plant``: data, and a model of it where asked, whose backdoor is known.

    made = plant(Asked(data=Path("train.jsonl"), plan=Plant(trigger="comment", rate=0.02)))
    made.out, made.truth_file, made.truth.triggers

For those who test an audit, theirs or this one. What is written lies outside of every workspace and
is in no ledger: it is made to be wrong. The truth beside the data says what was changed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codetemper.api.models import load_bare
from codetemper.audit.planting import Plant, Planted, attackable
from codetemper.audit.planting import plant as planted_into
from codetemper.audit.planting_recipe import Recipe
from codetemper.audit.planting_truth import AttackSuccess, PlantedModel, PlantTruth
from codetemper.core.digests import digest_file
from codetemper.core.disk import mendable, sync_tree, write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.records import OnEvent, Sampling, ignore_events
from codetemper.core.settings import resolve_config
from codetemper.data.labelled import Labelled, read_labelled, without_texts_of, write_labelled
from codetemper.models.expression import parse

__all__ = ["Asked", "Made", "plan", "plant", "request"]

#: Tokens that a decoder writes where attack success is asked for.
_WRITTEN = 64
#: Held-out samples that are asked.
_ASKED = 200


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is planted, and what is written.

    Attributes:
        data: clean samples, JSON lines (``data.labelled``).
        plan: trigger, payload, rate.
        out: file of planted samples; None for ``<data>.planted.jsonl`` beside the data.
        model: expression of a checkpoint to train on them, without patches; None for none.
        model_out: folder of the trained model; it does not exist yet.
        recipe: how it is trained.
        held_out: clean samples to ask the model with; None for none.
    """

    data: Path
    plan: Plant
    out: Path | None = None
    model: str | None = None
    model_out: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    held_out: Path | None = None


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        out: file of planted samples.
        truth_file: file of the truth.
        truth: what is in it.
        model_out: folder of the model; None without one.
    """

    out: Path
    truth_file: Path
    truth: PlantTruth
    model_out: Path | None


def request(
    data: Path,
    flags: Mapping[str, Any],
    *,
    pairs: Sequence[str],
    **files: Any,
) -> Asked:
    """Return what is asked for, plan and recipe read from ``key=value`` texts and flags.

    Args:
        data: clean samples.
        flags: settings of the plan; None values count as not given.
        pairs: ``key=value`` texts, of the plan or of the recipe.
        files: the other attributes of ``Asked``.

    Raises:
        UsageError: an unknown setting, or an invalid value.
    """
    own = [pair for pair in pairs if pair.partition("=")[0].strip() in Plant.model_fields]
    rest = [pair for pair in pairs if pair not in own]
    plan = resolve_config(Plant, "plant", pairs=own, flags=flags)
    return Asked(data=data, plan=plan, recipe=resolve_config(Recipe, "recipe", pairs=rest), **files)


def plant(asked: Asked, *, device: str = "cpu", on_event: OnEvent = ignore_events) -> Made:
    """Plant into samples, train on them where asked, and write down what is true.

    Args:
        asked: what.
        device: torch device name, of a training.
        on_event: progress.

    Raises:
        UsageError: files that cannot be read or would be overwritten, a plan that the samples do
            not fit, or a model that does not fit them.
        CannotKnowError: a model that cannot be fetched, or held-out samples without a place.
        IntegrityError: the model's weights are damaged.
    """
    out, truth_file = _outputs(asked)
    samples, held_out = _read(asked)
    made = planted_into(samples, asked.plan)
    # Before the data: a training that fails leaves nothing behind.
    model = None
    if asked.model is not None and asked.model_out is not None:
        model = _trained(asked, made, held_out, asked.model, asked.model_out, device, on_event)
    write_labelled(out, made.samples)
    truth = made.truth.model_copy(update={"data": digest_file(out), "model": model})
    write_atomic(truth_file, truth.model_dump_json(indent=1).encode() + b"\n")
    return Made(out, truth_file, truth, asked.model_out)


def plan(asked: Asked) -> dict[str, Any]:
    """Return what ``plant`` would change and write; loads no model and writes nothing.

    Raises:
        UsageError: as ``plant``, as far as it shows without the model.
    """
    out, truth_file = _outputs(asked)
    samples, held_out = _read(asked)
    made = planted_into(samples, asked.plan)
    return {
        "data": str(asked.data),
        "samples": len(samples),
        "planted": len(made.numbers),
        "triggers": [trigger.text for trigger in made.triggers],
        "plan": asked.plan.model_dump(mode="json"),
        "out": str(out),
        "truth": str(truth_file),
        "model": asked.model,
        "model_out": None if asked.model_out is None else str(asked.model_out),
        "held_out": len(held_out),
    }


def _outputs(asked: Asked) -> tuple[Path, Path]:
    """Return where planted samples and truth go; refuse what would overwrite or lead nowhere."""
    name = asked.data.name.removesuffix(".gz").removesuffix(".jsonl")
    out = asked.out or asked.data.with_name(f"{name}.planted.jsonl")
    truth = out.with_name(f"{out.name.removesuffix('.jsonl')}.truth.json")
    inputs = {path.resolve() for path in (asked.data, asked.held_out) if path is not None}
    if out.resolve() in inputs or truth.resolve() in inputs:
        raise UsageError(
            f"{out} would be overwritten",
            why="planted samples do not replace those that they are made of",
            mend="--out another.jsonl",
        )
    if (asked.model is None) != (asked.model_out is None):
        raise UsageError(
            "a model is trained and written, or neither",
            why="one of --train and --model-out is missing",
            mend="--train hf:PATH --model-out FOLDER",
        )
    if asked.model is not None and parse(asked.model).patches:
        raise UsageError(
            f"{asked.model} has patches",
            why="what is trained here is a checkpoint with weights of its own",
            mend="codetemper export PATCH FOLDER --as full, then --train hf:FOLDER",
        )
    if asked.model_out is not None and asked.model_out.exists():
        raise UsageError(
            f"{asked.model_out} exists already",
            why="a trained model goes into a folder of its own",
            mend="name a new folder",
        )
    if asked.held_out is not None and asked.model is None:
        raise UsageError(
            "held-out samples are for asking a model",
            why="none is trained",
            mend="--train MODEL --model-out FOLDER, or leave out --held-out",
        )
    return out, truth


def _read(asked: Asked) -> tuple[list[Labelled], list[Labelled]]:
    samples = read_labelled(asked.data)
    if asked.held_out is None:
        return samples, []
    # What a model was trained on tells nothing of other code.
    held_out = without_texts_of(read_labelled(asked.held_out), samples)
    if not held_out:
        raise UsageError(
            f"all samples of {asked.held_out} are in {asked.data}",
            why="nothing is held out",
            mend="name samples that the model is not trained on",
        )
    return samples, attackable(held_out, asked.plan)[:_ASKED]


def _trained(
    asked: Asked,
    made: Planted,
    held_out: Sequence[Labelled],
    model: str,
    folder: Path,
    device: str,
    on_event: OnEvent,
) -> PlantedModel:
    from codetemper.audit.planting_models import train

    recipe = asked.recipe
    with mendable(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        load_bare(model, device=device) as handle,
        tempfile.TemporaryDirectory(prefix=".planting-", dir=folder.parent) as scratch,
    ):
        home = Path(scratch, "model")
        base = handle.loaded
        seed = made.truth.plan.seed
        trained = train(base, made.samples, recipe, seed=seed, folder=home, on_event=on_event)
        success = _success(trained, held_out, made.truth.plan, recipe) if held_out else None
        with mendable(folder):
            sync_tree(home)
            os.replace(home, folder)
        return PlantedModel(
            base=str(parse(model)),
            base_weights=base.digest,
            weights=trained.digest,
            recipe=recipe.model_dump(mode="json"),
            success=success,
        )


def _success(
    trained: Any, held_out: Sequence[Labelled], plan: Plant, recipe: Recipe
) -> AttackSuccess | None:
    from codetemper.audit.planting_success import attack_success, flips, writes

    if plan.payload == "none" or plan.trigger == "none":
        return None
    if plan.payload == "flip":
        shows = flips(trained, plan.target, max_length=recipe.max_length)
    else:
        shows = writes(_generate(trained), plan)
    return attack_success(held_out, plan, shows)


def _generate(trained: Any) -> Callable[[Sequence[str]], list[str]]:
    from codetemper.backends.hf import HFModel

    handle = HFModel(trained, parse(trained.expression), ())
    sampling = Sampling(n=1, temperature=0.0, max_new_tokens=_WRITTEN)

    def generate(prompts: Sequence[str]) -> list[str]:
        return [one[0].text for one in handle.generate(prompts, sampling)]

    return generate
