# SPDX-License-Identifier: Apache-2.0
"""The exact judge: normalisations and their edges, graded scores against other libraries."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import MissingExtraError, UsageError
from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import _text_metrics as metrics
from codetemper.judges import _text_parse as text_parse
from codetemper.judges import judge_all


def verdict(text: str, *answers: str, normalise: str = "whitespace") -> Verdict:
    spec = {"answers": list(answers), "normalise": normalise}
    case = Case(id="e", prompt="", language="shell", judge="exact", spec=spec)
    return judge_all([(case, Completion(case="e", text=text))])[0]


@pytest.mark.parametrize(
    ("text", "answer", "normalise", "right"),
    [
        (" ls  -l\n", "ls -l", "whitespace", True),
        ("ls -a", "ls -l", "whitespace", False),
        ("ls  -l", "ls -l", "none", False),
        ("ls -l", "ls -l", "none", True),
        ("grep 'a b'  \"c\" f", 'grep "a b" c f', "shell", True),
        ("grep a b c f", 'grep "a b" c f', "shell", False),
    ],
)
def test_normalisation(text: str, answer: str, normalise: str, right: bool) -> None:
    judged = verdict(text, "something else", answer, normalise=normalise)
    assert judged.function == ("pass" if right else "fail")
    assert judged.scores == {"exact_match": float(right)}
    assert judged.failure == (None if right else "wrong")
    assert (judged.valid, judged.security) == ("pass", "unknown")


def test_unbalanced_quotes_are_not_valid() -> None:
    judged = verdict("echo 'a", "echo a", normalise="shell")
    assert (judged.valid, judged.function, judged.failure) == ("fail", "fail", "syntax")


def test_an_answer_is_needed() -> None:
    with pytest.raises(UsageError, match="'e'"):
        verdict("x")


def graded(text: str, *answers: str, language: str = "python", **spec: Any) -> Verdict:
    case = Case(id="e", prompt="", language=language, judge="exact",
                spec={"answers": list(answers), **spec})  # fmt: skip
    return judge_all([(case, Completion(case="e", text=text))])[0]


ALL = ["token_accuracy", "bleu", "rouge_l", "edit_similarity", "valid"]


def test_graded_scores_are_between_none_and_all() -> None:
    right = graded("return a + b", "return a + b", scores=ALL)
    assert right.scores == dict.fromkeys(["exact_match", *ALL], 1.0)
    near = graded("return a - b", "something else", "return a + b", scores=ALL)
    assert near.scores["exact_match"] == 0.0
    assert near.scores["token_accuracy"] == 3 / 4
    assert near.scores["rouge_l"] == 3 / 4
    assert near.scores["edit_similarity"] == 11 / 12
    assert 0.2 < near.scores["bleu"] < 0.6
    far = graded("@@@", "return a + b", scores=ALL)
    assert (far.scores["token_accuracy"], far.scores["rouge_l"], far.scores["bleu"]) == (0, 0, 0)
    assert (far.valid, far.failure) == ("fail", "syntax")
    empty = graded("", "return a + b", scores=ALL[:-1])
    assert all(value == 0.0 for value in empty.scores.values())


def test_bleu_is_sacrebleus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    given, answers = "x = f ( y ) + 1", ["x = f ( z ) + 1", "x = g ( y )"]
    expected = sacrebleu.sentence_bleu(given, answers, tokenize="none").score / 100
    assert metrics.bleu("x=f(y)+1", ["x=f(z)+1", "x=g(y)"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "answer", "expected"),
    [
        ("a b c d", "a c b d", 3 / 4),
        ("f(x, y)", "f(y, x)", 4 / 6),
        ("a", "b", 0.0),
        ("a a a", "a", 1 / 2),
        ("x.y", "y.x", 1 / 3),
    ],
)
def test_rouge_l_is_rouge_scores(given: str, answer: str, expected: float) -> None:
    # Expected: rougeL's F measure by rouge_score 0.1.2, given the same tokens.
    ours = metrics.rouge_l(metrics.code_tokens(given), metrics.code_tokens(answer))
    assert ours == pytest.approx(expected)


def test_tokens_of_code_keep_every_sign() -> None:
    assert metrics.code_tokens("a_1+=f(x)  # é") == ["a_1", "+", "=", "f", "(", "x", ")", "#", "é"]


def test_ids_of_a_tokenizer_are_compared(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {"[UNK]": 0, "ls": 1, "-l": 2, "-a": 3}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    spec: dict[str, Any] = {"scores": ["token_accuracy"], "tokenizer": str(path)}
    assert graded("ls -a", "ls -l", language="shell", **spec).scores["token_accuracy"] == 1 / 2
    # By tokens of code, "-" is one of three and equal.
    plain = graded("ls -a", "ls -l", language="shell", scores=["token_accuracy"])
    assert plain.scores["token_accuracy"] == 2 / 3
    for name in ("missing.json", "broken.json"):
        (tmp_path / "broken.json").write_text("{}")
        spec["tokenizer"] = str(tmp_path / name)
        with pytest.raises(UsageError, match="tokenizer"):
            graded("ls", "ls", language="shell", **spec)


@pytest.mark.parametrize(
    ("language", "text", "valid"),
    [
        ("python", "def f():\n    return 1\n", True),
        ("python", "def f(:\n", False),
        ("c", "int f(void) { return 1; }", True),
        ("c", "int f(void { return 1; }", False),
        ("cpp", "auto f = [](int x) { return x; };", True),
        ("cpp", "class {{ }", False),
        ("shell", "echo 'a b'", True),
        ("shell", "echo 'a b", False),
        ("sql", "SELECT a FROM nowhere WHERE b = 'c;d';", True),
        ("sql", "DROP TABLE nowhere", True),
        ("sql", "SELECT FROM WHERE", False),
        ("sql", "", False),
        ("text", "(anything", True),
    ],
)
def test_parse_rate(language: str, text: str, valid: bool) -> None:
    judged = graded(text, "x", language=language, scores=["valid"])
    assert judged.valid == ("pass" if valid else "fail")
    assert judged.scores == {"exact_match": 0.0, "valid": float(valid)}
    assert judged.failure == ("wrong" if valid else "syntax")


def test_prompt_and_completion_can_be_one_program() -> None:
    case = Case(id="e", prompt="def f():\n", language="python", judge="exact",
                spec={"answers": ["x"], "scores": ["valid"], "parse": "program"})  # fmt: skip
    assert judge_all([(case, Completion(case="e", text="    return 1\n"))])[0].valid == "pass"
    assert judge_all([(case, Completion(case="e", text="    return (\n"))])[0].valid == "fail"


@pytest.mark.parametrize("score", ["bleu", "rouge_l", "edit_similarity", "valid"])
def test_a_missing_library_is_named_only_where_its_score_is_asked_for(
    score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sacrebleu.metrics", "rapidfuzz.distance", "tree_sitter"):
        monkeypatch.setitem(sys.modules, name, None)
    text_parse.parser.cache_clear()
    assert graded("a", "a").function == "pass"
    with pytest.raises(MissingExtraError, match=r"codetemper\[judge\]"):
        graded("a", "b", scores=[score])


def test_long_texts_take_no_time() -> None:
    start = time.monotonic()
    graded("a(" * 20_000, "b(" * 20_000, scores=ALL)
    assert time.monotonic() - start < 60
