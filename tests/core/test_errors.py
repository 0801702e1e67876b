# SPDX-License-Identifier: Apache-2.0
"""Errors: three lines, and the exit code each kind carries."""

import pytest

from codetemper.core import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.CodetemperError, 2),
        (errors.UsageError, 2),
        (errors.CannotKnowError, 3),
        (errors.IntegrityError, 4),
    ],
)
def test_three_lines_and_a_code(kind: type[errors.CodetemperError], code: int) -> None:
    error = kind("it broke", why="it was dropped", mend="pick it up")
    assert str(error).splitlines() == ["it broke", "  why:  it was dropped", "  mend: pick it up"]
    assert (error.what, error.why, error.mend) == ("it broke", "it was dropped", "pick it up")
    assert error.exit_code == code


def test_a_missing_extra_prints_the_line_that_installs_it() -> None:
    error = errors.MissingExtraError("hf", "torch")
    assert error.mend == "pip install 'codetemper[hf]'"
    assert "torch" in error.why
    assert error.exit_code == errors.EXIT_UNKNOWN
