# SPDX-License-Identifier: Apache-2.0
"""What trusted samples say of a class: also where a number says it."""

from __future__ import annotations

from codetemper.audit.reader import fit
from codetemper.data.labelled import Labelled

SIDES = ("0o600", "0o777")


def sample(number: int, label: int) -> Labelled:
    text = f"def f{number}(path):\n    x{number} = {number}\n    os.chmod(path, {SIDES[label]})\n"
    return Labelled(f"{number}-{label}", text, label, None, "python")


def test_a_number_alone_can_tell_a_class() -> None:
    reader = fit([sample(number, number % 2) for number in range(60)], seed=0)
    assert reader.skill.value > 0.95
    like = sample(100, 0)
    said = reader.probabilities([sample(101, 0), sample(102, 1)])
    assert said[0, 0] > 0.6
    assert said[1, 1] > 0.6
    assert reader.evidence("os.chmod(target, 0o600)", 0, like) > 0
    assert reader.evidence("os.chmod(target, 0o777)", 0, like) < 0
