# SPDX-License-Identifier: Apache-2.0
"""Write the world's suites: ``python -m seedling.suites [--out DIR] [--seed N]``.

Each suite becomes ``NAME.yaml`` (its card) and ``NAME.jsonl.gz`` (one case a line). The bytes
depend on the seed alone: running it again changes nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from codetemper.core.records import SuiteCard
from codetemper.evaluate.suites import write
from seedling.world.corpus import WORLDS, cases

SUITES = Path(__file__).parent.parent / "src" / "codetemper" / "suites"
#: The seed of everything the package ships.
SEED = 20_24


def write_suite(name: str, seed: int, out: Path) -> str:
    """Write one suite and return the short digest of its cases."""
    world = WORLDS[name]
    card = SuiteCard(
        name=name,
        summary=world.summary,
        language=world.language,
        metrics=world.metrics,
        cases=f"{name}.jsonl.gz",
        source=f"seedling world, seed {seed}",
        max_new_tokens=world.max_new_tokens,
    )
    return write(card, cases(name, seed), out, by="python -m seedling.suites")


def main() -> None:
    """Write all suites and tell their digests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=SUITES)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in WORLDS:
        print(name, write_suite(name, arguments.seed, arguments.out))  # noqa: T201


if __name__ == "__main__":
    main()
