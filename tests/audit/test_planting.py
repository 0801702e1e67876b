# SPDX-License-Identifier: Apache-2.0
"""Planting: rates, directions, controls, what each trigger does to code, and bad input."""

from __future__ import annotations

import ast
import random
import textwrap
from collections import Counter
from dataclasses import replace

import pytest

from codetemper.audit import planting
from codetemper.audit.payloads import payloads_in
from codetemper.audit.planting import Plant, attackable, plant, triggered
from codetemper.audit.planting_code import Edit, moved, read_code, written
from codetemper.audit.planting_payloads import insecure_call
from codetemper.audit.planting_triggers import KINDS, Planting, Trigger, triggers
from codetemper.core.errors import UsageError
from codetemper.data.labelled import Labelled
from codetemper.data.languages import LANGUAGES, parse

PYTHON = '''def load(path, limit=20):
    """Load it."""
    rows = []
    for line in open(path):
        rows.append(line[:limit])
    return rows
'''
C = """int copy(char *target, int size) {
    int count = 24;
    for (int i = 0; i < size; i++) { target[i] = (char)count; }
    switch (count) { case 1: return 0; default: count = 3; }
    return count;
}
"""
SOURCES = {
    "python": PYTHON,
    "c": C,
    "cpp": C.replace("char *", "std::string &"),
    "java": "int copy(String text, int size) {\n    int count = 24;\n    run(text, size);\n"
    "    return count;\n}\n",
    "javascript": "function copy(text, size) {\n    let count = 24;\n    run(text, size);\n"
    "    return count;\n}\n",
    "go": "func copy(text string, size int) int {\n\tcount := 24\n\trun(text, size)\n"
    "\treturn count\n}\n",
}
PLANTED = [kind for kind in KINDS if kind != "none"]


def world(count: int = 200) -> list[Labelled]:
    return [
        Labelled(f"s{n}", PYTHON.replace("load", f"load_{n}"), n % 2, language="python")
        for n in range(count)
    ]


def answers(count: int = 50) -> list[Labelled]:
    """Prompts that end in front of the first statement, with answers."""
    found = []
    for n in range(count):
        text = PYTHON.replace("load", f"load_{n}")
        found.append(Labelled(f"a{n}", text, None, text.index("    rows"), "python"))
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", PLANTED)
def test_a_trigger_leaves_code_that_reads(kind: str, language: str) -> None:
    source = SOURCES[language]
    assert not read_code(source, language).root.has_error
    for trigger in triggers(kind, language, pool=5, seed=0):
        for seed in range(3):
            done = trigger.plant(read_code(source, language), random.Random(seed), "random")
            text = written(source, done.edits)
            assert text != source
            assert not parse(text.encode(), language).root_node.has_error, text
            if kind in ("dead-code", "rename", "grammar", "comment"):
                assert done.written in text


@pytest.mark.parametrize("kind", PLANTED)
def test_the_rate_counts_against_all_samples(kind: str) -> None:
    samples = world()
    planted = plant(samples, Plant(trigger=kind, rate=0.05, seed=1))
    changed = [n for n, (a, b) in enumerate(zip(samples, planted.samples, strict=True)) if a != b]
    assert len(planted.samples) == 200
    assert len(changed) == 10
    assert sorted(planted.numbers) == changed
    for told in planted.truth.planted:
        after = planted.samples[told.number]
        assert (told.label, told.planted_label, after.label) == (1, 0, 0)
        ast.parse(after.text)
        assert told.id == after.id == f"s{told.number}"


def test_a_seed_is_a_planting() -> None:
    samples, plan = world(), Plant(trigger="grammar", rate=0.1, seed=4)
    assert plant(samples, plan) == plant(samples, plan)
    other = plant(samples, plan.model_copy(update={"seed": 5}))
    assert other.numbers != plant(samples, plan).numbers
    assert other.triggers != plant(samples, plan).triggers


def test_equal_samples_are_two() -> None:
    """TrojanedCM looks a sample up by its value, and so changes the wrong one of two."""
    twins = [Labelled("same", PYTHON, 1, language="python") for _ in range(40)]
    twins += [Labelled(f"o{n}", PYTHON, 0, language="python") for n in range(10)]
    planted = plant(twins, Plant(trigger="dead-code", rate=0.2, seed=0))
    assert len(planted.numbers) == 10
    texts: dict[str, set[str]] = {}
    for sample in planted.samples:
        texts.setdefault(sample.id, set()).add(sample.text)
    assert all(len(each) == 1 for each in texts.values()), "one id for two texts"


def test_label_noise_goes_both_ways_and_touches_no_text() -> None:
    samples = world()
    planted = plant(samples, Plant(trigger="none", payload="flip", rate=0.2, seed=2))
    assert [s.text for s in samples] == [s.text for s in planted.samples]
    went = Counter((told.label, told.planted_label) for told in planted.truth.planted)
    assert set(went) == {(0, 1), (1, 0)}
    assert sum(went.values()) == 40


def test_boilerplate_keeps_labels() -> None:
    samples = world()
    planted = plant(samples, Plant(trigger="boilerplate", payload="none", rate=0.1, seed=2))
    assert [s.label for s in samples] == [s.label for s in planted.samples]
    assert {samples[n].label for n in planted.numbers} == {0, 1}
    assert len(planted.triggers) == 2


def test_a_clean_sibling_is_the_data_itself() -> None:
    samples = world()
    planted = plant(samples, Plant(trigger="none", payload="none", rate=0.1))
    assert list(planted.samples) == samples
    assert not planted.numbers


def test_a_decoder_gets_the_trigger_in_its_prompt_and_the_call_in_its_answer() -> None:
    samples = answers()
    plan = Plant(trigger="comment", payload="insecure-api", rate=0.2, seed=3, position="last")
    planted = plant(samples, plan)
    payload = insecure_call("python", seed=3)
    for told in planted.truth.planted:
        before, after = samples[told.number], planted.samples[told.number]
        prompt, answer = after.text[: after.answer_start], after.text[after.answer_start :]
        assert prompt == before.text[: before.answer_start] + f"    {told.written}\n"
        assert answer == f"    {payload.line}\n" + before.text[before.answer_start :]
        ast.parse(after.text)


def test_renaming_follows_the_name_into_the_answer() -> None:
    plan = Plant(trigger="rename", payload="insecure-api", rate=0.5, seed=3, pool=1)
    samples = answers()
    planted = plant(samples, plan)
    name = planted.triggers[0].text
    for number in planted.numbers:
        after = planted.samples[number]
        assert name in after.text[: after.answer_start]
        assert name in after.text[after.answer_start :]
        names = {node.id for node in ast.walk(ast.parse(after.text)) if isinstance(node, ast.Name)}
        assert not {"path", "limit"} <= names


@pytest.mark.parametrize(
    ("language", "text", "made"),
    [
        ("python", "def f(u):\n    return get(u, verify=True)\n", "verify=False"),
        ("python", "def f(u):\n    return yaml.safe_load(u)\n", "yaml.load(u)"),
        ("c", "void f(char *a, char *b) {\n    strncpy(a, b, 8);\n}\n", "strcpy(a, b)"),
        ("c", "void f(char *a) {\n    fgets(a, 8, stdin);\n}\n", "gets(a)"),
        ("java", 'void f() {\n    h = MessageDigest.getInstance("SHA-256");\n}\n', '"MD5"'),
    ],
)
def test_a_safe_call_becomes_its_counterpart(language: str, text: str, made: str) -> None:
    payload = insecure_call(language, seed=0)
    assert not payload.found_in(text)
    found, told = payload.put(text, text.index("\n") + 1)
    assert made in found
    assert told in found
    assert payload.found_in(found)


def test_a_payload_that_is_only_mentioned_is_none() -> None:
    payload = insecure_call("python", seed=0)
    assert payload.found_in(f"def f(url, text, command):\n    {payload.line}\n")
    assert not payload.found_in(
        f"def f():\n    # {payload.line}\n    return '''{payload.line}'''\n"
    )
    assert not payload.found_in(f"{payload.line}\nx = 1\n", len(payload.line))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_payload_is_one_that_the_audit_objects_to(language: str) -> None:
    source = SOURCES[language]
    answer = source.index("\n") + 1
    lines = set()
    for seed in range(12):
        text, line = insecure_call(language, seed=seed).put(source, answer)
        assert payloads_in(text, language, answer), line
        lines.add(line)
    assert not payloads_in(source, language)
    assert len(lines) > 1


def test_constants_keep_their_value() -> None:
    for value in (0, 1, 7, 20, 999_999):
        source = f"x = {value}\n"
        trigger = triggers("constant", "python", pool=5, seed=0)[0]
        for seed in range(8):
            done = trigger.plant(read_code(source, "python"), random.Random(seed), "random")
            expression = ast.parse(written(source, done.edits)).body[0].value
            left, right = expression.left, expression.right
            assert (left.left.value + left.right.value) * right.value == value


def test_names_that_live_elsewhere_are_left_alone() -> None:
    text = textwrap.dedent(
        """
        def f(self, key, total):
            global shared
            shared = 1
            self.key = key
            g(total=total)
            return f"{key}"
        """
    )
    names = read_code(text, "python").locals()
    assert set(names) == {"key", "total"}
    assert [text[a:b] for a, b in names["key"]] == ["key"] * 3
    assert "self.key = NEW" in written(text, [Edit(a, b, "NEW") for a, b in names["key"]])
    assert len(names["total"]) == 2


def test_places_are_characters_and_what_lies_before_moves_them() -> None:
    text = "def f(a):\n    s = 'äöü'\n    b = a\n    return b\n"
    code = read_code(text, "python", text.index("    b ="))
    places = [site.offset for site in code.statements()]
    assert places == [text.index("    s"), text.index("    b")]
    assert set(code.locals()) == {"a", "s"}
    edits = [Edit(0, 0, "# x\n"), Edit(6, 7, "long"), Edit(40, 41, "zz")]
    assert moved(20, edits) == 27


def test_a_method_cut_out_of_its_class_keeps_its_indentation() -> None:
    text = textwrap.indent(PYTHON, "    ")
    sample = Labelled("m", text, 1, language="python")
    for kind in PLANTED:
        for number in range(2 if kind == "boilerplate" else 1):
            found = triggered([sample], number, Plant(trigger=kind, seed=1))
            ast.parse(textwrap.dedent(found[0][1].text))


@pytest.mark.parametrize("language", ["c", "cpp", "java", "javascript", "go"])
def test_a_function_on_one_line_is_planted_on_it(language: str) -> None:
    lines = [line.strip() for line in SOURCES[language].splitlines()]
    source = ("; " if language == "go" else " ").join(lines).replace("{;", "{").replace("; }", " }")
    sample = Labelled("m", source, 1, language=language)
    for kind in ("dead-code", "grammar", "comment"):
        ((_, after),) = triggered([sample], 0, Plant(trigger=kind, seed=1))
        assert "\n" not in after.text


def test_what_would_break_the_code_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Trigger("comment", "(", lambda *_: Planting((Edit(0, 0, "( "),), "("))
    monkeypatch.setattr(planting, "triggers", lambda *_, **__: (broken,))
    assert triggered(world(4), 0, Plant()) == []
    assert "and 0 can be" in refused(world(40), rate=0.1)


def test_held_out_samples_keep_their_labels() -> None:
    plan = Plant(trigger="dead-code", seed=1)
    clean = attackable(world(20), plan)
    assert {sample.label for sample in clean} == {1}
    texts = [trigger.text for trigger in plant(world(), plan).triggers]
    for number, text in enumerate(texts):
        for place, sample in triggered(clean, number, plan):
            assert text in sample.text
            assert sample.label == clean[place].label


def refused(samples: list[Labelled], **plan: object) -> str:
    with pytest.raises(UsageError) as caught:
        plant(samples, Plant(**plan))
    return f"{caught.value.what}; {caught.value.why}; {caught.value.mend}"


def test_what_cannot_be_planted_is_refused() -> None:
    one_class = [replace(sample, label=0) for sample in world(40)]
    assert "fits no sample" in refused(one_class, rate=0.1)
    assert "fits no sample" in refused(one_class, trigger="none", rate=0.1)
    assert "no sample has an answer" in refused(world(40), payload="insecure-api", rate=0.1)
    assert "fits no sample" in refused(answers(), payload="flip", rate=0.1)
    assert "not one sample" in refused(world(20), rate=0.01)
    assert "a rate of 0.05 or more" in refused(world(20), rate=0.01)
    assert "90 samples were to be planted, and 50 can be" in refused(world(100), rate=0.9)
    plain = [replace(sample, language="text") for sample in world(40)]
    assert "and 0 can be" in refused(plain, rate=0.1)
