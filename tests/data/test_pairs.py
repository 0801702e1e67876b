# SPDX-License-Identifier: Apache-2.0
"""From judged samples to pairs: what may win, how losers are spread, what a human's word does."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from codetemper.core.records import Case, Completion, Finding, PreferencePair, Verdict
from codetemper.data.answers import answers, form_of, kind_of
from codetemper.data.corpus import read_corpus, write_corpus
from codetemper.data.pairs import PairConfig, is_mixed, make_pairs

CHECKS = {"checks": [{"kind": "function"}, {"kind": "security"}]}


def a_case(name: str = "c", language: Any = "python", **more: Any) -> Case:
    prompt = {"python": "def f(x):\n", "c": "int f(int x)\n{\n"}.get(language, "-- all names\n")
    return Case(id=name, prompt=prompt, language=language, judge="execution", **more)


def sample(text: str, failure: Any = None, **more: Any) -> tuple[Completion, Verdict]:
    """Return an answer and a verdict: clean, of a failure class, or ``insecure``."""
    fields = {
        "valid": "fail" if failure == "syntax" else "pass",
        "function": "pass" if failure in (None, "insecure") else "fail",
        "security": "fail" if failure == "insecure" else "pass",
    } | {key: more.pop(key) for key in ("function", "security", "flags", "findings") if key in more}
    verdict = Verdict(case="c", failure=failure, judge="j/1", **fields)
    return Completion(case="c", text=text, **more), verdict


def paired(*samples: tuple[Completion, Verdict], case: Case | None = None, **settings: Any) -> Any:
    choices = settings.pop("choices", ())
    rows = [(case or a_case(spec=CHECKS), list(samples))]
    return make_pairs(rows, PairConfig(**settings), round=1, seed=0, choices=choices)


def sides(found: Any) -> set[tuple[str, str]]:
    return {(pair.chosen, pair.rejected) for pair in found.pairs}


@pytest.mark.parametrize(
    ("language", "same", "other"),
    [
        (
            "python",
            ["    return x+1\n", "    # one more\n    return (x + 1)\n"],
            "    return y+1\n",
        ),
        ("python", ["    return (x\n", "    return ( x  # ...\n"], "    return (y\n"),
        (
            "sql",
            ["SELECT a FROM t WHERE b <> 1;", "select  A -- x\nfrom t where b != 1; SELECT 2"],
            "SELECT a FROM t WHERE b <> '1';",
        ),
        ("sql", ["SELECT 'a  B'"], "SELECT 'a b'"),
        ("c", ["return x+1; }", "/* more */ return x + 1;\n}"], "return x+2; }"),
        ("shell", ["ls  -l"], "ls - l"),
    ],
)
def test_a_form_is_blind_to_layout_alone(language: Any, same: list[str], other: str) -> None:
    case = a_case(language=language)
    assert len({form_of(case, text) for text in same}) == 1
    assert form_of(case, other) != form_of(case, same[0])


def test_a_program_too_deep_to_walk_still_has_a_form() -> None:
    deep = "    return " + "+".join(["x"] * 2500) + "\n"
    assert form_of(a_case(), deep) == form_of(a_case(), deep.replace("+", " + "))


def test_only_what_works_and_resists_wins() -> None:
    found = paired(
        sample("    return 1\n"),
        sample("    return 2\n", "insecure"),
        sample("    return 3\n", "wrong"),
    )
    assert sides(found) == {
        ("    return 1\n", "    return 2\n"),
        ("    return 1\n", "    return 3\n"),
    }
    assert {pair.failure for pair in found.pairs} == {"insecure", "wrong"}


def test_a_broken_answer_never_wins_for_being_harmless() -> None:
    found = paired(sample("    return 2\n", "insecure"), sample("    return 3\n", "wrong"))
    assert found.pairs == []
    assert found.counts["prompts"]["wrong"] == 1
    assert [answer.good for answer in found.leftovers] == [False, False]


def test_what_nobody_can_tell_is_in_no_pair() -> None:
    found = paired(
        sample("    return 1\n"),
        sample("    return 2\n", "unknown", function="unknown", security="unknown"),
        sample("    return 3\n", security="unknown"),
        sample("    return 4\n", flags=("exit",)),
        sample("    return 5\n", "tamper", flags=("exit",)),
    )
    assert sides(found) == {("    return 1\n", "    return 5\n")}
    assert found.leftovers == []
    assert found.counts["samples"]["unknown"] == 3


def test_where_a_suite_cannot_show_security_working_is_enough() -> None:
    rows = sample("    return 1\n", security="unknown"), sample("    return 2\n", "wrong")
    assert paired(*rows).pairs == []
    assert len(paired(*rows, case=a_case()).pairs) == 1
    weak = sample("    return 1\n", "insecure"), sample("    return 2\n", "wrong")
    assert len(paired(*weak, security=False).pairs) == 1


def test_copies_are_one_answer_and_are_counted() -> None:
    found = paired(
        sample("    return 1\n"),
        sample("    return  1 # so\n", index=1),
        sample("    return 1\n", index=2),
        sample("    return 2\n", "wrong"),
    )
    (pair,) = found.pairs
    assert (pair.chosen, pair.chosen_count, pair.rejected_count) == ("    return 1\n", 3, 1)
    assert found.counts["samples"] == {
        "drawn": 4, "distinct": 2, "clean": 1, "weak": 0, "broken": 1, "unknown": 0,
    }  # fmt: skip


def test_verdicts_of_one_form_that_contradict_each_other_say_nothing() -> None:
    found = answers(
        a_case(), [sample("    return 1\n"), sample("    return  1\n", "timeout", index=1)]
    )
    assert [answer.kind for answer in found] == ["unknown"]


def test_what_was_cut_off_wins_only_where_nothing_came_to_its_end() -> None:
    cut = sample("    return 1\n    # and", finished=False)
    wrong = sample("    return 2\n", "wrong")
    assert sides(paired(cut, wrong)) == {("    return 1\n    # and", "    return 2\n")}
    found = paired(cut, sample("    return 3\n"), wrong)
    assert sides(found) == {("    return 3\n", "    return 2\n")}
    assert found.leftovers == []


def test_losers_are_spread_over_failure_classes_and_nobody_is_used_too_often() -> None:
    right = [sample(f"    return {n}\n") for n in range(3)]
    wrong = [sample(f"    return -{n}\n", "wrong") for n in range(10, 16)]
    other = [
        sample("    return a\n", "runtime"),
        sample("    return b\n", "timeout"),
        sample("    return (\n", "syntax"),
    ]
    found = paired(*right, *wrong, *other, syntax_share=1.0)
    assert Counter(pair.failure for pair in found.pairs) == {
        "wrong": 1, "runtime": 1, "timeout": 1, "syntax": 1,
    }  # fmt: skip
    assert max(Counter(pair.chosen for pair in found.pairs).values()) <= 2
    few = paired(right[0], *wrong, uses=2)
    assert len(few.pairs) == 2
    many = paired(*right, wrong[0], uses=3, pairs_per_prompt=9)
    assert len(sides(many)) == len(many.pairs) == 3


def test_syntax_errors_keep_to_their_share_and_no_prompt_is_lost() -> None:
    def rows(broken: int) -> list[Any]:
        found = []
        for n in range(8):
            texts = [sample("    return 1\n"), sample("    return (\n", "syntax")]
            if n >= broken:
                texts += [sample("    return 2\n", "wrong")]
            found.append((a_case(f"c{n}"), texts))
        return found

    mixed = make_pairs(rows(0), PairConfig(), round=1, seed=0)
    assert mixed.counts["rejected"] == {"syntax": 2, "wrong": 8}
    assert mixed.counts["dropped"] == {"syntax errors beyond their share": 6}
    assert len(mixed.leftovers) == 6
    alone = make_pairs(rows(8), PairConfig(), round=1, seed=0)
    assert alone.counts["rejected"] == {"syntax": 8}
    none = make_pairs(rows(0), PairConfig(syntax_share=0), round=1, seed=0)
    assert none.counts["rejected"] == {"wrong": 8}
    assert make_pairs(rows(8), PairConfig(syntax_share=0), round=1, seed=0).pairs == []
    exact = make_pairs(rows(5), PairConfig(syntax_share=0.5), round=1, seed=0)
    assert exact.counts["rejected"] == {"syntax": 5, "wrong": 3}


def test_the_reference_wins_only_where_asked_and_all_samples_are_worse() -> None:
    case = a_case(spec=CHECKS, reference="    return 0\n")
    wrong = sample("    return 2\n", "wrong"), sample("    return 3\n", "insecure")
    assert paired(*wrong, case=case).pairs == []
    found = paired(*wrong, case=case, reference_wins=True)
    assert {(p.because, p.chosen, p.chosen_count) for p in found.pairs} == {
        ("reference", "    return 0\n", 0)
    }
    unclear = sample("    return 4\n", security="unknown")
    assert paired(*wrong, unclear, case=case, reference_wins=True).pairs == []
    drawn = sample("    return  0\n", "wrong")
    assert paired(*wrong, drawn, case=case, reference_wins=True).pairs == []


def test_what_analysers_alone_say_is_told_apart_from_an_exploit() -> None:
    seen = Finding(rule="bandit:B602", message="shell", fingerprint="ab:1")
    exploit = Finding(rule="exploit:x", message="had its way")
    found = paired(
        sample("    return 1\n"),
        sample("    return 2\n", "insecure", findings=(seen,)),
        sample("    return 3\n", "insecure", findings=(exploit, seen)),
    )
    assert {p.rejected[-2]: p.because for p in found.pairs} == {"2": "static", "3": "execution"}


def choice(better: str, worse: str) -> PreferencePair:
    return PreferencePair(
        id=f"{better}{worse}", case="c", prompt=a_case().prompt, chosen=better, rejected=worse,
        language="python", because="human",
    )  # fmt: skip


def test_a_human_goes_before_the_judge() -> None:
    right, wrong = sample("    return 1\n"), sample("    return 2\n", "wrong")
    found = paired(right, wrong, choices=[choice("    return  2\n", "    return 1 # no\n")])
    (pair,) = found.pairs
    assert (pair.because, pair.chosen, pair.chosen_count) == ("human", "    return  2\n", 1)
    assert found.counts["dropped"] == {"against a human's choice": 1}
    other = choice("    return 1\n", "    return 2\n")
    both = paired(right, wrong, choices=[other, choice("    return 2\n", "    return 1\n")])
    assert [p.because for p in both.pairs] == ["execution"]
    assert both.counts["dropped"] == {"choices that contradict each other": 2}
    elsewhere = other.model_copy(update={"prompt": "def g():\n"})
    assert [p.because for p in paired(right, wrong, choices=[elsewhere]).pairs] == ["execution"]
    third = sample("    return 3\n")
    used = paired(right, third, wrong, uses=1, choices=[other])
    assert [p.because for p in used.pairs] == ["human"]
    alone = paired(right, choices=[choice("    return 7\n", "    return 8\n")])
    assert [(p.because, p.chosen_count) for p in alone.pairs] == [("human", 0)]


def test_pairs_depend_on_no_order_but_on_seed_and_round() -> None:
    rows = [
        (
            a_case(f"c{n}"),
            [sample(f"    return {i}\n", None if i % 2 else "wrong", index=i) for i in range(12)],
        )
        for n in range(6)
    ]
    first = make_pairs(rows, PairConfig(), round=1, seed=0)
    mixed = [(case, random.Random(3).sample(samples, 12)) for case, samples in reversed(rows)]
    halves = [(case, part) for case, s in mixed for part in (s[:5], s[5:])]
    assert make_pairs(halves, PairConfig(), round=1, seed=0) == first
    assert make_pairs(rows, PairConfig(), round=1, seed=1).pairs != first.pairs
    again = make_pairs(rows, PairConfig(), round=2, seed=0)
    assert {p.id for p in again.pairs} != {p.id for p in first.pairs}
    assert {p.round for p in again.pairs} == {2}


def test_mixed_says_what_can_be_paired() -> None:
    case, right, wrong = a_case(), sample("    return 1\n"), sample("    return 2\n", "wrong")
    assert is_mixed(case, [right, wrong], PairConfig())
    assert not is_mixed(case, [right], PairConfig())
    assert not is_mixed(case, [wrong], PairConfig())
    weak = sample("    return 3\n", "insecure")
    assert is_mixed(case, [right, weak], PairConfig())
    assert not is_mixed(case, [right, weak], PairConfig(security=False))


def test_a_judge_that_only_looks_makes_no_winner() -> None:
    verdict = sample("x", function="unknown", security="unknown")[1]
    assert kind_of(a_case(), verdict) == "unknown"


def test_pairs_make_a_corpus(tmp_path: Any) -> None:
    found = paired(sample("    return 1\n"), sample("    return 2\n", "wrong"))
    card = write_corpus(tmp_path, found.pairs, verb="pair", counts=found.counts)
    read, rows = read_corpus(tmp_path)
    assert (read, rows) == (card, found.pairs)
    assert card.record == "PreferencePair"
