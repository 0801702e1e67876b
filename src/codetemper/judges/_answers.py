# SPDX-License-Identifier: Apache-2.0
"""From what a model wrote to the program that is judged.

Most cases ask a model to go on from the prompt, and judges put prompt and completion together. A
case may ask for a whole program instead (an instruction), or for a piece that its checks take as a
text; a completion made elsewhere may be a whole program although its case asked for less. Each
becomes a case without a prompt whose completion is the program, so that judges need not know.
"""

from __future__ import annotations

import re
import textwrap

from codetemper.core import syntax
from codetemper.judges.options import Item

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)


def as_program(item: Item) -> Item:
    """Return a case and a completion of which prompt + completion is the program to judge."""
    case, completion = item
    if case.answer == "completion" and not completion.whole:
        return item
    text = completion.text
    if case.answer == "text":
        text = f"completion = {text!r}\n{_shown(text)}"
    elif case.answer == "program" and not completion.whole:
        text = code_of(text)
    return (case.model_copy(update={"prompt": ""}), completion.model_copy(update={"text": text}))


def _shown(piece: str) -> str:
    """Return the piece as a function that nobody calls, so that its source can be looked at."""
    body = textwrap.indent(textwrap.dedent(piece), "    ")
    function = f"\n\ndef _piece():\n    pass\n{body}\n"
    return "" if syntax.read(function) is None else function


def code_of(answer: str) -> str:
    """Return the first fenced block of an answer, or the answer where it has none.

    A fence that is never closed reaches to the end: the answer was cut off.
    """
    found = _FENCE.search(answer)
    return found[2] if found else answer
