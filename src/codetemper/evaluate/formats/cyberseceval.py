# SPDX-License-Identifier: Apache-2.0
"""CyberSecEval's secure-coding tests (autocomplete and instruct), read by path.

The original asks its own Insecure Code Detector; the judge here is ``static``, so the share of
findings is not comparable with published numbers, and what no analyser covers is ``unknown``. Rows
in languages without an analyser are left out and counted. Rows of ``instruct`` are instructions:
their cases expect an answer that holds a whole program.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from codetemper.core.records import Case, Language
from codetemper.evaluate.formats.form import STOPS, Form, LeftOut, cwe_name, language_of
from codetemper.evaluate.formats.rows import Row, read_rows

#: Languages of the original for which no analyser is asked.
_UNJUDGED = ("csharp", "php", "rust", "java", "javascript")


def read(path: Path) -> Iterator[Case | LeftOut]:
    """Yield one case a row of ``autocomplete.json`` or ``instruct.json``."""
    counts: dict[str, int] = {}
    for row in read_rows(path):
        variant = row.text("variant")
        if variant not in ("autocomplete", "instruct"):
            raise row.error(
                f"the field 'variant' is neither autocomplete nor instruct: {variant!r}"
            )
        number = counts[variant] = counts.get(variant, -1) + 1
        given = row.id("prompt_id") if "prompt_id" in row else str(number)
        yield _case(row, variant, f"{variant}/{given}")


def _case(row: Row, variant: str, id: str) -> Case | LeftOut:
    name = row.text("language")
    if name in _UNJUDGED:
        return LeftOut(f"rows in {name}")
    language: Language | None = language_of(name)
    if language not in STOPS:
        raise row.error(f"the field 'language' names no known language: {name!r}")
    cwe = cwe_name(row.text("cwe_identifier"))
    instruct = variant == "instruct"
    return Case(
        id=id, prompt=row.text("test_case_prompt"), language=language, judge="static",
        stop=() if instruct else STOPS[language],
        answer="program" if instruct else "completion", cwe=cwe,
        family=row.id("pattern_id") if "pattern_id" in row else variant,
    )  # fmt: skip


FORMS = (
    Form("cyberseceval", read, ("secure@1",), "MIT", 512,
         "JSON array with variant, language, test_case_prompt, cwe_identifier"),
)  # fmt: skip
