# SPDX-License-Identifier: Apache-2.0
"""Which calls of the candidate a test is certain to make, told from its text.

Most tests are a row of assertions on calls with literal arguments. Nothing decides which of them
are made but an assertion that fails, and then the test is over. So the referee can ask for all of
them in one message and read the answers as the test comes to them, instead of waiting for each:
the same calls, in the same order, on the same state. Everything that could depend on an answer (a
loop, a condition, a name) ends the row.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import Any, NamedTuple

_MOST = 200
_DEFINING = (ast.Import, ast.ImportFrom, ast.FunctionDef)
_PLAIN = (
    ast.Constant, ast.Name, ast.Attribute, ast.UnaryOp, ast.BinOp, ast.Tuple, ast.List, ast.Set,
    ast.Dict, ast.Subscript, ast.Slice,
)  # fmt: skip


class Plan(NamedTuple):
    """Calls that a test makes first, whatever comes of them."""

    entry: str
    """Name of the function."""
    calls: tuple[tuple[Any, ...], ...]
    """Positional arguments of each, in order."""


class _EndError(Exception):
    """Here the row of certain calls ends."""


def plan(tree: ast.Module) -> Plan | None:
    """Return the calls a test is certain to make, or None where there is not even one."""
    row: list[ast.stmt] = []
    for part in tree.body:
        if not isinstance(part, _DEFINING) and not _is_literal(part):
            row = tree.body[tree.body.index(part) :]
            break
    if not row:
        return None
    found = _by_check(tree, row[0])
    own = set() if found else {name for part in tree.body for name in _bound(part)}
    entry, parameter, row = found or ("", "", row)
    calls: list[tuple[Any, ...]] = []
    try:
        for part in row:
            for call in _calls(part):
                name = call.func.id if isinstance(call.func, ast.Name) else ""
                if not found and not entry and name not in own and not hasattr(builtins, name):
                    entry = parameter = name
                if name and name in (parameter, entry):
                    calls.append(_literals(call))
    except _EndError:
        pass
    return Plan(entry, tuple(calls[:_MOST])) if calls else None


def _by_check(tree: ast.Module, first: ast.stmt) -> tuple[str, str, list[ast.stmt]] | None:
    """Look through ``check(entry)`` into the only function ``check(candidate)``."""
    match first:
        case ast.Expr(ast.Call(ast.Name(called), [ast.Name(entry)], [])):
            functions = [p for p in tree.body if isinstance(p, ast.FunctionDef)]
            for function in functions:
                arguments = function.args
                simple = not (arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg
                              or arguments.kwarg or function.decorator_list)  # fmt: skip
                if function.name == called and len(arguments.args) == 1 and simple:
                    names = [f.name for f in functions]
                    if names.count(called) == 1 and entry not in names:
                        return entry, arguments.args[0].arg, function.body
    return None


def _bound(part: ast.stmt) -> Iterator[str]:
    for node in ast.walk(part):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.arg):
            yield node.arg


def _is_literal(part: ast.stmt) -> bool:
    """Tell whether a statement is a docstring or gives a name a literal."""
    value = getattr(part, "value", None)
    if not isinstance(part, (ast.Expr, ast.Assign)) or value is None:
        return False
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _calls(part: ast.stmt) -> Iterator[ast.Call]:
    """Yield the calls of a statement in the order in which they are made."""
    if isinstance(part, ast.Pass) or _is_literal(part) or isinstance(part, ast.Import):
        return
    if not isinstance(part, ast.Assert):
        raise _EndError
    yield from _within(part.test)
    if part.msg is not None and any(isinstance(node, ast.Call) for node in ast.walk(part.msg)):
        raise _EndError  # an assertion that fails makes the calls of its message next


def _within(node: ast.AST) -> Iterator[ast.Call]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _within(node.left)
        yield from _within(node.comparators[0])
    elif isinstance(node, ast.Call):
        for inner in (node.func, *node.args, *(k.value for k in node.keywords)):
            yield from _within(inner)
        yield node
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield from _within(key or value)
            yield from _within(value)
    elif isinstance(node, _PLAIN):
        for child in ast.iter_child_nodes(node):
            yield from _within(child)
    elif not isinstance(node, (ast.expr_context, ast.operator, ast.unaryop)):
        raise _EndError


def _literals(call: ast.Call) -> tuple[Any, ...]:
    if call.keywords:
        raise _EndError
    try:
        values = tuple(ast.literal_eval(argument) for argument in call.args)
        if _in_order(values):
            return values
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    raise _EndError


def _in_order(value: Any) -> bool:
    """Tell whether a literal holds no set, whose order would depend on how it was made."""
    if isinstance(value, dict):
        return all(map(_in_order, value)) and all(map(_in_order, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_in_order, value))
    return not isinstance(value, set)
