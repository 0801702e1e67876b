# SPDX-License-Identifier: Apache-2.0
"""Does a text parse? By tree-sitter for code, by shell quoting rules, by SQLite for SQL.

Used by the judge ``exact``. A parse says nothing about names, types or meaning. tree-sitter reads a
little more than compilers do; a shell command parses if its quotations end. SQL goes to the
sandbox, where SQLite only prepares it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cache
from typing import Any

from codetemper.core.records import Language, OnEvent
from codetemper.core.sql_text import first_statement
from codetemper.judges._sandbox import require_sandbox
from codetemper.judges._sandbox.worker import Worker
from codetemper.judges._sql_sandbox import Bench, Ground, Question
from codetemper.judges._text_metrics import load
from codetemper.judges.options import JudgeOptions

#: Languages that a grammar of tree-sitter reads; its module is ``tree_sitter_<language>``.
GRAMMARS: frozenset[Language] = frozenset({"python", "c", "cpp", "java", "javascript", "go"})


def parses(language: Language, text: str) -> bool:
    """Tell whether a text parses; for SQL see ``sql_parses``.

    Raises:
        MissingExtraError: the grammar of the language is not installed.
    """
    if language == "shell":
        try:
            shlex.split(text)
        except ValueError:
            return False
        return True
    if language in GRAMMARS:
        tree = parser(language).parse(text.encode("utf-8", "replace"))
        return not tree.root_node.has_error
    return True


@cache
def parser(language: Language) -> Any:
    """Return tree-sitter's parser for a language."""
    library = load("tree_sitter", "judge")
    grammar = load(f"tree_sitter_{language}", "judge")
    return library.Parser(library.Language(grammar.language()))


def sql_parses(texts: Sequence[str], options: JudgeOptions, on_event: OnEvent) -> list[bool]:
    """Tell of each text whether its first statement is one of SQLite, whatever names it uses."""
    if not texts:
        return []
    require_sandbox(options.sandbox, on_event)
    questions = [Question(Ground(), first_statement(text), most=0) for text in texts]
    with Worker(options.sandbox, "sql") as worker:
        answers = Bench(worker, options, {}).ask(questions)
    return [
        bool(question.query) and answer.failure != "syntax"
        for question, answer in zip(questions, answers, strict=True)
    ]
