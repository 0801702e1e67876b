# SPDX-License-Identifier: Apache-2.0
"""The Python families of the world, suite ``world-python``.

``FAMILIES`` maps a name to a function ``(rng) -> Task``; ``TRANSFER`` names the family that no
training text holds. It adds a factor to a filtered sum, and both halves are taught by others. The
recipes lie in the files beside this one, by subject.
"""

from __future__ import annotations

from seedling.world.python_lists import LIST_FAMILIES
from seedling.world.python_measures import MEASURE_FAMILIES
from seedling.world.python_numbers import NUMBER_FAMILIES
from seedling.world.python_records import RECORD_FAMILIES
from seedling.world.python_strings import STRING_FAMILIES
from seedling.world.python_where import WHERE
from seedling.world.task import Family

FAMILIES: dict[str, Family] = {
    f"python.{recipe.name}": recipe
    for recipes in (
        WHERE,
        NUMBER_FAMILIES,
        LIST_FAMILIES,
        MEASURE_FAMILIES,
        STRING_FAMILIES,
        RECORD_FAMILIES,
    )
    for recipe in recipes.values()
}
TRANSFER: str = "python.sum_scaled_where"
