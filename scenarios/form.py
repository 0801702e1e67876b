# SPDX-License-Identifier: Apache-2.0
"""Shapes that all scenarios share: how a C, C++ or Python scenario becomes a ``Case``.

A scenario is a prompt, a secure and a vulnerable completion, functional checks and exploit checks.
``collect`` gathers the ``CASES`` of all modules of a suite's folder, in the order of their names.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codetemper.core.records import Case, Language, SuiteCard

#: Beginnings of lines at which a model has left the function it was asked for. A completion is cut
#: before them, so none of them may be the closing brace itself.
C_STOPS = (
    "\n/*", "\n//", "\n#", "\n```", "\nint ", "\nstatic ", "\nvoid ", "\nchar ", "\nconst ",
    "\nstruct ", "\nunion ", "\nenum ", "\ntypedef ", "\nextern ", "\nunsigned ", "\nsigned ",
    "\nlong ", "\nshort ", "\nfloat ", "\ndouble ", "\nbool ", "\nsize_t ", "\nssize_t ",
    "\nuint", "\nint8", "\nint16", "\nint32", "\nint64", "\nFILE ", "\ninline ", "\nclass ",
    "\ntemplate", "\nnamespace ", "\nusing ", "\nstd::", "\nauto ",
)  # fmt: skip
PYTHON_STOPS = ("\ndef ", "\nclass ", "\nif __name__", "\n#", "\nprint(", "\n@", "\n```")


@dataclass(frozen=True)
class SuiteForm:
    """What one shipped suite is.

    Attributes:
        folder: package under ``scenarios`` whose modules hold the cases.
        card: the suite's card.
    """

    folder: str
    card: SuiteCard


def _card(name: str, language: Language, summary: str, *metrics: str, tokens: int) -> SuiteCard:
    return SuiteCard(
        name=name, summary=summary, language=language, metrics=metrics,
        cases=f"{name}.jsonl.gz", source="written for codetemper", max_new_tokens=tokens,
    )  # fmt: skip


_SECURITY = ("secure_pass@1", "secure@1", "pass@1", "valid@1")
#: Suite name to its form.
FORMS = {
    "secure-c": SuiteForm("c", _card(
        "secure-c", "c", "C functions that can be written with or without a weakness of the CWE "
        "Top 25, judged by tests and by exploits under sanitizers.", *_SECURITY, tokens=384)),
    "secure-cpp": SuiteForm("cpp", _card(
        "secure-cpp", "cpp", "C++ functions that can be written with or without a weakness of the "
        "CWE Top 25, judged by tests and by exploits under sanitizers.", *_SECURITY, tokens=384)),
    "secure-python": SuiteForm("python", _card(
        "secure-python", "python", "Python functions that can be written with or without a "
        "weakness of the CWE Top 25, judged by tests and by exploits.", *_SECURITY, tokens=384)),
    "repair-python": SuiteForm("repair", _card(
        "repair-python", "python", "Python functions in the style of utility code, judged by "
        "tests; for finding and repairing single failures.", "pass@1", "valid@1", tokens=384)),
}  # fmt: skip


def collect(suite: str) -> list[Case]:
    """Return all cases of a suite, in the order of modules and of their ``CASES``.

    Modules whose name begins with an underscore hold what several others use, and no cases.
    """
    package = importlib.import_module(f"scenarios.{FORMS[suite].folder}")
    cases: list[Case] = []
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        if module.startswith("_"):
            continue
        cases += importlib.import_module(f"{package.__name__}.{module}").CASES
    return cases


def function(name: str, **fields: Any) -> dict[str, Any]:
    """Return a functional check of a compiled or Python case."""
    return {"name": name, "kind": "function", **fields}


def security(name: str, **fields: Any) -> dict[str, Any]:
    """Return an exploit check of a compiled or Python case."""
    return {"name": name, "kind": "security", **fields}


def stops_after(prompt: str) -> tuple[str, ...]:
    """Return ``C_STOPS`` and the types at which the lines of a C or C++ prompt begin."""
    words = re.findall(r"^[A-Za-z_]\w*(?= )", prompt, re.MULTILINE)
    return tuple(dict.fromkeys((*C_STOPS, *(f"\n{word} " for word in words))))


def compiled(
    id: str,
    cwe: str,
    *,
    prelude: str,
    prompt: str,
    secure: str,
    vulnerable: str,
    driver: str,
    checks: Sequence[dict[str, Any]],
    language: Language = "c",
    stop: Sequence[str] | None = None,
    **spec: Any,
) -> Case:
    """Return a C or C++ case; program = prelude, prompt + completion, driver."""
    return Case(
        id=id, prompt=prompt, language=language, judge="compiled",
        stop=stops_after(prompt) if stop is None else tuple(stop),
        reference=secure, vulnerable=vulnerable, cwe=cwe, family=id,
        spec={"prelude": prelude, "driver": driver, "checks": list(checks), **spec},
    )  # fmt: skip


def python(
    id: str,
    cwe: str | None,
    *,
    prompt: str,
    secure: str,
    checks: Sequence[dict[str, Any]],
    vulnerable: str | None = None,
    setup: str = "",
    stop: Sequence[str] = PYTHON_STOPS,
) -> Case:
    """Return a Python case; program = setup, prompt + completion, then each check's code."""
    return Case(
        id=id, prompt=prompt, language="python", judge="execution", stop=tuple(stop),
        reference=secure, vulnerable=vulnerable, cwe=cwe, family=id,
        spec={"setup": setup, "checks": list(checks)},
    )  # fmt: skip
