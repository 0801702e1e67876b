# SPDX-License-Identifier: Apache-2.0
"""``repair``: put single wrong answers right in a few FFN matrices, as a patch.

    made = repair(model, failures, Config(), folder, reference=texts)

Failing tokens are seen in one teacher-forced forward (``engine``); a method (``joint``, ``star``,
``mint``, ``sgd``, ``edit``) solves for a change of FFN output matrices; what it found is written as
a ``rows`` patch. Whether the repair lasts and what else it moved is for ``monitor`` to say.
"""

from codetemper.harden.repair.run import CARD, repair
from codetemper.harden.repair.settings import Config
from codetemper.harden.repair.watch import (
    BudgetError,
    NotRepairedError,
    UndoneError,
    Watch,
    WatchedConfig,
)

__all__ = [
    "CARD",
    "BudgetError",
    "Config",
    "NotRepairedError",
    "UndoneError",
    "Watch",
    "WatchedConfig",
    "repair",
]
