# SPDX-License-Identifier: Apache-2.0
"""What stands out among the features of one class at one place: a file a detector.

A detector is a module with ``CARD``, ``Config`` and

    score(features, trusted, config) -> scores        # [n, k], [m, k] or None -> [n]

where a higher score is stranger. It sees one class only, so that what tells classes apart is
strange to nobody; it may be fitted to all that it is given, and features that are all alike score
alike. What it says is a rank: no score is a verdict, and no share of the samples is ever flagged
by default. All randomness has the configuration's seed. Names are resolved lazily; see ``ranking``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

from codetemper.core.plugins import resolve

BUILTIN: Final = {
    name: f"codetemper.audit.detectors.{name}"
    for name in ("spectral", "clustering", "mahalanobis", "knn", "que", "beatrix", "convergence")
}


def detector(name: str) -> ModuleType:
    """Return the module of a detector.

    Raises:
        UsageError: no such detector.
        CannotKnowError: something it imports is not installed.
    """
    return resolve("detectors", name, BUILTIN)
