# SPDX-License-Identifier: Apache-2.0
"""Scopes in which transformers writes nothing of its own to the terminal.

What is worth telling goes through ``on_event`` and errors.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers' own progress bars off the terminal; it would mix with ours."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence bars and notes that the trainer's libraries write for their own users."""
    level = transformers_logging.get_verbosity()
    with warnings.catch_warnings(), without_bars():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        transformers_logging.set_verbosity(logging.ERROR)
        try:
            yield
        finally:
            transformers_logging.set_verbosity(level)
