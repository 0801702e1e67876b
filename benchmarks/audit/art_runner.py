# SPDX-License-Identifier: Apache-2.0
"""Rank activations as IBM's Adversarial Robustness Toolbox does; run by the peer's interpreter.

    PYTHON art_runner.py ACTIVATIONS.npz

The file has ``features`` [n, d] and ``labels`` [n]. Prints one JSON document: of each sample the
score of ``SpectralSignatureDefense``, and of ``ActivationDefence`` with its defaults whether it is
called poison, and how much nearer it is to the middle of the poisonous cluster than to that of the
other one of its class. The package is not imported here.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from art.defences.detector.poison import ActivationDefence, SpectralSignatureDefense


class Known:
    """A classifier whose activations are known beforehand: its inputs are their numbers."""

    layer_names = ("features",)
    nb_classes = 2

    def __init__(self, features: np.ndarray) -> None:
        self._features = features

    def get_activations(self, x: np.ndarray, layer: Any, batch_size: int, **rest: Any) -> Any:
        """Return the rows that are asked for."""
        return self._features[np.asarray(x).ravel()]


def spectral(known: Known, numbers: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return every sample's score: with the whole of a class expected, all are reported."""
    defence = SpectralSignatureDefense(
        known, numbers, labels, expected_pp_poison=1.0, eps_multiplier=1.0
    )
    report, _ = defence.detect_poison()
    return [float(report[number]) for number in range(len(labels))]


def clustered(
    known: Known, numbers: np.ndarray, labels: np.ndarray
) -> tuple[list[bool], list[float]]:
    """Return what is called poison, and a graded reading of the same clusters."""
    defence = ActivationDefence(known, numbers, labels)
    _, is_clean = defence.detect_poison()
    poison = [not clean for clean in is_clean]
    nearer = np.zeros(len(labels))
    for label, reduced in enumerate(defence.red_activations_by_class):
        own = np.flatnonzero(labels == label)
        said = np.array([poison[n] for n in own])
        points = np.asarray(reduced)
        if said.any() and not said.all():
            far, near = (
                np.linalg.norm(points - points[part].mean(0), axis=1) for part in (~said, said)
            )
            nearer[own] = far - near
    return poison, nearer.tolist()


def main() -> None:
    """Rank the activations of a file."""
    with np.load(sys.argv[1]) as given:
        features, labels = given["features"].astype(np.float64), given["labels"]
    # Its clustering has no seed of its own.
    np.random.seed(0)
    known, numbers = Known(features), np.arange(len(labels)).reshape(-1, 1)
    poison, nearer = clustered(known, numbers, labels)
    found = {"spectral": spectral(known, numbers, labels), "called": poison, "activation": nearer}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
