# SPDX-License-Identifier: Apache-2.0
"""Fix pairs made up for tests: functions with many different tokens, and copies of them."""

from __future__ import annotations

import random

from codetemper.core.records import FixPair


def function(seed: int, lines: int = 30, *, fixed: bool = True) -> str:
    """Return a C function; other seeds have hardly a 3-gram in common."""
    draw = random.Random(seed)
    body = [
        f"  v{draw.randrange(10**6)} = g{draw.randrange(10**6)}(a{draw.randrange(10**6)}, "
        f"{draw.randrange(10**6)});"
        for _ in range(lines)
    ]
    if fixed:
        body.insert(lines // 2, f"  if (n{seed} > {draw.randrange(10**6)}) return;")
    return f"void f{seed}(int n{seed}) {{\n" + "\n".join(body) + "\n}\n"


def fix(seed: int, **changes: object) -> FixPair:
    """Return a pair whose fix adds a check."""
    plain = {
        "id": f"pair-{seed:06d}",
        "language": "c",
        "before": function(seed, fixed=False),
        "after": function(seed),
        "body_start": 0,
        "name": f"f{seed}",
        "path": "a.c",
        "repository": f"project-{seed}",
        "commit": f"{seed:040x}",
        "date": "2020-01-01T00:00:00+00:00",
    }
    return FixPair.model_validate({**plain, **changes})


def edited(text: str, share: float, seed: int = 0) -> str:
    """Return a text with another number in this share of its lines."""
    draw = random.Random(seed)
    lines = text.split("\n")
    inner = [i for i, line in enumerate(lines) if " = " in line]
    for i in draw.sample(inner, round(share * len(inner))):
        lines[i] = lines[i].rsplit(" ", 1)[0] + f" {draw.randrange(10**6, 10**7)});"
    return "\n".join(lines)
