# SPDX-License-Identifier: Apache-2.0
"""The page of the command line: every verb, argument and option, and nothing that drifts."""

import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from scripts import make_docs


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(help="Harden models.\n\nExamples:\n\n    codetemper eval seedling")
    patch = typer.Typer(help="Patches.")
    app.add_typer(patch, name="patch")

    @app.command()
    def eval(
        model: Annotated[str, typer.Argument(help="The model.")],
        suites: Annotated[list[str] | None, typer.Argument(help="Suites.")] = None,
        seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
        json: Annotated[bool, typer.Option("--json", help="One document.")] = False,
    ) -> None:
        """Evaluate a model."""

    @app.command(hidden=True)
    def secret() -> None:
        """Not shown."""

    @patch.command("ls")
    def list_patches() -> None:
        """List patches."""

    return app


def test_the_page_tells_all_that_is_shown(app: typer.Typer) -> None:
    page = make_docs.page(app)
    assert "codetemper eval MODEL [SUITES...] [OPTIONS]" in page
    assert "- `MODEL`: The model." in page
    assert "- `--seed`: Seed of the draws. Default: `0`." in page
    assert "- `--json`: One document.\n" in page
    assert "#### codetemper patch ls" in page
    assert "```\ncodetemper eval seedling\n```" in page
    assert "secret" not in page
    assert "completion" not in page
    assert not [line for line in page.splitlines() if line != line.rstrip()]


def test_check_finds_a_page_that_is_out_of_date(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = type(sys)("codetemper.cli.app")
    cli.app = app
    monkeypatch.setitem(sys.modules, "codetemper.cli.app", cli)
    monkeypatch.setattr(make_docs, "PAGE", tmp_path / "cli.md")
    monkeypatch.setattr(sys, "argv", ["make_docs.py", "--check"])
    assert make_docs.main() == 1
    monkeypatch.setattr(sys, "argv", ["make_docs.py"])
    assert make_docs.main() == 0
    monkeypatch.setattr(sys, "argv", ["make_docs.py", "--check"])
    assert make_docs.main() == 0
    make_docs.PAGE.write_text("older")
    assert make_docs.main() == 1
