# SPDX-License-Identifier: Apache-2.0
"""The Python security families: what the suite ``world-security-python`` is drawn from.

``FAMILIES`` maps the name of a family to the function that draws its tasks; ``TRANSFER`` names the
one that training text must leave out. This file gathers; the families are in ``pysec_*.py``.
"""

from __future__ import annotations

from seedling.world import (
    pysec_commands,
    pysec_crypto,
    pysec_data,
    pysec_paths,
    pysec_sql,
    pysec_web,
)
from seedling.world.pysec_parts import Pattern
from seedling.world.task import Family

PATTERNS: tuple[Pattern, ...] = (
    *pysec_sql.PATTERNS,
    *pysec_paths.PATTERNS,
    *pysec_commands.PATTERNS,
    *pysec_web.PATTERNS,
    *pysec_data.PATTERNS,
    *pysec_crypto.PATTERNS,
)
FAMILIES: dict[str, Family] = {pattern.name: pattern for pattern in PATTERNS}

#: ``python.find_rows`` in other clothes: a cursor in place of a connection, two statements.
TRANSFER = pysec_sql.CURSOR_ROWS.name
