# SPDX-License-Identifier: Apache-2.0
"""Python text as a tree: what cannot be read is None, and no two threads parse at a time."""

from __future__ import annotations

import ast
import threading
import time
import warnings

import pytest

from codetemper.core import syntax


def test_what_is_no_python_is_none() -> None:
    assert isinstance(syntax.read("x = 1\n"), ast.Module)
    for text in ("def f(:", "\0", "(" * 5000, "print 1"):
        assert syntax.read(text) is None


def test_why_it_is_none_can_be_asked() -> None:
    with pytest.raises(syntax.UNREADABLE):
        syntax.parse("def f(:")


def test_what_the_parser_warns_of_is_not_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert syntax.read(r"x = '\d'") is not None


def test_threads_parse_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    most: list[int] = []
    real = ast.parse

    def slow(text: str) -> ast.Module:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return real(text)

    monkeypatch.setattr(ast, "parse", slow)
    threads = [threading.Thread(target=syntax.read, args=("x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8
    assert max(most) == 1


def test_nothing_else_in_the_package_calls_the_parser() -> None:
    """The sandbox's inside is a program of its own, with one thread and without the package."""
    from pathlib import Path

    import codetemper

    root = Path(codetemper.__file__).parent
    callers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "ast.parse(" in path.read_text("utf-8") and "inside" not in path.parts
    }
    assert callers == {"core/syntax.py"}
