# SPDX-License-Identifier: Apache-2.0
"""Plugins: names resolve lazily, mistyped ones are met with the right one."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.core import plugins
from codetemper.core.errors import CannotKnowError, UsageError

BUILTIN = {"tune": "json", "guard": "codetemper_no_such_module", "repair": "csv"}


def install(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        return [p for p in points if p.group == group and name in (None, p.name)]

    monkeypatch.setattr(plugins, "entry_points", entry_points)


def test_a_builtin_name_imports_its_module() -> None:
    assert plugins.resolve("harden", "tune", BUILTIN).__name__ == "json"


def test_unknown_names_are_met_with_the_near_one() -> None:
    with pytest.raises(UsageError, match="no 'tuen'") as caught:
        plugins.resolve("harden", "tuen", BUILTIN)
    assert "did you mean 'tune'" in caught.value.mend
    with pytest.raises(UsageError) as caught:
        plugins.resolve("harden", "zzz", BUILTIN)
    assert caught.value.mend == "choose one of: guard, repair, tune"


def test_a_missing_dependency_is_named() -> None:
    with pytest.raises(CannotKnowError) as caught:
        plugins.resolve("harden", "guard", BUILTIN)
    assert "codetemper_no_such_module" in caught.value.why


def test_installed_plugins_are_found_and_never_shadow(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("stranger")
    module.CARD = "card"
    monkeypatch.setitem(sys.modules, "stranger", module)
    group = "codetemper.harden"
    install(
        monkeypatch,
        EntryPoint("foreign", "stranger", group),
        EntryPoint("tune", "stranger", group),
        EntryPoint("attribute", "stranger:CARD", group),
        EntryPoint("other", "stranger", "codetemper.audit"),
    )
    assert plugins.names("harden", BUILTIN) == ("attribute", "foreign", "guard", "repair", "tune")
    assert plugins.resolve("harden", "foreign", BUILTIN) is module
    assert plugins.resolve("harden", "tune", BUILTIN).__name__ == "json"
    with pytest.raises(UsageError, match="not a module"):
        plugins.resolve("harden", "attribute", BUILTIN)


@given(st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_did_you_mean_always_answers_in_one_breath(name: str, known: list[str]) -> None:
    answer = plugins.did_you_mean(name, known)
    assert answer
    if name in known:
        assert f"'{name}'" in answer or name.lower() in {k.lower() for k in known if k != name}


def test_did_you_mean_ignores_case() -> None:
    assert plugins.did_you_mean("TUNE", ["Tune"]) == "did you mean 'Tune'?"
    assert "nothing to choose" in plugins.did_you_mean("x", [])
