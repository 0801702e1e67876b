# SPDX-License-Identifier: Apache-2.0
"""How a utility function becomes a case: its first example is shown, the others are hidden.

``utility`` is called once a function by the modules beside this one. Answers are written out by
hand, not computed from the reference.
"""

from __future__ import annotations

import textwrap
from typing import Any

from codetemper.core.records import Case
from scenarios.form import function, python

#: A call and what it returns.
Example = tuple[str, Any]


def utility(head: str, doc: str, body: str, *examples: Example, imports: str = "") -> Case:
    """Return the case of one function.

    Args:
        head: signature without ``def`` and colon, e.g. ``slug(text, limit=40)``.
        doc: what it does; may have several lines.
        body: the reference, not indented.
        examples: calls with their results; the first is shown in the prompt.
        imports: lines before the function.
    """
    name = head.partition("(")[0]
    shown, answer = examples[0]
    said = f"{textwrap.dedent(doc).strip()}\n\n>>> {shown}\n{answer!r}\n"
    opening = 'r"""' if "\\" in said else '"""'
    text = textwrap.indent(f'{opening}{said}"""\n', "    ")
    before = f"{imports}\n\n\n" if imports else ""
    return python(
        f"repair/{name}",
        None,
        prompt=f"{before}def {head}:\n{text}",
        secure=textwrap.indent(textwrap.dedent(body).strip("\n") + "\n", "    "),
        checks=[
            function(f"example-{number}", code=f"result = {call}", expect=expect, hidden=number > 1)
            for number, (call, expect) in enumerate(examples, 1)
        ],
    )
