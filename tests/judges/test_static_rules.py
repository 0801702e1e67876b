# SPDX-License-Identifier: Apache-2.0
"""Every rule of ours finds what it must and passes over what it must not: one semgrep run each."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import yaml

from codetemper.core.records import Language
from codetemper.judges._static import analyser, batch
from codetemper.judges._static.form import Limits
from codetemper.judges._static.semgrep import rules

EXAMPLES = Path(__file__).parent / "rules"
LANGUAGES: tuple[Language, ...] = ("python", "c", "cpp")


@functools.cache
def examples(language: Language) -> tuple[tuple[str, str, str], ...]:
    """All examples of a language: rule, side, text."""
    written = yaml.safe_load((EXAMPLES / f"{language}.yaml").read_text("utf-8"))
    return tuple(
        (rule, side, text)
        for rule, sides in written.items()
        for side in ("bad", "good")
        for text in sides[side]
    )


@functools.cache
def found(language: Language) -> dict[str, frozenset[str]]:
    """Rules that found something, by text of the example."""
    semgrep = analyser("semgrep")
    assert semgrep.version(), "semgrep is missing; `make setup` puts it into .venv-tools"
    sources = [batch.Source(text, language) for _, _, text in examples(language)]
    looks = batch.scan(sources, [semgrep], limits=Limits(file_s=500))
    assert all(look["semgrep"].read for look in looks)
    return {
        source.text: frozenset(f.rule.removeprefix("semgrep:") for f in look["semgrep"].findings)
        for source, look in zip(sources, looks, strict=True)
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_example_is_judged_as_it_says(language: Language) -> None:
    wrong = [
        f"{rule}: {side}\n{text}"
        for rule, side, text in examples(language)
        if (rule in found(language)[text]) != (side == "bad")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_rule_objects_to_the_good_examples_of_another(language: Language) -> None:
    """A good example may be bad by one rule only where it is listed there."""
    good = {text for _, side, text in examples(language) if side == "good"}
    bad = {text for _, side, text in examples(language) if side == "bad"}
    assert {t: found(language)[t] for t in good - bad if found(language)[t]} == {}


@pytest.mark.parametrize("language", ["python", "c"])
def test_every_rule_has_examples_and_names_its_weakness(language: Language) -> None:
    written = json.loads(rules(language))["rules"]
    assert {rule["id"] for rule in written} == {rule for rule, _, _ in examples(language)}
    assert all(rule["metadata"]["cwe"].startswith("CWE-") for rule in written)
    for name in {rule["id"] for rule in written}:
        assert {side for rule, side, _ in examples(language) if rule == name} == {"bad", "good"}
