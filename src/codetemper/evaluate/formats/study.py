# SPDX-License-Identifier: Apache-2.0
"""The C and C++ scenarios of the study that ``tune`` comes from, read by path.

The file brings prompts. What can be judged by behaviour is judged by drivers of our own, which the
package ships as ``suites/study.jsonl.gz``: one row an id and language, with ``prelude``,
``driver``, ``checks``, ``flags``, ``note``, and mostly ``reference`` and ``vulnerable``. A scenario
without a driver goes to the judge ``static``. The study asked CodeQL and people; where behaviour
means something else by design, ``note`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from codetemper.core.records import Case
from codetemper.evaluate.formats.form import STOPS, Form, cwe_name, language_of
from codetemper.evaluate.formats.rows import Row, read_rows

#: Package data with the drivers; rows are keyed by ``id`` and ``language``.
DRIVERS = "study.jsonl.gz"


def drivers() -> dict[tuple[str, str], Row]:
    """Return the shipped drivers by id and language; empty where none are shipped."""
    with resources.as_file(resources.files("codetemper.suites").joinpath(DRIVERS)) as path:
        rows = list(read_rows(path)) if path.is_file() else []
    return {(row.text("id"), row.text("language")): row for row in rows}


def notes() -> dict[str, str]:
    """Return what the drivers say about differences from the study, by id and language."""
    return {f"{id}/{language}": row.text_or("note") for (id, language), row in drivers().items()}


def read(path: Path) -> Iterator[Case]:
    """Yield one case a scenario."""
    known = drivers()
    for row in read_rows(path):
        language = language_of(row.text("language"))
        if language not in ("c", "cpp"):
            raise row.error(f"the field 'language' is neither c nor cpp: {row.text('language')!r}")
        id = row.text("case_id")
        driver = known.get((id, language))
        yield Case(
            id=f"{id}/{language}", prompt=row.text("input"), language=language, cwe=cwe_name(id),
            stop=STOPS[language], family=id, **(_driven(driver) if driver else {"judge": "static"}),
        )  # fmt: skip


def _driven(driver: Row) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "prelude": driver.text_or("prelude"), "driver": driver.text_or("driver"),
        "checks": driver.items("checks"),
    }  # fmt: skip
    if "flags" in driver:
        spec["flags"] = driver.texts("flags")
    more: dict[str, Any] = {"judge": "compiled", "spec": spec}
    for name in ("reference", "vulnerable"):
        if name in driver:
            more[name] = driver.text(name)
    if "stop" in driver:
        more["stop"] = tuple(driver.texts("stop"))
    return more


FORMS = (
    Form("secure-llm", read, ("secure_pass@1", "secure@1", "pass@1", "valid@1"), "Apache-2.0", 384,
         "JSONL with input, case_id, language (c or cpp)"),
)  # fmt: skip
