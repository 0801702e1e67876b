# SPDX-License-Identifier: Apache-2.0
"""Resolve a configuration record: defaults, then file, then environment, then flags.

All errors of a configuration are reported at once, each with its key and a hint. Files are YAML
(``safe_load``); environment variables are ``CODETEMPER_<SECTION>_<KEY>``; values from the
environment and from flags are read as YAML scalars, so ``true``, ``3`` and ``[a, b]`` mean that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from codetemper.core.errors import UsageError
from codetemper.core.plugins import did_you_mean

Config = TypeVar("Config", bound=BaseModel)
#: A field of records that is no setting.
_VERSION = "schema_version"


def resolve_config(
    kind: type[Config],
    section: str,
    *,
    file: Path | None = None,
    pairs: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Config:
    """Return a validated configuration record.

    Args:
        kind: the record class; its defaults come first.
        section: name of the verb, e.g. ``tune``; a file may hold the keys at top level or
            under this name.
        file: YAML file, or None.
        pairs: ``key=value`` texts from ``-o``.
        flags: values from named flags; None values count as not given.
        environment: variables to read; the process's own by default.
        defaults: values that replace the record's own defaults, e.g. a suite's budget.

    Raises:
        UsageError: unreadable file, malformed pair, unknown key or invalid value; all of them
            are named in one message.
    """
    problems: list[str] = []
    values: dict[str, Any] = dict(defaults or {}) | (_from_file(file, section) if file else {})
    prefix = f"CODETEMPER_{section.upper()}_"
    for name, text in (os.environ if environment is None else environment).items():
        if name.startswith(prefix):
            values |= _scalar(name, name.removeprefix(prefix).lower(), text, problems)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if equals:
            values |= _scalar(key, key.strip(), text, problems)
        else:
            problems.append(f"'-o {pair}': it has no '=', write -o key=value")
    values |= {key: value for key, value in (flags or {}).items() if value is not None}
    cause: ValidationError | None = None
    try:
        config = kind.model_validate(values)
    except ValidationError as error:
        cause = error
        problems += _invalid(kind, error)
    if problems:
        raise UsageError(
            f"the configuration of '{section}' has {len(problems)} error(s)",
            why="; ".join(problems),
            mend=f"settings: {', '.join(name for name in kind.model_fields if name != _VERSION)}",
        ) from cause
    return config


def _scalar(name: str, key: str, text: str, problems: list[str]) -> dict[str, Any]:
    """Return ``{key: value}``, or nothing and one more problem."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problems.append(f"{name}: not a YAML value: {str(error).splitlines()[0]}")
        return {}
    # YAML makes dates of '2015-01-01'; settings hold plain JSON data, so it stays a text.
    return {key: text.strip() if isinstance(value, date) else value}


def _from_file(file: Path, section: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}", why=str(error), mend="check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} is not YAML", why=str(error).splitlines()[0], mend="mend the file"
        ) from error
    values = {} if raw is None else raw
    if isinstance(values, dict) and isinstance(values.get(section), dict):
        values = values[section]
    if not isinstance(values, dict):
        raise UsageError(
            f"{file} does not hold settings",
            why=f"its top level is a {type(values).__name__}, not a mapping",
            mend="write key: value lines",
        )
    return {
        key: value.isoformat() if isinstance(value, date) else value
        for key, value in values.items()
    }


def _invalid(kind: type[BaseModel], error: ValidationError) -> list[str]:
    problems = []
    for problem in error.errors():
        key = ".".join(map(str, problem["loc"]))
        reason = problem["msg"]
        if problem["type"] == "extra_forbidden":
            reason = "; ".join(
                filter(None, ("no such setting", did_you_mean(key, kind.model_fields)))
            )
        problems.append(f"{key}: {reason}")
    return problems
