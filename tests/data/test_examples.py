# SPDX-License-Identifier: Apache-2.0
"""Fix pairs in tokens: roles, both sides, and what windows keep."""

from __future__ import annotations

from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.data.examples import Example, Layout, Role, Side, answered, encode
from tests.tiny import tiny_tokenizer

PROMPT = "int copy(char *to, const char *from)\n"
BEFORE = PROMPT + "{\n    strcpy(to, from);\n    return 0;\n}\n"
AFTER = PROMPT + "{\n    if (!to)\n        return 1;\n    strcpy(to, from);\n    return 0;\n}\n"


def pair(before: str = BEFORE, after: str = AFTER, **changes: Any) -> FixPair:
    given = {
        "id": "1",
        "language": "c",
        "before": before,
        "after": after,
        "body_start": len(PROMPT),
        "name": "copy",
        "path": "a.c",
        "repository": "project",
        "commit": "0" * 40,
        "date": "2024-01-01T00:00:00+00:00",
    }
    return FixPair.model_validate(given | changes)


def only(one: FixPair, **layout: Any) -> Example:
    (example,) = encode([one], tiny_tokenizer(), Layout(**layout)).items
    return example


def texts(side: Side | None, role: Role) -> str:
    """Return the tokens of a role, runs of others between them as one ``~``."""
    assert side is not None
    tokenizer, found = tiny_tokenizer(), ""
    for token, own in zip(side.ids, side.roles, strict=True):
        if own == role:
            found += tokenizer.decode([token])
        elif not found.endswith("~"):
            found += "~"
    return found


def test_prompts_carry_no_loss_and_the_end_token_does() -> None:
    tokenizer = tiny_tokenizer()
    fixed = only(pair()).fixed
    assert fixed is not None
    prompt = tokenizer(PROMPT)["input_ids"]
    assert fixed.ids[: len(prompt)] == tuple(prompt)
    assert fixed.roles[: len(prompt)] == (Role.PROMPT,) * len(prompt)
    assert Role.PROMPT not in fixed.roles[len(prompt) :]
    assert fixed.ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(fixed.ids[:-1]) == AFTER


def test_what_was_added_is_changed_and_so_is_what_stood_in_its_place() -> None:
    example = only(pair())
    changed = texts(example.fixed, Role.CHANGED)
    assert "".join(changed.replace("~", "").split()) == "if(!to)return1;"
    assert "if" not in texts(example.fixed, Role.UNCHANGED)
    # The vulnerable side goes on with strcpy where the check should be.
    instead = texts(example.vulnerable, Role.CHANGED)
    assert instead.startswith("~")
    assert "str".startswith(instead.replace("~", "").strip()[:1])
    assert len(instead.replace("~", "").strip()) < len("strcpy(")
    assert example.vulnerable is not None
    assert example.vulnerable.roles[-1] == Role.CHANGED


def forks(example: Example) -> list[tuple[str, str]]:
    """Return the tokens where the sides part: of the fixed one, of the vulnerable one."""
    side, decode = example.fixed, tiny_tokenizer().decode
    assert side is not None
    pairs = zip(side.ids, side.instead, strict=True)
    return [(decode([own]), decode([other])) for own, other in pairs if other >= 0]


def test_the_sides_part_at_the_first_token_that_differs_in_a_line() -> None:
    (fork,) = forks(only(pair()))
    assert (fork[0].strip()[:1], fork[1].strip()[:1]) == ("i", "s")
    (fork,) = forks(only(pair(before=AFTER, after=BEFORE)))
    assert (fork[0].strip()[:1], fork[1].strip()[:1]) == ("s", "i")
    # A second difference in the same line stands after a choice that is no longer made.
    one = PROMPT + "{\n    put(a, 1);\n    end(a);\n}\n"
    other = PROMPT + "{\n    get(a, 2);\n    use(a);\n}\n"
    assert [(a.strip()[:1], b.strip()[:1]) for a, b in forks(only(pair(one, other)))] == [
        ("g", "p"), ("u", "e"),
    ]  # fmt: skip


def test_where_the_fixed_side_goes_on_the_vulnerable_one_ends() -> None:
    prompt = "def f(a):\n"
    before, after = prompt + "    g(a)\n", prompt + "    g(a)\n    h(a)\n"
    example = only(pair(before, after, body_start=len(prompt), language="python"))
    end = tiny_tokenizer().eos_token_id
    assert example.vulnerable is not None
    assert (example.vulnerable.ids[-1], example.vulnerable.roles[-1]) == (end, Role.CHANGED)
    assert example.fixed is not None
    assert end in example.fixed.instead


def test_what_was_removed_marks_what_follows_on_the_fixed_side() -> None:
    example = only(pair(before=AFTER, after=BEFORE))
    assert len(texts(example.fixed, Role.CHANGED).replace("~", "").strip()) > 0
    removed = texts(example.vulnerable, Role.CHANGED).replace("~", "")
    assert "".join(removed.split()) == "if(!to)return1;"


def test_spans_of_the_record_go_before_computed_ones() -> None:
    at = AFTER.index("return 0")
    example = only(pair(changed_spans_after=((at, at + 6),)))
    assert texts(example.fixed, Role.CHANGED).replace("~", "").strip() == "return"


def test_a_changed_signature_moves_where_the_vulnerable_body_begins() -> None:
    narrow = "int copy(char *to)\n" + BEFORE[len(PROMPT) :]
    example = only(pair(before=narrow))
    body = texts(example.vulnerable, Role.UNCHANGED) + texts(example.vulnerable, Role.CHANGED)
    assert "copy" not in body
    assert "{" in body


def test_wrappers_are_masked_unless_prompts_are_learnt() -> None:
    wrapper = "### Complete:\n{prompt}### Answer:\n"
    masked = only(pair(), wrapper=wrapper)
    assert masked.fixed is not None
    prompt = f"### Complete:\n{PROMPT}### Answer:\n"
    assert tiny_tokenizer().decode(masked.fixed.ids[:-1]) == prompt + AFTER[len(PROMPT) :]
    assert texts(masked.fixed, Role.PROMPT) == prompt + "~"
    changed = texts(masked.fixed, Role.CHANGED).replace("~", "")
    assert "".join(changed.split()) == "if(!to)return1;"
    learnt = only(pair(), wrapper=wrapper, learn_prompts=True).fixed
    assert learnt is not None
    assert learnt.ids == masked.fixed.ids
    assert Role.PROMPT not in learnt.roles


def test_the_wrapper_needs_one_place_for_the_prompt() -> None:
    with pytest.raises(UsageError, match="no one place"):
        only(pair(), wrapper="complete this")


def test_context_goes_before_pieces_and_they_do_not_end_the_text() -> None:
    piece = pair("    strcpy(a, b);\n", "    strncpy(a, b, 4);\n", body_start=0,
                 granularity="line", context="int f(void)\n{\n")  # fmt: skip
    fixed = only(piece).fixed
    assert fixed is not None
    assert tiny_tokenizer().decode(fixed.ids) == "int f(void)\n{\n    strncpy(a, b, 4);\n"
    assert texts(fixed, Role.PROMPT) == "int f(void)\n{\n~"
    assert only(piece, window="head").fixed.ids[-1] == tiny_tokenizer().eos_token_id  # type: ignore[union-attr]


LONG = PROMPT + "{\n" + "    count = count + 1;\n" * 60


def long() -> FixPair:
    return pair(LONG + "    strcpy(to, from);\n}\n", LONG + "    strncpy(to, from, 4);\n}\n")


def test_windows_lie_around_the_change_where_the_head_loses_it() -> None:
    layout = Layout(max_length=96)
    examples = encode([long()], tiny_tokenizer(), layout)
    (example,) = examples.items
    assert examples.truncated == 1
    assert "strncpy" in tiny_tokenizer().decode(example.fixed.ids)  # type: ignore[union-attr]
    assert examples.fix.share == 1.0
    assert example.vulnerable is not None
    assert Role.CHANGED in example.vulnerable.roles
    head = encode([long()], tiny_tokenizer(), Layout(max_length=96, window="head"))
    assert head.fix.share == 0.0
    (cut,) = head.items
    assert cut.fixed is not None
    assert len(cut.fixed.ids) <= 96
    assert cut.fixed.ids[-1] != tiny_tokenizer().eos_token_id
    assert cut.vulnerable is None


def test_tokens_carry_loss_once_and_never_after_a_gap() -> None:
    lines = [f"    value_{n} = source[{n}];\n" for n in range(80)]
    after = PROMPT + "{\n" + "".join(lines) + "}\n"
    for n in (5, 70):
        lines[n] = lines[n].replace("source", "origin")
    before = PROMPT + "{\n" + "".join(lines) + "}\n"
    examples = encode([pair(before, after)], tiny_tokenizer(), Layout(max_length=200))
    assert len(examples.items) == 2
    assert examples.fix.share == 1.0
    whole = encode([pair(before, after)], tiny_tokenizer(), Layout(max_length=10_000))
    assert examples.learnt_tokens < whole.learnt_tokens
    assert examples.items[1].fixed is not None
    second = examples.items[1].fixed
    first_learnt = second.roles.index(Role.UNCHANGED)
    kept = sum(role == Role.PROMPT for role in second.roles)
    assert kept == first_learnt


def test_pairs_without_a_body_are_skipped() -> None:
    examples = encode([pair(after=PROMPT), pair(), pair(after=PROMPT + "\n")], tiny_tokenizer(),
                      Layout())  # fmt: skip
    assert (examples.skipped, len(examples.items)) == (2, 1)


def test_a_token_never_spans_the_border() -> None:
    tokenizer = tiny_tokenizer()
    # The tokenizer knows ":\n   " as part of its text, so the whole is not prompt plus body.
    prompt = "def add_0(a, b):\n"
    whole = prompt + "    return a + b + 0\n"
    alone = tokenizer(prompt)["input_ids"]
    assert tokenizer(whole)["input_ids"][: len(alone)] != alone
    one = pair(prompt + "    return a\n", whole, body_start=len(prompt), language="python")
    fixed = only(one).fixed
    assert fixed is not None
    assert fixed.ids[: len(alone)] == tuple(alone)
    assert tokenizer.decode(fixed.ids[:-1]) == whole
    assert "b" in texts(fixed, Role.CHANGED)


def test_all_windows_of_a_flagged_pair_are_flagged() -> None:
    pairs = [pair(id="a"), long().model_copy(update={"id": "b"}), pair(id="c")]
    layout = Layout(max_length=200)
    found = [
        [example.flagged for example in encode([p], tiny_tokenizer(), layout, {"b", "c"}).items]
        for p in pairs
    ]
    assert [set(flags) for flags in found] == [{False}, {True}, {True}]
    items = encode(pairs, tiny_tokenizer(), layout, {"b", "c"}).items
    assert [e.flagged for e in items] == [flag for flags in found for flag in flags]
    assert not any(e.flagged for e in encode(pairs, tiny_tokenizer(), layout).items)


def test_an_answer_follows_the_tokens_that_its_prompt_has_alone() -> None:
    tokenizer = tiny_tokenizer()
    prompt, answer = answered(tokenizer, PROMPT, AFTER[len(PROMPT) :])
    assert list(prompt) == tokenizer(PROMPT)["input_ids"]
    assert tokenizer.decode(answer[:-1]) == AFTER[len(PROMPT) :]
    assert answer[-1] == tokenizer.eos_token_id
    # A model is not asked with nothing in front of it.
    assert answered(tokenizer, "", "x")[0] == (tokenizer.bos_token_id,)
