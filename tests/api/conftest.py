# SPDX-License-Identifier: Apache-2.0
"""A workspace with a tiny random model, a corpus mined from the example history, and a patch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codetemper.api import evaluation, treatments
from codetemper.api.demo import plant_example
from codetemper.api.models import load_model
from codetemper.core.accounts import CorpusCard, PatchManifest
from codetemper.core.records import Sampling
from codetemper.core.workspace import Workspace


@dataclass(frozen=True)
class Bench:
    """What the tests of the verbs share."""

    workspace: Workspace
    base: str
    corpus: CorpusCard
    patch: PatchManifest

    @property
    def patched(self) -> str:
        """Expression of the patched model."""
        return f"{self.base}+{self.patch.id}"


@pytest.fixture(scope="module")
def opened_handle(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Iterator[Any]:
    """The tiny decoder, loaded once."""
    place = Workspace.create(tmp_path_factory.mktemp("handle"))
    with load_model(place, f"hf:{tiny_model_dir}") as handle:
        yield handle


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Bench:
    """Mine, tune two steps, evaluate base and patched model on three shell cases."""
    from codetemper.harden.tune import Config

    root = tmp_path_factory.mktemp("bench")
    workspace = Workspace.create(root)
    corpus = treatments.mine(workspace, [plant_example(root / "example.git")]).card
    base = f"hf:{tiny_model_dir}"
    config = Config(rank=2, epochs=1, max_length=128)
    patch = treatments.tune(workspace, base, corpus.id, config, limit=16)
    made = Bench(workspace, base, corpus, patch)
    for model in (base, made.patched):
        evaluation.evaluate(
            workspace, model, "world-shell", Sampling(n=2, max_new_tokens=8), limit=3
        )
    return made
