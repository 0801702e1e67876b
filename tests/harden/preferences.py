# SPDX-License-Identifier: Apache-2.0
"""Pairs of answers of a few tokens, and one round on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codetemper.core.records import PreferencePair
from codetemper.harden.refine import Config, RefineResult, refine
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import save_patch

FAST = Config(rank=4, alpha=8, epochs=4, batch_size=4, learning_rate=1e-2, max_length=64)


def pair(number: int, **changes: Any) -> PreferencePair:
    """Return a pair; each two have a prompt in common, and lengths differ."""
    values: dict[str, Any] = {
        "id": str(number),
        "case": f"add/{number // 2}",
        "prompt": f"def add_{number // 2}(a, b):\n",
        "chosen": f"    return a + b + {10**number}\n",
        "rejected": f"    return a - {number}\n",
        "language": "python",
        "because": "execution",
    }
    return PreferencePair(**values | changes)


PAIRS = tuple(pair(number) for number in range(8))


def run(
    model: LoadedModel,
    folder: Path,
    config: Config = FAST,
    pairs: Sequence[PreferencePair] = PAIRS,
    **given: Any,
) -> RefineResult:
    """Train one round into a new folder, and make a patch of it."""
    folder.mkdir()
    result = refine(model, pairs, config, folder, **given)
    save_patch(
        folder, verb="refine", technique="refine", base="hf:tiny", base_digest=model.digest,
        config=config.model_dump(mode="json"), seconds=1.0, seed=0,
    )  # fmt: skip
    return result
