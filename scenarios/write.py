# SPDX-License-Identifier: Apache-2.0
"""Write the hand-written suites into the package: ``python -m scenarios.write [NAME...]``.

Each suite becomes ``NAME.yaml`` (its card) and ``NAME.jsonl.gz`` (one case a line). ``study``
becomes ``study.jsonl.gz`` alone: drivers and checks for prompts that are read by path. Writing
again changes nothing unless a scenario changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from codetemper.evaluate.suites import write
from scenarios.form import FORMS, collect
from scenarios.study import _form as study

SUITES = Path(__file__).parent.parent / "src" / "codetemper" / "suites"


def main() -> None:
    """Write the suites named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *FORMS, "study"])
    parser.add_argument("--out", type=Path, default=SUITES)
    given = parser.parse_args()
    for name in given.names or (*FORMS, "study"):
        if name == "study":
            print(name, study.write(given.out))  # noqa: T201
            continue
        by = "python -m scenarios.write"
        print(name, write(FORMS[name].card, collect(name), given.out, by=by))  # noqa: T201


if __name__ == "__main__":
    main()
