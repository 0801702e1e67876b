# SPDX-License-Identifier: Apache-2.0
"""Against IBM's Adversarial Robustness Toolbox on the same activations, model by model.

The peer gets the features of the last layer at the token that decides, of all training samples with
their labels, and ranks them within their class (``art_runner``). So does one view of ours, on the
same numbers; the audit's own order is told beside it. Differences are paired by model.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit import encoders, truth
from benchmarks.audit.cells import Cell, Lab
from benchmarks.figures import Figure
from codetemper.core import detection

#: Environment variable that names the interpreter that has the toolbox.
VARIABLE = "CODETEMPER_ART"
#: What the peer's interpreter runs.
RUNNER = Path(__file__).with_name("art_runner.py")
NAMES = {"spectral": "spectral signatures", "activation": "activation defence"}


def interpreter() -> str | None:
    """Return the interpreter that has the toolbox, or None."""
    named = os.environ.get(VARIABLE)
    return named if named and Path(named).exists() else None


def figures(lab: Lab, cells: Sequence[Cell]) -> dict[str, Figure]:
    """Return AUROC of the peer's two defences, of ours, and the differences."""
    ours: dict[str, list[float]] = {"one view": [], "audit": []}
    theirs: dict[str, list[float]] = {name: [] for name in NAMES}
    called: list[float] = []
    for cell in cells:
        own, bad, _ = encoders.within(lab, cell)
        said = _asked(lab, cell)
        for name, scores in (("one view", encoders.single(lab, cell)), ("audit", lab.scores(cell))):
            ours[name].append(detection.auroc(scores[own & bad], scores[own & ~bad]).value)
        for name, values in theirs.items():
            scores = np.asarray(said[name])
            values.append(detection.auroc(scores[own & bad], scores[own & ~bad]).value)
        called.append(float(np.mean(np.asarray(said["called"])[own & ~bad])))
    found = {}
    for name, words in NAMES.items():
        for side, values in ours.items():
            apart = [a - b for a, b in zip(values, theirs[name], strict=True)]
            figure = truth.spread(apart, "interval above 0")
            found[f"AUROC beyond ART's {words}: {side}"] = Figure(
                figure.value, figure.low, figure.high, figure.target, figure.low > 0,
                peer=float(np.mean(theirs[name])),
            )  # fmt: skip
        found[f"ART's {words}: AUROC"] = truth.spread(theirs[name], "shown")
    found["ART's activation defence: clean samples of the class called poison"] = truth.spread(
        called, "shown"
    )
    return found


def _asked(lab: Lab, cell: Cell) -> dict[str, Any]:
    """Ask the peer, once a cell."""

    def make() -> dict[str, Any]:
        lab.audited(cell)
        features = np.load(lab.folder(cell) / "features.npy")
        labels = np.array([one.label for one in lab.written(cell).planted.samples])
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "activations.npz"
            np.savez(path, features=features, labels=labels)
            done = subprocess.run(
                [interpreter() or "", "-W", "ignore", str(RUNNER), str(path)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{cell.name}: {done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return lab.once(cell, "art", make)
