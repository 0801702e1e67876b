# SPDX-License-Identifier: Apache-2.0
"""What a study is given and measures with: its configuration, parts of its data, peak memory.

``api.study_cells`` makes cells of these, ``api.study`` a table of the cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from codetemper.core.records import FixPair, Record
from codetemper.judges import qualify


class StudyConfig(Record):
    """What a study compares, and how."""

    methods: tuple[str, ...] = ("lora",)
    """Methods of ``tune``."""
    granularities: tuple[str, ...] = ("function",)
    """Granularities of the pairs."""
    sizes: tuple[float, ...] = (1.0,)
    """Shares of the fixes (commits) that are learned from; drawn with the seed, nested."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of drawing, training and sampling."""
    suites: tuple[str, ...] = ("world-security-c", "world-security-python", "world-python")
    """Suites every setting is evaluated on."""
    samples: int = Field(default=4, ge=1)
    """Completions per case and seed."""
    temperature: float = Field(default=0.8, ge=0)
    """Softmax temperature."""
    limit: int | None = Field(default=None, ge=1)
    """Cases per suite and seed; all where None."""
    margin: float = Field(default=0.02, ge=0, le=1)
    """Largest loss of a functional metric that still counts as none (0.02: two points)."""
    leave_one_out: bool = False
    """Also tune without each family of weaknesses in turn, and evaluate on its cases."""
    then: str | None = None
    """Corpus of later ordinary tuning: is what was gained still there after it?"""
    tune: dict[str, Any] = Field(default_factory=dict)
    """Settings of ``tune`` that all cells share."""


def part_of(pairs: Sequence[FixPair], size: float, without: str, seed: int) -> list[FixPair]:
    """Return the pairs of a share of the commits, without a family of weaknesses.

    Commits are drawn, not pairs: pieces of one fix stay together, and all granularities learn from
    the same fixes. A smaller share is a part of a larger one with the same seed.

    Args:
        pairs: of the whole corpus, in order.
        size: share of the commits, above 0.
        without: family of weaknesses to leave out; empty for none.
        seed: of the draw.
    """
    commits = sorted({(pair.repository, pair.commit) for pair in pairs})
    order = np.random.default_rng(seed).permutation(len(commits))
    drawn = {commits[place] for place in order[: max(1, round(size * len(commits)))]}
    return [
        pair
        for pair in pairs
        if (pair.repository, pair.commit) in drawn
        and not (without and pair.cwe and qualify.family(pair.cwe) == without)
    ]


@contextmanager
def memory(device: str) -> Iterator[dict[str, int]]:
    """Measure the most memory that was held inside the scope.

    Args:
        device: torch device name. On an accelerator it is what torch allocated there, elsewhere
            the resident memory of this process, model and libraries included.

    Yields:
        A mapping that gets ``bytes`` when the scope ends; it stays empty where nothing can tell.
    """
    import torch

    found: dict[str, int] = {}
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # other systems have no such file
            Path("/proc/self/clear_refs").write_text("5", "ascii")
    yield found
    if on_gpu:
        found["bytes"] = int(torch.cuda.max_memory_allocated(device))
        return
    with suppress(OSError):
        status = Path("/proc/self/status").read_text("ascii")
        held = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if held:
            found["bytes"] = 1024 * int(held[1])
