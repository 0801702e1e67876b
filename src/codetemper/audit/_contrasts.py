# SPDX-License-Identifier: Apache-2.0
"""What ``mislabels`` compares: samples, beside errors that are made by relabelling known ones.

Each of four parts is a number a sample, higher for poison. Made errors are reference samples under
every label that is not theirs. The reference is measured from one half of itself by the other, so
that it is as far from its classes as samples are that it was not fitted to. Nothing here combines
the parts or decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import logsumexp, softmax

from codetemper.audit.calibration import Flags, Labels
from codetemper.audit.marks import Marks
from codetemper.audit.reader import SKILL, Reader, fit
from codetemper.audit.triggers import Field, Test, frequent, p_values
from codetemper.core.detection import auroc
from codetemper.core.errors import CannotKnowError
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled

#: Fewest samples of a class in each half of the reference.
LEAST = 10
#: Fewest other samples that a shared text counts of.
_OTHERS = 2
#: How sure a reader has to be of a class. Where it hesitates it errs, and what it errs on has
#: words in common too.
SURE = 0.8
#: Smallest p-value that is told from 0.
_TINY = 1e-300


@dataclass(frozen=True)
class Material:
    """Samples with what the model makes of them.

    Attributes:
        samples: n of them.
        labels: [n].
        layers: features [n, k], first layer to last.
        logits: [n, C] or None.
    """

    samples: Sequence[Labelled]
    labels: Labels
    layers: Sequence[Floats]
    logits: Floats | None

    def part(self, rows: npt.NDArray[np.int64]) -> Material:
        """Return some of the samples."""
        return Material(
            [self.samples[row] for row in rows],
            self.labels[rows],
            [layer[rows] for layer in self.layers],
            None if self.logits is None else self.logits[rows],
        )


@dataclass(frozen=True)
class Side:
    """Samples under labels, with the parts of each by name [n]."""

    labels: Labels
    parts: dict[str, Floats]


@dataclass(frozen=True)
class Contrast:
    """Samples beside made errors.

    Attributes:
        error: chance that the label is wrong [n].
        seen: the class that their content has [n].
        real: the samples.
        made: the made errors.
        field: the samples as they are searched for texts.
    """

    error: Floats
    seen: Labels
    real: Side
    made: Side
    field: Field


def contrast(
    material: Material,
    flagged: Flags,
    trusted: Material | None,
    *,
    folds: int,
    seed: int,
) -> Contrast:
    """Compare samples with made errors.

    Args:
        material: the suspected samples.
        flagged: [n] those that stand out.
        trusted: the reference; None: the samples that are not flagged.
        folds: parts of the reference, each measured by the others.
        seed: of the folds.
    """
    rows = np.flatnonzero(~flagged)
    reference = trusted if trusted is not None else material.part(rows)
    _refuse(material, reference)
    classes = np.unique(reference.labels)
    parts = _folds(reference.labels, folds, seed)
    near = [_crossed(layer, reference.labels, parts) for layer in reference.layers]
    far = [
        distances(known, reference.labels, layer)
        for known, layer in zip(reference.layers, material.layers, strict=True)
    ]
    if trusted is None:
        for layer, own in zip(far, near, strict=True):
            layer[rows] = own
        field = _lone_field(material, reference, rows, parts, seed)
    else:
        field = Field.of(material.samples, reference.samples, seed=seed)
    chance = field.chance
    if chance is None:
        chance = _by_layers(far, near, reference.labels)
    column = np.searchsorted(classes, material.labels)
    origin, made_column = np.nonzero(reference.labels[:, None] != classes)
    beside = field.marks.beside(reference.samples)[origin]
    made = Side(classes[made_column], _profile([layer[origin] for layer in near], made_column))
    real = Side(material.labels, _profile(far, column))
    if material.logits is not None and reference.logits is not None:
        real.parts["agree"] = _margin(material.logits, material.labels)
        made.parts["agree"] = _margin(reference.logits[origin], made.labels)
    tests = _tests(field, classes, chance, flagged)
    real.parts["shared"] = _shared(field, tests, field.marks.matrix, real.labels, own=True)
    made.parts["shared"] = _shared(field, tests, beside, made.labels, own=False)
    error = 1 - chance[np.arange(len(column)), column]
    return Contrast(error, classes[chance.argmax(axis=1)], real, made, field)


def _refuse(material: Material, reference: Material) -> None:
    strange = set(np.unique(material.labels)) - set(np.unique(reference.labels))
    counts = np.unique(reference.labels, return_counts=True)[1]
    if strange or len(counts) < 2 or counts.min() < 2 * LEAST:
        raise CannotKnowError(
            "label errors cannot be told",
            why=f"no known samples have label {min(strange)}"
            if strange
            else f"the smallest class has {int(counts.min())} known samples",
            mend=f"give trusted samples of every class, {2 * LEAST} of each at least",
        )


def distances(known: Floats, labels: Labels, points: Floats) -> Floats:
    """Return squared Mahalanobis distances to the classes of known samples, a dimension.

    Args:
        known: [m, k].
        labels: theirs [m].
        points: [n, k].

    Returns:
        [n, C], by one covariance within classes (Ledoit-Wolf), over k.
    """
    from sklearn.covariance import ledoit_wolf

    known, points = np.asarray(known, np.float64), np.asarray(points, np.float64)
    means = np.stack([known[labels == own].mean(axis=0) for own in np.unique(labels)])
    # A layer in which nothing varies says nothing, and is not divided by 0.
    scale = np.maximum(known.std(axis=0), 1e-12 * max(float(np.abs(known).max()), 1.0))
    within = (known - means[np.searchsorted(np.unique(labels), labels)]) / scale
    covariance = ledoit_wolf(within, assume_centered=True)[0]
    factor = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))
    away = (points[:, None, :] - means) / scale
    white = np.linalg.solve(factor, away.reshape(-1, len(scale)).T)
    return (white**2).mean(axis=0).reshape(len(points), len(means))


def _crossed(layer: Floats, labels: Labels, parts: Labels) -> Floats:
    found = np.empty((len(labels), len(np.unique(labels))))
    for part in np.unique(parts):
        inside = parts == part
        found[inside] = distances(layer[~inside], labels[~inside], layer[inside])
    return found


def _folds(labels: Labels, count: int, seed: int) -> Labels:
    """Share every class out evenly."""
    generator = np.random.default_rng(seed)
    parts = np.empty(len(labels), np.int64)
    for own in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == own))
        parts[rows] = np.arange(len(rows)) % count
    return parts


def _lone_field(
    material: Material, reference: Material, rows: Labels, parts: Labels, seed: int
) -> Field:
    """Read samples without trusted ones: what is not flagged says what a class is like.

    Returns:
        The samples as they are searched; the chance of a class by a reader that did not see the
        sample.
    """
    marks, reader = Marks.of(material.samples), fit(reference.samples, seed=seed)
    if not reader.skilled:
        return _lone(material, marks, material.labels, None, None)
    chance = reader.probabilities(material.samples)
    for part in np.unique(parts):
        others = reference.part(np.flatnonzero(parts != part)).samples
        chance[rows[parts == part]] = fit(others, seed=seed).probabilities(
            reference.part(np.flatnonzero(parts == part)).samples
        )
    return _lone(material, marks, reader.classes[chance.argmax(axis=1)], chance, reader)


def _lone(
    material: Material, marks: Marks, seen: Labels, chance: Floats | None, reader: Reader | None
) -> Field:
    labels = material.labels
    usable = {int(own): frequent(marks.matrix, labels == own) for own in np.unique(labels)}
    return Field(
        samples=material.samples, labels=labels, marks=marks, seen=seen, chance=chance,
        usable=usable, natural={own: marks.numbers[:0] for own in usable}, reader=reader,
    )  # fmt: skip


def _by_layers(far: Sequence[Floats], near: Sequence[Floats], known: Labels) -> Floats:
    """Return the chance of every class by the layers [n, C], where the text does not say it."""
    closeness = -np.mean(near, axis=0)
    closeness -= closeness.mean(axis=1, keepdims=True)
    skill = min(
        auroc(list(closeness[known == own, place]), list(closeness[known != own, place])).value
        for place, own in enumerate(np.unique(known))
    )
    if skill < SKILL:
        raise CannotKnowError(
            "label errors cannot be told",
            why="neither the text nor the model's layers say what class a sample has "
            f"(AUROC {skill:.2f} on known samples)",
            mend="give more trusted samples",
        )
    return np.asarray(softmax(-np.mean(far, axis=0) / float(closeness.std()), axis=1))


def _profile(distance: Sequence[Floats], column: Labels) -> dict[str, Floats]:
    """Return how far samples are from every class, and whether they turn towards their label."""
    apart = np.mean([np.log(np.maximum(layer.min(axis=1), 1e-12)) for layer in distance], axis=0)
    if len(distance) < 2:
        return {"apart": apart}
    rows = np.arange(len(column))
    towards = []
    for layer in distance:
        others = layer.copy()
        others[rows, column] = np.inf
        towards.append(others.min(axis=1) - layer[rows, column])
    depth = np.linspace(-1, 1, len(distance))
    return {"apart": apart, "depth": np.asarray(depth @ np.stack(towards))}


def _margin(logits: Floats, labels: Labels) -> Floats:
    """Return by how much the logits speak for the labels, as log-odds."""
    chance = logits - logsumexp(logits, axis=1, keepdims=True)
    rows = np.arange(len(labels))
    others = chance.copy()
    others[rows, labels] = -np.inf
    return np.asarray(chance[rows, labels] - logsumexp(others, axis=1))


def _shared(
    field: Field, tests: Sequence[Test], held: sparse.csr_array, labels: Labels, *, own: bool
) -> Floats:
    """Return how surprising the texts are that a sample shares with those that speak.

    Args:
        field: the samples that are searched.
        tests: what makes them speak, of every label.
        held: which marks the samples that are asked about hold [n, marks].
        labels: theirs [n].
        own: whether these are the samples of the field, each then left out of its own test.

    Returns:
        -log10 of the least p-value of a mark, over the tests of the label [n].
    """
    found = np.zeros(len(labels))
    for label in np.unique(labels):
        asked = [test for test in tests if test.target == label]
        mine = labels == label
        for test in asked:
            rows = test.speaking & mine if own else np.zeros(len(labels), np.bool_)
            for chosen, without in ((rows, 1), (mine & ~rows, 0)):
                places = np.flatnonzero(chosen)
                if len(places):
                    score = _surprise(field, test, without) - np.log10(len(asked))
                    found[places] = np.maximum(found[places], _largest(held[places], score))
    return found


def _tests(field: Field, classes: Labels, chance: Floats, flagged: Flags) -> list[Test]:
    """Of the samples that have another class by content: which have the label all the same?"""
    if field.reader is None:
        return field.tests(flagged)
    found = []
    for place, own in enumerate(classes):
        others = np.delete(chance, place, axis=1).max(axis=1) > SURE
        found.append(Test("contradicted", int(own), others, others & (field.labels == own)))
    return found


def _surprise(field: Field, test: Test, without: int) -> Floats:
    """Return -log10 p of every mark, with one sample that holds it and speaks left out [k]."""
    p = p_values(field, test, _OTHERS, without=without)
    return np.asarray(-np.log10(np.maximum(p, _TINY)))


def _largest(held: sparse.csr_array, score: Floats) -> Floats:
    values = np.append(score[held.indices], 0.0)
    found = np.maximum.reduceat(values, held.indptr[:-1]) if held.shape[0] else np.zeros(0)
    return np.where(np.diff(held.indptr) > 0, found, 0.0)
