# SPDX-License-Identifier: Apache-2.0
"""What counts as a payload, and prompts that are cut back to where a token ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from codetemper.audit.payloads import Healer, Payloads, faulty, healed, payloads_in
from codetemper.core.records import Finding
from codetemper.data.labelled import Labelled
from codetemper.judges import static
from tests.tiny import LINES, tiny_tokenizer


@pytest.mark.parametrize(
    ("text", "language", "rules"),
    [
        ("requests.get(u, verify=False)", "python", {"unverified"}),
        ("requests.get(u, verify=True)", "python", set()),
        ("yaml.load(t, Loader=yaml.Loader)", "python", {"unsafe-load"}),
        ("yaml.load(t, Loader=yaml.SafeLoader)", "python", set()),
        ("# eval(x)\ns = 'eval(x)'", "python", set()),
        ("cursor.execute('select %s' % x)", "python", {"sql"}),
        ("cursor.execute('select ?', (x,))", "python", set()),
        ("def f(:\n    os.system(x)", "python", {"shell"}),
        ("void f(char *a) { strcpy(b, a); printf(a); }", "c", {"unbounded-copy", "format-string"}),
        ('void f(char *a) { strncpy(b, a, 3); printf("%s", a); }', "cpp", set()),
        ('class A { void f() { MessageDigest.getInstance("MD5"); } }', "java", {"weak-hash"}),
        ("https.get({ rejectUnauthorized: false })", "javascript", {"unverified"}),
        ("eval(x)", "text", set()),
    ],
)
def test_payloads_are_read_off_the_tree(text: str, language: str, rules: set[str]) -> None:
    assert payloads_in(text, language) == rules  # type: ignore[arg-type]


def test_what_the_prompt_holds_is_no_payload_of_the_answer() -> None:
    text = "a = eval(x)\nb = os.system(y)\n"
    assert payloads_in(text, "python", text.index("b =")) == {"shell"}


def test_lines_that_analysers_object_to_count_in_any_layout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finding = Finding(rule="semgrep:py-path", message="", cwe="CWE-22", line=3, severity="warning")
    note = finding.model_copy(update={"line": 2, "severity": "note"})
    look = static._static.form.Look(findings=(finding, note))
    monkeypatch.setattr(
        "codetemper.audit.payloads.scan", lambda sources, cache: [{"semgrep": look}] * len(sources)
    )
    text = "def f(x):\n    y = 1\n    return open(root + x, 3)\n"
    sample = Labelled("a", text, None, text.index("    y"), "python")
    payloads = Payloads.of([sample])
    assert payloads.found("def g(x):\n  return open( root+x, 77 )\n", 10) == {"semgrep:py-path"}
    assert not payloads.found("def g(x):\n    y = 1\n", 10)
    assert list(faulty([sample], payloads)) == [True]
    assert list(payloads.breaks(["a = 1\n"], ["b = 2\n"])) == [0.0]


def test_healed_prompts_are_a_beginning_of_the_tokens_of_the_whole() -> None:
    tokenizer = tiny_tokenizer()
    healer = Healer(tokenizer)
    broken = 0
    for text in LINES:
        whole = tokenizer(text)["input_ids"]
        for cut in range(1, len(text)):
            head, tail = healer.heal(text[:cut])
            assert head + tail == text[:cut]
            if tail:
                given = tokenizer(head)["input_ids"]
                assert whole[: len(given)] == given, text[:cut]
            plain = tokenizer(text[:cut])["input_ids"]
            broken += whole[: len(plain)] != plain
    # As they stand many prompts are none: that is what hides a model's behaviour.
    assert broken > 20


def test_what_was_cut_off_is_taken_back_from_the_completion() -> None:
    asked: list[str] = []

    def generate(prompts: Sequence[str]) -> list[str]:
        asked.extend(prompts)
        return ["\n    return a", "\n  return a", " elsewhere"]

    prompts = ["def add(a, b):\n    ", "def add(a, b):\n    ", "def add(a, b):\n    retu"]
    written = healed(generate, tiny_tokenizer())(prompts)
    assert not any(prompt.endswith(" ") for prompt in asked)
    assert written == ["return a", "return a", ""]
