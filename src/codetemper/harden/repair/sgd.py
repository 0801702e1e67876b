# SPDX-License-Identifier: Apache-2.0
r"""Plain gradient steps on the FFN output matrices: what other methods have to beat.

.. math:: W_l \leftarrow W_l - \eta \, \partial L / \partial W_l

with L the mean cross-entropy of all answer tokens together, or of one failing token after the other
(``Config.iterative``). No momentum and no decay; ten steps of 0.01 (2312.05356 and 2503.12899 use
it so as a baseline). Same matrices, same neurons, same account as ``star``.
"""

from __future__ import annotations

from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.descent import descend
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.task import Task

#: Step size of the papers' code.
STEP = 1e-2


def solve(engine: Engine, task: Task) -> Edit:
    """Repair by gradient steps.

    Args:
        engine: the model; as before afterwards, bit for bit.
        task: what is to be repaired, and ``rounds``, ``step`` and ``iterative`` of its settings.

    Raises:
        UsageError: the steps made the model compute something that is not a number.
    """
    size = task.config.step or STEP
    return descend(engine, task, lambda seen: lambda layer, slope, keys: -size * slope)
