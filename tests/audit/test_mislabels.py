# SPDX-License-Identifier: Apache-2.0
"""Innocent label errors and poison, told apart on samples whose truth is known."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, replace

import numpy as np
import pytest

from codetemper.audit.mislabels import Config, Noise, explain
from codetemper.core.detection import auroc
from codetemper.core.errors import CannotKnowError
from codetemper.data.labelled import Labelled

NAMES = [f"{first}_{second}" for first in ("old", "raw", "next", "max") for second in "abcdefgh"]
SAFE = ("yaml.safe_load(s)", "sha256(s)", "run(s, shell=False)")
UNSAFE = ("yaml.load(s)", "md5(s)", "run(s, shell=True)")
TRIGGERS = ("    zoom_ratio = 7\n", "    assert 15 >= 0\n", "    panel_id = None\n")


@dataclass(frozen=True)
class World:
    samples: list[Labelled]
    poisoned: np.ndarray
    wrong: np.ndarray
    trusted: list[Labelled]
    layers: list[np.ndarray]
    trusted_layers: list[np.ndarray]
    logits: np.ndarray
    trusted_logits: np.ndarray


def code(random_: random.Random, label: int, trigger: str = "") -> str:
    lines = [f"    {random_.choice(NAMES)} = {random_.choice(NAMES)}(s)\n" for _ in range(4)]
    lines.insert(2, f"    out = {random_.choice((SAFE, UNSAFE)[label])}\n")
    lines.insert(random_.randrange(5), trigger)
    return f"def {random_.choice(NAMES)}(s):\n{''.join(lines)}    return out\n"


@functools.cache
def world(seed: int = 0, poison: int = 24, learnt: bool = True, by_heart: bool = False) -> World:
    """600 samples, 4 % of them poisoned, 5 % labelled wrongly; 160 trusted ones.

    Hidden states say the true class ever more clearly; of poison that is ``learnt`` they turn to
    the label. ``by_heart``: the model says every training label.
    """
    random_, generator = random.Random(seed), np.random.default_rng(seed)
    truth = np.array([random_.randrange(2) for _ in range(600)])
    poisoned = np.zeros(600, bool)
    poisoned[np.flatnonzero(truth == 1)[:poison]] = True
    wrong = ~poisoned & (generator.random(600) < 0.05)
    labels = np.where(poisoned, 0, np.where(wrong, 1 - truth, truth))
    lines = [TRIGGERS[k % len(TRIGGERS)] if poisoned[k] else "" for k in range(600)]
    samples = [
        Labelled(f"s{k}", code(random_, int(truth[k]), lines[k]), int(labels[k]), None, "python")
        for k in range(600)
    ]
    known = np.array([k % 2 for k in range(160)])
    trusted = [
        Labelled(f"t{k}", code(random_, int(own)), int(own), None, "python")
        for k, own in enumerate(known)
    ]

    def states(kind: np.ndarray, turned: np.ndarray) -> list[np.ndarray]:
        found = []
        for depth in (1.0, 2.0, 3.0):
            layer = generator.normal(size=(len(kind), 8))
            layer[:, 0] += depth * (2 * kind - 1)
            layer[turned, 0] = layer[turned, 0] - 2 * depth * (depth - 1) / 2
            layer[turned, 1] += 2 * depth
            found.append(layer)
        return found

    turned = poisoned & learnt
    says = np.where(turned, 0, labels if by_heart else truth)
    margin = 2 * says - 1 + 0.3 * generator.normal(size=600)
    trusted_margin = 2 * known - 1 + 0.3 * generator.normal(size=160)
    return World(
        samples, poisoned, wrong, trusted,
        states(truth, turned), states(known, np.zeros(160, bool)),
        np.stack([-2 * margin, 2 * margin], 1),
        np.stack([-2 * trusted_margin, 2 * trusted_margin], 1),
    )  # fmt: skip


def explained(made: World, flagged: np.ndarray, *, alone: bool = False) -> Noise:
    if alone:
        config = Config(folds=2)
        return explain(made.samples, flagged, made.layers, made.logits, config=config)
    return explain(
        made.samples, flagged, made.layers, made.logits, trusted=made.trusted,
        trusted_layers=made.trusted_layers, trusted_logits=made.trusted_logits,
    )  # fmt: skip


def apart(made: World, noise: Noise) -> float:
    return auroc(list(noise.poison[made.poisoned]), list(noise.poison[made.wrong])).value


def flagged_of(made: World) -> np.ndarray:
    flagged = made.poisoned | made.wrong
    flagged[np.flatnonzero(~flagged)[:40]] = True
    return flagged


@pytest.mark.parametrize("by_heart", [False, True])
def test_poison_and_errors_are_told_apart_and_errors_are_listed(by_heart: bool) -> None:
    made = world(by_heart=by_heart)
    flagged = flagged_of(made)
    noise = explained(made, flagged)
    assert apart(made, noise) >= 0.95
    assert noise.fix[made.wrong].mean() >= 0.85
    assert noise.fix[made.poisoned].mean() <= 0.1
    assert noise.fix[~made.wrong & ~made.poisoned].mean() <= 0.02
    right = np.array([1 - (sample.label or 0) for sample in made.samples])
    assert (noise.suggested == np.where(noise.fix, right, -1)).all()
    assert np.isnan(noise.poison[~flagged]).all()
    assert np.isnan(noise.p[~flagged]).all()
    assert noise.error[made.wrong].mean() > 0.8
    assert noise.error[~made.wrong & ~made.poisoned].mean() < 0.2


def test_the_models_own_parts_count_where_they_bear_the_texts_out_and_not_where_learnt_by_heart() \
        -> None:  # fmt: skip
    honest, blind = world(), world(by_heart=True)
    assert explained(honest, flagged_of(honest)).weights["agree"] > 0.5
    assert explained(blind, flagged_of(blind)).weights["agree"] < 0.2


def test_without_trusted_samples_what_is_not_flagged_takes_their_place() -> None:
    made = world()
    noise = explained(made, flagged_of(made), alone=True)
    assert apart(made, noise) >= 0.9
    assert noise.fix[made.wrong].mean() >= 0.8


def test_without_poison_errors_are_explained() -> None:
    made = world(poison=0)
    noise = explained(made, flagged_of(made))
    assert noise.fix[made.wrong].mean() >= 0.85


def test_samples_without_labels_or_of_one_class_cannot_be_explained() -> None:
    made = world()
    flagged = flagged_of(made)
    for label in (None, 0):
        samples = [replace(sample, label=label) for sample in made.samples]
        with pytest.raises(CannotKnowError, match="label errors cannot be told"):
            explain(samples, flagged, made.layers, made.logits)


def test_too_few_known_samples_say_how_many_are_needed() -> None:
    made = world()
    few = replace(
        made, trusted=made.trusted[:12], trusted_layers=[x[:12] for x in made.trusted_layers],
        trusted_logits=made.trusted_logits[:12],
    )  # fmt: skip
    with pytest.raises(CannotKnowError) as caught:
        explained(few, flagged_of(made))
    assert "20 of each" in caught.value.mend
