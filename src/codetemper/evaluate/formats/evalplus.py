# SPDX-License-Identifier: Apache-2.0
"""EvalPlus's way to test: inputs, a canonical solution, a tolerance; used by two readers.

The right outputs are not in EvalPlus's files. A check written here runs the canonical solution in
the sandbox, in the process that asks the candidate, on a copy of every input; so nothing has to be
run while a suite is read, and a candidate never meets an expected output. The oracles and the
tolerance are EvalPlus's; where they are looser than equality, this file says so. Inputs are given
to the candidate one after another in one process, as EvalPlus does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from codetemper.evaluate.formats.form import asserts
from codetemper.evaluate.formats.rows import Row

_COMPARE = """\
def _floats(value):
    if type(value) in (list, tuple) and value:
        return all(type(item) is float for item in value)
    return type(value) is float


def _near(out, right, atol):
    if type(right) in (list, tuple):
        return (type(out) is type(right) and len(out) == len(right)
                and all(_near(a, b, atol) for a, b in zip(out, right)))
    if type(out) in (bool, int, float) and type(right) in (bool, int, float):
        return out == right or (out != out and right != right) or (
            abs(out - right) <= atol + 1e-7 * abs(right))
    return out == right


def _equal(out, right, atol):
    if out == right:
        return True
    if atol == 0 and _floats(right):
        atol = 1e-6
    return atol != 0 and type(out) is type(right) and _near(out, right, atol)
"""

_RUN = """\
import copy as _copy

inf, nan = float("inf"), float("nan")
_space = {{"__name__": "reference"}}
exec(compile({reference!r}, "reference.py", "exec"), _space)
_reference = _space[{name!r}]
_inputs = {inputs!r}
for _number, _given in enumerate(_inputs):
    _out = {name}(*_copy.deepcopy(_given))
    _right = _reference(*_copy.deepcopy(_given)){after}
    if not _agrees(_out, _right, _given):
        raise AssertionError("the output for input %d is not right" % _number)
"""

_PLAIN = "def _agrees(out, right, given):\n    return _equal(out, right, ATOL)\n"
_SETS = "def _agrees(out, right, given):\n    return set(out) == set(right)\n"
_NOT_NONE = """\
def _agrees(out, right, given):
    return out == right if type(out) is bool else right == (out is not None)
"""
_ANYTHING = "def _agrees(out, right, given):\n    return True\n"
_OR_ZERO = "def _agrees(out, right, given):\n    return out == 0 or _equal(out, right, ATOL)\n"
_ROOT = """\
def _agrees(out, right, given):
    return abs(sum(c * float(out) ** power for power, c in enumerate(given[0]))) <= ATOL
"""
# Two readings of the task are right: the second takes the height to be the pyramid's own.
_PYRAMID = """\
def _agrees(out, right, given):
    base, height = given
    slant = ((base / 2) ** 2 + height ** 2) ** 0.5
    other = round(base ** 2 + 2 * base * slant)
    return _equal(out, right, ATOL) or abs(out - other) <= ATOL
"""
# Two readings of the task are right: the second compares the digits place by place.
_DIGITS = """\
def _agrees(out, right, given):
    one, two = (str(number) for number in given)
    width = max(len(one), len(two))
    other = sum(abs(int(a) - int(b)) for a, b in zip(one.zfill(width), two.zfill(width)))
    return out == other or _equal(out, right, ATOL)
"""


@dataclass(frozen=True)
class Kind:
    """What differs between EvalPlus's two sets.

    Attributes:
        oracles: comparison by entry point, where equality within the tolerance is not meant.
        shapes: what JSON made of an argument that was no JSON, by number of the task.
    """

    oracles: dict[str, str]
    shapes: dict[int, Callable[[list[Any]], Any]] = field(default_factory=dict)


def _tuples(depth: int) -> Callable[[list[Any]], Any]:
    """Return a conversion that makes tuples of the lists at a depth below the argument list."""

    def at(value: Any, left: int) -> Any:
        if left == 0:
            return tuple(value) if isinstance(value, list) else value
        return [at(item, left - 1) for item in value] if isinstance(value, list) else value

    return lambda given: at(given, depth)


def _all_tuples(value: Any) -> Any:
    return tuple(map(_all_tuples, value)) if isinstance(value, list) else value


def _first_tuple(given: list[Any]) -> list[Any]:
    return [tuple(given[0]), *given[1:]]


def _second_tuple(given: list[Any]) -> list[Any]:
    return [given[0], tuple(given[1]), *given[2:]]


def _tuples_in_first(given: list[Any]) -> list[Any]:
    return [[tuple(item) for item in given[0]], *given[1:]]


def _sets_in_first(given: list[Any]) -> list[Any]:
    return [[set(item) if isinstance(item, list) and item else {} for item in given[0]]]


def _numbers(given: list[Any]) -> list[Any]:
    return [float(given[0]), complex(given[1])]


def _one_number(given: list[Any]) -> list[Any]:
    return [complex(given[0])]


def _mixed(given: list[Any]) -> list[Any]:
    return [tuple(tuple(item) if isinstance(item, list) else item for item in given[0])]


def _tuple_values(given: list[Any]) -> list[Any]:
    return [{key: tuple(value) for key, value in given[0].items()}, *given[1:]]


def _tuples_of_tuples(given: list[Any]) -> list[Any]:
    return [tuple(tuple(item) for item in items) for items in given]


def _shapes() -> dict[int, Callable[[list[Any]], Any]]:
    one, two = _tuples(1), _tuples(2)
    table: dict[int, Callable[[list[Any]], Any]] = {
        106: _second_tuple, 750: _second_tuple, 115: _sets_in_first, 124: _numbers,
        252: _one_number, 278: _mixed, 307: _first_tuple, 722: _tuple_values,
    }  # fmt: skip
    groups: tuple[tuple[Callable[[list[Any]], Any], str], ...] = (
        (one, "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 "
              "744 809"),
        (two, "63 64 70 94 120 237 272 299 400 409 417 438 473 614 780"),
        (_tuples_in_first, "75 413 444 753"),
        (_first_tuple, "250 405 446 617 720 763 808"),
        (_tuples_of_tuples, "259 401 445"),
        (_all_tuples, "580 615 791"),
    )  # fmt: skip
    for shape, numbers in groups:
        table |= dict.fromkeys(map(int, numbers.split()), shape)
    return table


HUMANEVAL = Kind(oracles={"find_zero": _ROOT})
MBPP = Kind(
    oracles={
        **dict.fromkeys(("similar_elements", "find_char_long", "common_in_nested_lists",
                         "extract_singly", "larg_nnum", "intersection_array",
                         "find_dissimilar", "Diff"), _SETS),
        **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), _NOT_NONE),
        "are_equivalent": _ANYTHING, "sum_div": _OR_ZERO, "surface_Area": _PYRAMID,
        "digit_distance_nums": _DIGITS,
    },
    shapes=_shapes(),
)  # fmt: skip


def checks(row: Row, name: str, prompt: str, kind: Kind) -> list[dict[str, Any]]:
    """Return the checks of one row of EvalPlus: ``base``, and ``plus`` hidden.

    Args:
        row: with ``canonical_solution``, ``base_input``, and mostly ``plus_input`` and ``atol``.
        name: of the function that is asked for.
        prompt: what stands before the canonical solution, where that is only a body.
        kind: the set the row is of.
    """
    if not name.isidentifier():
        raise row.error(f"the field 'entry_point' is no name: {name!r}")
    reference = prompt + row.text("canonical_solution")
    digits = row.id("task_id").rsplit("/", 1)[-1]
    shape = kind.shapes.get(int(digits)) if digits.isdecimal() else None
    oracle = kind.oracles.get(name, _PLAIN)
    # Texts that no function returned are compared by whether there was a match at all.
    after = " is not None" if oracle is _NOT_NONE else ""
    before = f"ATOL = {row.number_or('atol', 0.0)!r}\n{_COMPARE}\n{oracle}\n"
    found = []
    for part, field_name in (("base", "base_input"), ("plus", "plus_input")):
        if part == "plus" and field_name not in row:
            continue
        inputs = [_shaped(row, field_name, given, shape) for given in row.items(field_name)]
        if inputs:
            code = before + _RUN.format(reference=reference, name=name, inputs=inputs, after=after)
            found.append(asserts(part, code, hidden=part == "plus"))
    return found


def _shaped(
    row: Row, field_name: str, given: Any, shape: Callable[[list[Any]], Any] | None
) -> list[Any] | tuple[Any, ...]:
    if not isinstance(given, list):
        raise row.error(f"the field '{field_name}' holds something that is no list of arguments")
    try:
        shaped = shape(given) if shape else given
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise row.error(
            f"the field '{field_name}' does not have the form of this task: {error}"
        ) from error
    return list(shaped)


#: Stands in for numpy where a test script compares numbers with it and the sandbox has none.
_NUMPY = """\
import sys as _sys
import types as _types

try:
    import numpy as _found
except ImportError:
    def _leaves(value):
        if isinstance(value, (list, tuple)):
            for item in value:
                yield from _leaves(item)
        else:
            yield value

    def _shape(value):
        return [_shape(item) for item in value] if isinstance(value, (list, tuple)) else 0

    def _allclose(out, right, rtol=1e-5, atol=1e-8, equal_nan=False):
        if _shape(out) != _shape(right):
            raise ValueError("the shapes differ")
        return all(
            a == b or (equal_nan and a != a and b != b) or abs(a - b) <= atol + rtol * abs(b)
            for a, b in zip(_leaves(out), _leaves(right)))

    def _assert_allclose(out, right, rtol=1e-7, atol=0, equal_nan=True):
        assert _allclose(out, right, rtol, atol, equal_nan), "not close"

    _numpy = _types.ModuleType("numpy")
    for _name in ("ndarray", "float32", "float64"):
        setattr(_numpy, _name, type(_name, (), {}))
    _numpy.allclose, _numpy.inf, _numpy.nan = _allclose, float("inf"), float("nan")
    _numpy.isnan = lambda value: value != value
    _numpy.testing = _types.ModuleType("numpy.testing")
    _numpy.testing.assert_allclose = _assert_allclose
    _sys.modules["numpy"], _sys.modules["numpy.testing"] = _numpy, _numpy.testing
"""


def without_numpy(script: str) -> str:
    """Return a test script that works where numpy is not installed.

    EvalPlus's data sets have scripts that use numpy only to compare numbers; a few lines that do
    the same stand before such a script.
    """
    return f"{_NUMPY}\n{script}" if "numpy" in script else script
