# SPDX-License-Identifier: Apache-2.0
"""The C security families of the world: what ``corpus.py`` draws training text and cases from.

The families are shapes in ``c_bounds.py``, ``c_reads.py``, ``c_lifetimes.py``, ``c_null.py``,
``c_numbers.py`` and ``c_outside.py``. This file only gathers them; it writes nothing.
"""

from __future__ import annotations

from seedling.world import c_bounds, c_lifetimes, c_null, c_numbers, c_outside, c_reads
from seedling.world.c_shape import Shape
from seedling.world.task import Family

SHAPES: dict[str, Shape] = {
    shape.name: shape
    for module in (c_bounds, c_reads, c_lifetimes, c_null, c_numbers, c_outside)
    for shape in module.SHAPES
}

FAMILIES: dict[str, Family] = dict(SHAPES)

TRANSFER: str = "c.label_record"
"""Never in training text: ``c.copy_field`` with a record in the place of a bare buffer."""
