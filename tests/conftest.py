# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several packages' tests share. Building blocks are in ``tests/tiny.py``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.scenarios.proofs")

# No test fails for a slow machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
# Set before any test imports a library that reads them: tests never look at the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Two test workers with two threads each wait for one another longer than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# The qualification of this machine's analysers stays out of tests, and theirs out of it.
_CACHE = tempfile.TemporaryDirectory(prefix="codetemper-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama with its tokenizer, saved as a Hugging Face folder."""
    from tests.tiny import save_tiny

    return save_tiny(tmp_path_factory.mktemp("tiny-llama"))
