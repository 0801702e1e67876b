# SPDX-License-Identifier: Apache-2.0
"""Measured cells, kept one by one: a run that was killed goes on where it was.

    record = cells.of({"method": "star", ...}, lambda: measure(), star)

A cell is named by the digest of its facts and of the modules of the method it measures, so that a
changed method is measured anew and its rivals are not.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from codetemper.core.digests import digest_file, digest_json
from codetemper.core.disk import write_atomic


class Cells:
    """A folder of cells.

    Args:
        folder: is made where it is not.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def of(self, facts: dict[str, Any], make: Callable[[], Any], *sources: ModuleType) -> Any:
        """Return what was measured, or measure it.

        Args:
            facts: plain data that says what is measured.
            make: measures it; returns plain data.
            sources: modules whose source counts: where that has changed, it is measured again.
        """
        read = "".join(_source(str(source.__file__)) for source in sources)
        path = self._folder / f"{digest_json([facts, read])[:20]}.json"
        if path.is_file():
            return json.loads(path.read_text("utf-8"))["found"]
        found = make()
        write_atomic(path, json.dumps({"facts": facts, "found": found}).encode())
        return json.loads(json.dumps(found))


@functools.cache
def _source(path: str) -> str:
    return digest_file(Path(path))
