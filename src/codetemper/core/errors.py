# SPDX-License-Identifier: Apache-2.0
"""Errors that say what happened, why, and how to mend it, and that carry an exit code.

The command line prints the three lines and exits with the code; a traceback appears only under
``-v``. Library users catch ``CodetemperError`` or one of its four kinds.
"""

from __future__ import annotations

#: Exit codes of every verb (design page, section 5).
EXIT_YES, EXIT_NO, EXIT_USAGE, EXIT_UNKNOWN, EXIT_INTEGRITY = 0, 1, 2, 3, 4


class CodetemperError(Exception):
    """An error a user can act on.

    Attributes:
        what: what happened, one line.
        why: the cause as far as it is known, one line.
        mend: what to do about it, one line, with the exact command where there is one.
        exit_code: the exit code of a verb that ends with this error.
    """

    exit_code = EXIT_USAGE

    def __init__(self, what: str, *, why: str, mend: str) -> None:
        super().__init__(what)
        self.what, self.why, self.mend = what, why, mend

    def __str__(self) -> str:
        return f"{self.what}\n  why:  {self.why}\n  mend: {self.mend}"


class UsageError(CodetemperError):
    """The request cannot be carried out as it was put (exit code 2)."""


class CannotKnowError(CodetemperError):
    """The answer cannot be known here: a tool, a sandbox or samples are missing (exit code 3)."""

    exit_code = EXIT_UNKNOWN


class IntegrityError(CodetemperError):
    """Stored bytes are not what their digest, chain or signature says (exit code 4)."""

    exit_code = EXIT_INTEGRITY


class MissingExtraError(CannotKnowError):
    """An optional dependency is not installed."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(
            f"this needs the extra '{extra}'",
            why=f"the module '{module}' is not installed",
            mend=f"pip install 'codetemper[{extra}]'",
        )
