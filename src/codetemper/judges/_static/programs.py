# SPDX-License-Identifier: Apache-2.0
"""From a case and a completion to the text that analysers read, and which lines are its own."""

from __future__ import annotations

import re

from codetemper.core.records import Case
from codetemper.judges._static.batch import Source

#: Directives by which a C program would hide from a compiler's warnings.
_HUSH = re.compile(
    r"^[ \t]*#[ \t]*pragma[ \t]+(?:GCC|clang)[ \t]+(?:diagnostic|system_header)[^\n]*"
    r"|_Pragma[ \t]*\([^\n]*?\"[ \t]*\)",
    re.MULTILINE,
)


def program(case: Case, text: str) -> tuple[Source, int, int]:
    """Return a case's program with a completion, and the first and last line that are its own.

    Before the prompt goes the spec's ``prelude`` or ``setup``. The driver is left out: an analyser
    would follow the driver's own carelessness into the candidate's lines.
    """
    own = f"{case.prompt}{text}"
    before = str(case.spec.get("prelude") or case.spec.get("setup") or "")
    if case.language in ("c", "cpp"):
        own = _HUSH.sub(lambda found: "/*" + " " * max(0, len(found[0]) - 4) + "*/", own)
        linkage = 'extern "C" ' if case.language == "cpp" else ""
        before = f"{linkage}void judge_arm(void);\n{before}"
    before = f"{before}\n" if before else ""
    first = before.count("\n") + 1
    return Source(f"{before}{own}\n", case.language), first, first + own.count("\n")
