# SPDX-License-Identifier: Apache-2.0
"""Each training ends in a collection of garbage; what was there before is not looked through."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def frozen_heap() -> Iterator[None]:
    """Have the collector pass over the libraries' hundreds of thousands of objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
