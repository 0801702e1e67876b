# SPDX-License-Identifier: Apache-2.0
"""Loading a model by its expression, with a workspace and without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetemper.api.models import load_bare, load_model
from codetemper.core.errors import UsageError
from codetemper.core.workspace import Workspace


def test_a_bare_model_is_the_one_of_a_workspace(tmp_path: Path, tiny_model_dir: Path) -> None:
    expression = f"hf:{tiny_model_dir}"
    with load_model(Workspace.create(tmp_path), expression) as first, load_bare(expression) as bare:
        assert bare.digest == first.digest
        assert bare.expression == first.expression


def test_a_number_type_is_heard(tiny_model_dir: Path) -> None:
    with load_bare(f"hf:{tiny_model_dir}", dtype="bfloat16") as handle:
        assert str(next(handle.loaded.module.parameters()).dtype) == "torch.bfloat16"


def test_without_a_workspace_there_are_no_patches(tiny_model_dir: Path) -> None:
    with pytest.raises(UsageError, match="tune-7f3a cannot be put on") as refused:
        load_bare(f"hf:{tiny_model_dir}+tune-7f3a")
    assert "workspace" in refused.value.why
    assert "--as full" in refused.value.mend


def test_an_unknown_backend_is_refused_either_way(tmp_path: Path) -> None:
    home = Workspace.create(tmp_path)
    for load in (load_bare, lambda name: load_model(home, name)):
        with pytest.raises(UsageError, match="hfx") as refused:
            load("hfx:somewhere")
        assert "hf" in refused.value.mend
