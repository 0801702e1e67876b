# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that no linter knows: first lines, sizes, what an import may load."""

import ast
from pathlib import Path

import pytest

from tests.imports import imported

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "scenarios", "seedling", "tests", "benchmarks", "scripts")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
#: Modules that cost seconds to import, or gigabytes to install.
HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "pandas", "scipy")


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_what_it_is_and_stays_small(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert ast.get_docstring(tree), "no module docstring"
    assert text.count("\n") < 400, "split it"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = node.body[0].end_lineno - node.lineno if ast.get_docstring(node) else 0
            length = node.end_lineno - node.lineno + 1 - said
            assert length < 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize(
    "module", ["codetemper", "codetemper.core.workspace", "codetemper.cli.app"]
)
def test_importing_the_words_loads_nothing_heavy(module: str) -> None:
    assert imported(f"import json, {module}", ("json", *HEAVY)) == ["json"]
