# SPDX-License-Identifier: Apache-2.0
"""Families on text: letters, words, separators. Data only."""

from __future__ import annotations

from typing import Any

from seedling.world.python_recipe import Parts, Recipe, loop, table
from seedling.world.python_words import CONSTANTS, SMALL, TEXTS, WORDS

_T = {"p": TEXTS}
_W = {"noun": WORDS}
_SIGNS = tuple(
    {"sign": sign, "called": called}
    for sign, called in (
        ("-", "dash"),
        (",", "comma"),
        (";", "semicolon"),
        (":", "colon"),
        ("_", "underscore"),
        ("/", "slash"),
        ("|", "bar"),
        ("+", "plus"),
    )
)
_LETTERS = tuple("abcdefghilmnoprstuw")


def _lists(parts: Parts) -> list[tuple[Any, ...]]:
    """Lists of words: empty, one, equal lengths, the drawn letter and the drawn length."""
    letter, k = str(parts.get("letter", "a")), int(parts.get("k", 4))
    return [
        ([],),
        ([letter + "pen"],),
        (["red", "green", "blue", "x" * k],),
        (["x" * (k - 1), "y" * k, "z" * (k + 1), "sun"],),
        (["xx" + letter, letter + "x", "moon", "tree", letter],),
    ]


def _runs(text: str) -> list[list[Any]]:
    found: list[list[Any]] = []
    for char in text:
        if found and found[-1][0] == char:
            found[-1][1] += 1
        else:
            found.append([char, 1])
    return found


def _shift(text: str, k: int) -> str:
    return "".join(chr((ord(char) - 97 + k) % 26 + 97) for char in text)


STRING_FAMILIES = table(
    Recipe(
        name="reverse_words",
        names=("reverse_words", "words_backwards", "flip_words"),
        docs=(
            "Return the words of $p in reverse order, joined by spaces.",
            "Reverse the order of the words in $p, not their letters.",
        ),
        params="$p",
        parts=_T,
        good={
            "slice": "return ' '.join($p.split()[::-1])",
            "reversed": "words = $p.split()\nwords.reverse()\nreturn ' '.join(words)",
        },
        bad={
            "letters": "return $p[::-1]",
            "no-spaces": "return ''.join($p.split()[::-1])",
            "each-word": "return ' '.join(word[::-1] for word in $p.split())",
        },
        share=0.35,
        trusted=lambda q, t: " ".join(reversed(t.split())),
        inputs=lambda q: [("",), ("one",), ("one two",), ("the red sun",), ("a b c d",)],
    ),
    Recipe(
        name="palindrome",
        names=("is_palindrome", "same_backwards", "reads_both_ways"),
        docs=(
            "Return True if $p reads the same backwards, ignoring case.",
            "Tell whether $p in lower case equals its reverse.",
        ),
        params="$p",
        parts=_T,
        good={"lower": "$p = $p.lower()\nreturn $p == $p[::-1]"},
        bad={
            "case": "return $p == $p[::-1]",
            "ends-only": "$p = $p.lower()\nreturn $p[:1] == $p[-1:]",
            "lower-once": "return $p.lower() == $p[::-1]",
        },
        share=0.53,
        trusted=lambda q, t: t.lower() == t.lower()[::-1],
        inputs=lambda q: [("",), ("a",), ("Level",), ("noon",), ("north",), ("abca",)],
    ),
    Recipe(
        name="shift_letters",
        names=("shift_letters", "shift_by_$k", "caesar_$k"),
        docs=(
            "Shift each letter of $p (only a to z) by $k, from z on to a.",
            "Return $p, lower case letters only, with each moved $k on; a follows z.",
        ),
        params="$p",
        parts={**_T, "k": CONSTANTS},
        good={"modulo": "return ''.join(chr((ord(c) - 97 + $k) % 26 + 97) for c in $p)"},
        bad={
            "no-wrap": "return ''.join(chr(ord(c) + $k) for c in $p)",
            "wrong-way": "return ''.join(chr((ord(c) - 97 - $k) % 26 + 97) for c in $p)",
            "wrong-size": "return ''.join(chr((ord(c) - 97 + $k) % 25 + 97) for c in $p)",
        },
        share=0.44,
        trusted=lambda q, t: _shift(t, q["k"]),
        inputs=lambda q: [("",), ("abc",), ("xyz",), ("hello",), ("zebra",)],
    ),
    Recipe(
        name="runs",
        names=("runs", "count_runs", "letter_runs", "run_lengths"),
        docs=(
            "Return [char, count] for each run of equal characters in $p.",
            "List the runs of the same character in $p as [char, length].",
        ),
        params="$p",
        parts=_T,
        good={
            "loop": "result = []\nfor c in $p:\n    if result and result[-1][0] == c:\n"
            "        result[-1][1] += 1\n    else:\n        result.append([c, 1])\nreturn result",
        },
        bad={
            "zero-start": "result = []\nfor c in $p:\n    if result and result[-1][0] == c:\n"
            "        result[-1][1] += 1\n    else:\n        result.append([c, 0])\nreturn result",
            "no-guard": "result = []\nfor c in $p:\n    if result[-1][0] == c:\n"
            "        result[-1][1] += 1\n    else:\n        result.append([c, 1])\nreturn result",
            "counts-all": "return [[c, $p.count(c)] for c in $p]",
        },
        share=0.45,
        trusted=lambda q, t: _runs(t),
        inputs=lambda q: [("",), ("a",), ("aab",), ("abba",), ("xxxyx",)],
    ),
    Recipe(
        name="key_value",
        names=("parse_$p", "read_pairs", "pairs_by_$called"),
        docs=(
            "Return a dict of the key=value pairs in $p, separated by '$sign'.",
            "Read $p, pairs of key=value with '$sign' between them, into a dict.",
        ),
        params="$p",
        parts={**_T, "signs": _SIGNS},
        good={
            "comprehension": "pairs = $p.split('$sign')\n"
            "return dict(pair.split('=', 1) for pair in pairs if pair)",
            "loop": "result = {}\nfor pair in $p.split('$sign'):\n    if pair:\n"
            "        key, value = pair.split('=', 1)\n        result[key] = value\nreturn result",
        },
        bad={
            "forgets-empty": "return dict(pair.split('=', 1) for pair in $p.split('$sign'))",
            "swapped": "result = {}\nfor pair in $p.split('$sign'):\n    if pair:\n"
            "        key, value = pair.split('=', 1)\n        result[value] = key\nreturn result",
            "wrong-separator": "return dict(pair.split('$sign', 1) for pair in $p.split('='))",
        },
        share=0.48,
        trusted=lambda q, t: dict(pair.split("=", 1) for pair in t.split(q["sign"]) if pair),
        inputs=lambda q: [
            ("",),
            ("a=1",),
            (q["sign"].join(["a=1", "b=2"]),),
            (q["sign"].join(["x=one", "y=two", "z=3"]),),
        ],
    ),
    Recipe(
        name="count_vowels",
        names=("count_vowels", "vowels_in_$p", "number_of_vowels"),
        docs=(
            "Return how many vowels (a, e, i, o, u) are in $p, ignoring case.",
            "Count the letters a, e, i, o and u in $p, upper or lower case.",
        ),
        params="$p",
        parts=_T,
        good={
            "generator": "return sum(1 for c in $p.lower() if c in 'aeiou')",
            "loop": "count = 0\nfor c in $p.lower():\n    if c in 'aeiou':\n        count += 1\n"
            "return count",
        },
        bad={
            "case": "return sum(1 for c in $p if c in 'aeiou')",
            "not-vowels": "return sum(1 for c in $p.lower() if c not in 'aeiou')",
            "forgets-u": "return sum(1 for c in $p.lower() if c in 'aeio')",
        },
        share=0.41,
        trusted=lambda q, t: sum(c in "aeiou" for c in t.lower()),
        inputs=lambda q: [("",), ("Apple",), ("sky",), ("OUR house",), ("banana",)],
    ),
    Recipe(
        name="long_words",
        names=("${p}_longer_than_$k", "long_${p}_over_$k", "keep_${p}_over_$k"),
        docs=(
            "Return those of $p with more than $k letters.",
            "Keep the $p that are longer than $k characters.",
        ),
        params="$p",
        parts={**_W, "k": CONSTANTS},
        good={
            "comprehension": "return [$x for $x in $p if len($x) > $k]",
            "loop": loop("result = []", "if len($x) > $k:\n    result.append($x)"),
        },
        bad={
            "or-equal": "return [$x for $x in $p if len($x) >= $k]",
            "shorter": "return [$x for $x in $p if len($x) < $k]",
            "lengths": "return [len($x) for $x in $p if len($x) > $k]",
        },
        share=0.4,
        trusted=lambda q, xs: [x for x in xs if len(x) > q["k"]],
        inputs=_lists,
    ),
    Recipe(
        name="words_with_letter",
        names=("${p}_starting_with_$letter", "${p}_that_start_with_$letter"),
        docs=(
            "Return those of $p that start with '$letter'.",
            "Keep the $p whose first letter is '$letter'; some may be empty strings.",
        ),
        params="$p",
        parts={**_W, "letter": _LETTERS},
        good={
            "startswith": "return [$x for $x in $p if $x.startswith('$letter')]",
            "slice": "return [$x for $x in $p if $x[:1] == '$letter']",
        },
        bad={
            "contains": "return [$x for $x in $p if '$letter' in $x]",
            "first-letter": "return [$x for $x in $p if $x[0] == '$letter']",
            "ends": "return [$x for $x in $p if $x.endswith('$letter')]",
        },
        share=0.38,
        trusted=lambda q, xs: [x for x in xs if x.startswith(q["letter"])],
        inputs=lambda q: [*_lists(q), (["", q["letter"] + "y", "sky"],)],
    ),
    Recipe(
        name="longest_word",
        names=("longest_$x", "longest_of_$p", "find_longest_$x"),
        docs=(
            "Return the first longest string of $p, or '' if empty.",
            "Return the longest of $p; of equals the first, of none ''.",
        ),
        params="$p",
        parts=_W,
        good={
            "max": "return max($p, key=len, default='')",
            "loop": loop("best = ''", "if len($x) > len(best):\n    best = $x"),
        },
        bad={
            "by-alphabet": "return max($p, default='')",
            "last-of-equals": loop("best = ''", "if len($x) >= len(best):\n    best = $x"),
            "forgets-empty": "return max($p, key=len)",
        },
        share=0.52,
        trusted=lambda q, xs: max(xs, key=len, default=""),
        inputs=lambda q: [*_lists(q), (["sky", "fox", "at"],)],
    ),
    Recipe(
        name="count_letter",
        names=("count_$letter", "count_letter_$letter", "number_of_$letter"),
        docs=(
            "Return how often '$letter' is in $p, ignoring case.",
            "Count the letter '$letter' in $p, upper or lower case.",
        ),
        params="$p",
        parts={**_T, "letter": _LETTERS},
        good={
            "count": "return $p.lower().count('$letter')",
            "generator": "return sum(1 for c in $p.lower() if c == '$letter')",
        },
        bad={
            "case": "return $p.count('$letter')",
            "is-there": "return '$letter' in $p.lower()",
            "find": "return $p.lower().find('$letter')",
        },
        share=0.39,
        trusted=lambda q, t: t.lower().count(q["letter"]),
        inputs=lambda q: [
            ("",),
            (q["letter"],),
            (q["letter"].upper() + "y" + q["letter"],),
            ("the quick brown fox",),
            ("x" + q["letter"] * 3,),
        ],
    ),
    Recipe(
        name="initials",
        names=("initials", "initials_of_$p", "short_$p"),
        docs=(
            "Return the first letters of the words in $p in upper case.",
            "Join the upper case first letter of each word of $p.",
        ),
        params="$p",
        parts=_T,
        good={
            "generator": "return ''.join(word[0].upper() for word in $p.split())",
            "loop": "result = ''\nfor word in $p.split():\n    result += word[0].upper()\n"
            "return result",
        },
        bad={
            "case": "return ''.join(word[0] for word in $p.split())",
            "spaces": "return ' '.join(word[0].upper() for word in $p.split())",
            "first-only": "return $p[0].upper()",
        },
        share=0.37,
        trusted=lambda q, t: "".join(word[0] for word in t.split()).upper(),
        inputs=lambda q: [("",), ("one",), ("red Sun",), ("the end of it",), ("Ada  King",)],
    ),
    Recipe(
        name="shorten",
        names=("shorten_$p", "cut_${p}_at_$k", "short_$p"),
        docs=(
            "Return $p, or its first $k characters and '...' if it is longer.",
            "Cut $p after $k characters and add '...', but only if it is longer.",
        ),
        params="$p",
        parts={**_T, "k": CONSTANTS},
        good={
            "guard": "if len($p) <= $k:\n    return $p\nreturn $p[:$k] + '...'",
            "branch": "if len($p) > $k:\n    return $p[:$k] + '...'\nreturn $p",
        },
        bad={
            "always": "return $p[:$k] + '...'",
            "at-limit": "if len($p) < $k:\n    return $p\nreturn $p[:$k] + '...'",
            "no-dots": "return $p[:$k]",
        },
        share=0.47,
        trusted=lambda q, t: t if len(t) <= q["k"] else t[: q["k"]] + "...",
        inputs=lambda q: [("",), ("x" * q["k"],), ("y" * (q["k"] + 1),), ("a long line of text",)],
    ),
    Recipe(
        name="change_separator",
        names=("${called}_${p}", "join_with_$called", "${called}_for_space"),
        docs=(
            "Return $p with spaces replaced by '$sign', in lower case.",
            "Write $p in lower case with '$sign' for each space.",
        ),
        params="$p",
        parts={**_T, "signs": _SIGNS},
        good={
            "replace": "return $p.lower().replace(' ', '$sign')",
            "join": "return '$sign'.join($p.lower().split(' '))",
        },
        bad={
            "case": "return $p.replace(' ', '$sign')",
            "swapped": "return $p.lower().replace('$sign', ' ')",
            "lost": "$p.lower().replace(' ', '$sign')\nreturn $p",
        },
        share=0.34,
        trusted=lambda q, t: t.lower().replace(" ", q["sign"]),
        inputs=lambda q: [("",), ("One",), ("red Sun",), ("a b c",), ("The End Of It",)],
    ),
    Recipe(
        name="hide_text",
        names=("hide_$p", "mask_$p", "stars_for_$p"),
        docs=(
            "Return $p with all but the last $k characters replaced by '*'.",
            "Hide $p behind '*', except for its last $k characters.",
        ),
        params="$p",
        parts={**_T, "k": SMALL},
        good={"max": "return '*' * max(0, len($p) - $k) + $p[-$k:]"},
        bad={
            "first-shown": "return $p[:$k] + '*' * (len($p) - $k)",
            "fixed-stars": "return '*' * $k + $p[-$k:]",
            "all-stars": "return '*' * len($p) + $p[-$k:]",
        },
        share=0.42,
        trusted=lambda q, t: "*" * max(0, len(t) - q["k"]) + t[-q["k"] :],
        inputs=lambda q: [("",), ("ab",), ("secret" * 2,), ("x" * q["k"],), ("abcdefgh",)],
    ),
)
