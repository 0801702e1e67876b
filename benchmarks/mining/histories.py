# SPDX-License-Identifier: Apache-2.0
"""What real histories give, and how much of it is what it is said to be.

``figures`` mines whole histories with the ordinary settings. ``checked`` counts ``handcheck.csv``:
fifty pairs drawn by chance (``random.Random(77)``) from the curated corpus of libexpat, curl, redis
and ImageMagick, each read by a person with its message and its whole difference:

    fix    yes      the function's own change repairs a weakness or undefined behaviour
           beside   the commit repairs one, this function's change only goes with it
           unclear  it may
           no       neither
    label  whether the weakness named is the one that the commit repairs; empty without one

Vocabulary was mended after a first, other sample of fifty (strictly 26 of 50); this one was drawn
anew afterwards. One reader, so there is no measure of agreement.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.figures import Figure
from codetemper.core.stats import wilson
from codetemper.data.mine import MineConfig, Sources, mine

CHECKED = Path(__file__).with_name("handcheck.csv")
#: Quality from which on pairs are counted apart.
GOOD = 0.7


def figures(repositories: Mapping[str, Path]) -> dict[str, Figure]:
    """Mine each history as a user would; nothing is asked of the numbers."""
    found = {}
    for name, folder in repositories.items():
        with tempfile.TemporaryDirectory() as scratch:
            result = mine(Sources((folder,)), MineConfig(), Path(scratch))
        pairs = len(result.pairs)
        labelled = pairs - result.by_cwe.get("unknown", 0)
        words = (
            f"shown: functions of {result.commits_kept} of {result.commits_seen} commits, "
            f"{labelled} with a weakness; {result.seconds:.0f} s"
        )
        found[f"{name}: pairs"] = Figure(pairs, pairs, pairs, words, True)
    return found


def checked() -> dict[str, Figure]:
    """Return the shares of right pairs and right labels, with Wilson's intervals."""
    with CHECKED.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    good = [row for row in rows if float(row["quality"]) >= GOOD]
    labelled = [row for row in rows if row["label"]]
    return {
        "the function is a vulnerability fix": _share(rows, lambda row: row["fix"] == "yes"),
        f"the same, of quality {GOOD} and more": _share(good, lambda row: row["fix"] == "yes"),
        "its commit is one": _share(rows, lambda row: row["fix"] in ("yes", "beside")),
        "the weakness named is right": _share(labelled, lambda row: row["label"] == "right"),
    }


def _share(rows: list[dict[str, str]], right: Callable[[dict[str, str]], bool]) -> Figure:
    hits = sum(map(right, rows))
    low, high = wilson(hits, len(rows))
    return Figure(hits / len(rows), low, high, f"shown: {hits} of {len(rows)}", True)
