# SPDX-License-Identifier: Apache-2.0
"""Families on single whole numbers: digits, divisors, ranges, sequences. Data only."""

from __future__ import annotations

import math

from seedling.world.python_recipe import Recipe, table
from seedling.world.python_words import CONSTANTS, INTEGERS, PAIRS

_P = {"p": INTEGERS}
_K = {"p": INTEGERS, "k": CONSTANTS}
_LIMITS = tuple(
    {"low": f"{low}", "high": f"{high}", "lo": low, "hi": high}
    for low in (0, 1, 2, 3, 5, 10)
    for high in (12, 20, 50, 100)
)
_UNITS = tuple(
    dict(zip(("unit", "big", "small", "f"), row, strict=True))
    for row in (
        ("minutes", "minutes", "seconds", 60),
        ("hours", "hours", "minutes", 60),
        ("days", "days", "hours", 24),
        ("weeks", "weeks", "days", 7),
        ("years", "years", "months", 12),
        ("meters", "meters", "centimeters", 100),
        ("feet", "feet", "inches", 12),
        ("yards", "yards", "feet", 3),
        ("dollars", "dollars", "cents", 100),
        ("dozens", "dozens", "pieces", 12),
        ("liters", "liters", "milliliters", 1000),
        ("bytes", "bytes", "bits", 8),
    )
)


def _prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, n))


def _base(n: int, base: int) -> str:
    return str(n) if n < base else _base(n // base, base) + str(n % base)


def _sequence(n: int, a: int, b: int) -> int:
    return a if n == 0 else _sequence(n - 1, b, a + b)


NUMBER_FAMILIES = table(
    Recipe(
        name="digit_sum",
        names=("digit_sum", "sum_of_digits", "add_digits"),
        docs=(
            "Return the sum of the digits of $p.",
            "Add up the digits of $p.",
            "Return the digits of $p added together.",
        ),
        params="$p",
        parts=_P,
        good={
            "text": "return sum(int(digit) for digit in str($p))",
            "loop": "total = 0\nwhile $p > 0:\n    total += $p % 10\n    $p = $p // 10\n"
            "return total",
        },
        bad={
            "counts-digits": "return sum(1 for digit in str($p))",
            "drops-last": "total = 0\nwhile $p >= 10:\n    total += $p % 10\n    $p = $p // 10\n"
            "return total",
        },
        share=0.36,
        trusted=lambda q, n: sum(map(int, str(n))),
        inputs=lambda q: [(0,), (7,), (10,), (345,), (9081,)],
    ),
    Recipe(
        name="factorial",
        names=("factorial", "factorial_of_$p", "product_up_to_$p"),
        docs=(
            "Return the product of the numbers from 1 to $p; 1 for 0.",
            "Return $p factorial; the factorial of 0 is 1.",
        ),
        params="$p",
        parts=_P,
        good={
            "loop": "result = 1\nfor i in range(1, $p + 1):\n    result *= i\nreturn result",
            "down": "result = 1\nwhile $p > 1:\n    result *= $p\n    $p -= 1\nreturn result",
        },
        bad={
            "off-by-one": "result = 1\nfor i in range(1, $p):\n    result *= i\nreturn result",
            "wrong-start": "result = 0\nfor i in range(1, $p + 1):\n    result *= i\nreturn result",
            "from-zero": "result = 1\nfor i in range($p + 1):\n    result *= i\nreturn result",
        },
        share=0.48,
        trusted=lambda q, n: math.factorial(n),
        inputs=lambda q: [(0,), (1,), (3,), (5,), (7,)],
    ),
    Recipe(
        name="sequence",
        names=("sequence", "sequence_term", "term_at_$p"),
        docs=(
            "Return term $p (from 0) of $s0, $s1, ... where each is the sum of the two before.",
            "Terms 0 and 1 are $s0 and $s1, others the sum of the two before; return term $p.",
        ),
        params="$p",
        parts={**_P, "s0": (0, 1, 2, 3, 4), "s1": (1, 2, 3, 5, 6)},
        good={
            "loop": "a, b = $s0, $s1\nfor i in range($p):\n    a, b = b, a + b\nreturn a",
        },
        bad={
            "one-too-far": "a, b = $s0, $s1\nfor i in range($p):\n    a, b = b, a + b\nreturn b",
            "assigns-in-turn": "a, b = $s0, $s1\nfor i in range($p):\n    a = b\n    b = a + b\n"
            "return a",
        },
        share=0.5,
        trusted=lambda q, n: _sequence(n, q["s0"], q["s1"]),
        inputs=lambda q: [(0,), (1,), (2,), (5,), (9,)],
    ),
    Recipe(
        name="greatest_divisor",
        names=("gcd", "greatest_common_divisor", "common_divisor"),
        docs=(
            "Return the greatest common divisor of $a and $b.",
            "Return the largest number that divides $a and $b.",
            "Compute the greatest common divisor of $a and $b; $b may be 0.",
            "Find the greatest divisor $a and $b share.",
        ),
        params="$a, $b",
        parts={"pair": PAIRS},
        good={"euclid": "while $b:\n    $a, $b = $b, $a % $b\nreturn $a"},
        bad={
            "returns-rest": "while $b:\n    $a, $b = $b, $a % $b\nreturn $b",
            "divides": "while $b:\n    $a, $b = $b, $a // $b\nreturn $a",
        },
        share=0.3,
        trusted=lambda q, a, b: math.gcd(a, b),
        inputs=lambda q: [(12, 8), (8, 12), (7, 5), (9, 0), (100, 75)],
    ),
    Recipe(
        name="clamp",
        names=("clamp_$p", "limit_${p}_range", "bound_$p"),
        docs=(
            "Return $p, but at least $low and at most $high.",
            "Limit $p to the range from $low to $high.",
        ),
        params="$p",
        parts={**_P, "limits": _LIMITS},
        good={
            "nested": "return max($low, min($p, $high))",
            "branches": "if $p < $low:\n    return $low\nif $p > $high:\n    return $high\n"
            "return $p",
        },
        bad={
            "swapped": "return min($low, max($p, $high))",
            "one-side": "return min($p, $high)",
            "other-side": "return max($p, $low)",
        },
        share=0.44,
        trusted=lambda q, n: min(max(n, q["lo"]), q["hi"]),
        inputs=lambda q: [(q["lo"],), (q["lo"] - 3,), (q["hi"] + 1,), (q["hi"],), (11,)],
    ),
    Recipe(
        name="in_range",
        names=("${p}_in_range", "is_valid_$p", "check_$p"),
        docs=(
            "Return True if $p is from $low to $high, both included.",
            "Tell whether $p is at least $low and at most $high.",
        ),
        params="$p",
        parts={**_P, "limits": _LIMITS},
        good={
            "chained": "return $low <= $p <= $high",
            "and": "return $p >= $low and $p <= $high",
        },
        bad={
            "open-end": "return $low <= $p < $high",
            "open-both": "return $low < $p < $high",
            "or": "return $p >= $low or $p <= $high",
        },
        share=0.52,
        trusted=lambda q, n: q["lo"] <= n <= q["hi"],
        inputs=lambda q: [(q["lo"],), (q["hi"],), (q["lo"] - 1,), (q["hi"] + 1,), (11,)],
    ),
    Recipe(
        name="prime",
        names=("is_prime", "is_prime_$p", "${p}_is_prime", "check_prime"),
        docs=(
            "Return True if $p is a prime number.",
            "Tell whether $p is prime; 0 and 1 are not.",
            "Check if $p has no divisors but 1 and itself; 1 is not prime.",
        ),
        params="$p",
        parts=_P,
        good={
            "loop": "if $p < 2:\n    return False\nfor i in range(2, $p):\n    if $p % i == 0:\n"
            "        return False\nreturn True",
            "all": "return $p > 1 and all($p % i for i in range(2, $p))",
        },
        bad={
            "forgets-one": "for i in range(2, $p):\n    if $p % i == 0:\n        return False\n"
            "return True",
            "divides-by-one": "if $p < 2:\n    return False\nfor i in range(1, $p):\n"
            "    if $p % i == 0:\n        return False\nreturn True",
            "decides-early": "if $p < 2:\n    return False\nfor i in range(2, $p):\n"
            "    if $p % i == 0:\n        return False\n    return True",
        },
        share=0.46,
        trusted=lambda q, n: _prime(n),
        inputs=lambda q: [(0,), (1,), (2,), (9,), (13,), (25,), (29,)],
    ),
    Recipe(
        name="leap_year",
        names=("is_leap", "is_leap_year", "leap_$p", "check_leap_year"),
        docs=(
            "Return True if the year $p is a leap year.",
            "Tell whether $p is a leap year.",
            "Check if year $p has 366 days.",
        ),
        params="$p",
        parts={"p": ("year", "y", "number", "value", "date", "n", "when", "this_year")},
        good={
            "expression": "return $p % 4 == 0 and ($p % 100 != 0 or $p % 400 == 0)",
            "branches": "if $p % 400 == 0:\n    return True\nif $p % 100 == 0:\n"
            "    return False\nreturn $p % 4 == 0",
        },
        bad={
            "only-four": "return $p % 4 == 0",
            "forgets-400": "return $p % 4 == 0 and $p % 100 != 0",
        },
        share=0.55,
        trusted=lambda q, n: n % 4 == 0 and (n % 100 != 0 or n % 400 == 0),
        inputs=lambda q: [(2000,), (1900,), (2024,), (2023,), (2100,)],
    ),
    Recipe(
        name="convert_units",
        names=("${big}_to_$small", "${small}_in_$big", "convert_${big}_to_$small"),
        docs=("Convert $p in $big to $small.", "Return how many $small are in $p $big."),
        params="$p",
        parts={"p": INTEGERS[:8], "units": _UNITS},
        good={"times": "return $p * $f"},
        bad={"divides": "return $p / $f", "whole": "return $p // $f", "adds": "return $p + $f"},
        share=0.28,
        trusted=lambda q, n: n * q["f"],
        inputs=lambda q: [(0,), (1,), (2,), (15,)],
    ),
    Recipe(
        name="power_of",
        names=("is_power_of_$k", "${p}_is_power_of_$k"),
        docs=(
            "Return True if $p is a power of $k (1 is one).",
            "Tell whether dividing $p by $k again and again ends at 1.",
        ),
        params="$p",
        parts=_K,
        good={
            "loop": "if $p < 1:\n    return False\nwhile $p % $k == 0:\n    $p = $p // $k\n"
            "return $p == 1",
        },
        bad={
            "multiple": "return $p % $k == 0",
            "ends-at-zero": "while $p > 1:\n    $p = $p // $k\nreturn $p == 1",
        },
        share=0.43,
        trusted=lambda q, n: n in [q["k"] ** e for e in range(9)],
        inputs=lambda q: [
            (n,) for n in (0, 1, q["k"], q["k"] ** 3, 2 * q["k"] + 1, q["k"] * 13, q["k"] + 1)
        ],
    ),
    Recipe(
        name="divisors",
        names=("divisors", "divisors_of_$p", "list_divisors", "find_divisors"),
        docs=(
            "Return the divisors of $p in order, 1 and $p included.",
            "List all numbers from 1 to $p that divide $p.",
        ),
        params="$p",
        parts=_P,
        good={
            "comprehension": "return [i for i in range(1, $p + 1) if $p % i == 0]",
            "loop": "result = []\nfor i in range(1, $p + 1):\n    if $p % i == 0:\n"
            "        result.append(i)\nreturn result",
        },
        bad={
            "forgets-itself": "return [i for i in range(1, $p) if $p % i == 0]",
            "from-zero": "return [i for i in range($p + 1) if $p % i == 0]",
            "forgets-one": "return [i for i in range(2, $p + 1) if $p % i == 0]",
        },
        share=0.42,
        trusted=lambda q, n: [i for i in range(1, n + 1) if n % i == 0],
        inputs=lambda q: [(1,), (6,), (7,), (12,), (16,)],
    ),
    Recipe(
        name="two_words",
        names=("word_for_$p", "name_$p", "say_$p"),
        docs=(
            "Return '$u' if $p is divisible by $k, else '$v'.",
            "Return '$v' unless $p is a multiple of $k; then '$u'.",
        ),
        params="$p",
        parts={**_K, "u": ("yes", "fizz", "red", "big"), "v": ("no", "buzz", "blue", "small")},
        good={
            "branch": "if $p % $k == 0:\n    return '$u'\nreturn '$v'",
            "expression": "return '$u' if $p % $k == 0 else '$v'",
        },
        bad={
            "swapped": "return '$v' if $p % $k == 0 else '$u'",
            "not-zero": "if $p % $k:\n    return '$u'\nreturn '$v'",
        },
        share=0.34,
        trusted=lambda q, n: q["v"] if n % q["k"] else q["u"],
        inputs=lambda q: [(0,), (1,), (q["k"],), (q["k"] + 1,), (3 * q["k"],)],
    ),
    Recipe(
        name="sum_of_multiples",
        names=("sum_multiples_of_$k", "sum_of_multiples_of_$k", "add_multiples_of_$k"),
        docs=(
            "Return the sum of the multiples of $k from 1 to $p, $p included.",
            "Add up all numbers up to and including $p that $k divides.",
        ),
        params="$p",
        parts=_K,
        good={
            "step": "return sum(range($k, $p + 1, $k))",
            "filter": "return sum(i for i in range(1, $p + 1) if i % $k == 0)",
        },
        bad={
            "end-left-out": "return sum(range($k, $p, $k))",
            "filter-end-left-out": "return sum(i for i in range(1, $p) if i % $k == 0)",
        },
        share=0.53,
        trusted=lambda q, n: sum(i for i in range(1, n + 1) if i % q["k"] == 0),
        inputs=lambda q: [(0,), (q["k"] - 1,), (q["k"],), (2 * q["k"],), (30,)],
    ),
    Recipe(
        name="round_up",
        names=("round_up_to_$k", "round_${p}_up_to_$k", "next_multiple_of_$k"),
        docs=(
            "Return the smallest multiple of $k that is not below $p.",
            "Round $p up to a multiple of $k; a multiple stays as it is.",
        ),
        params="$p",
        parts=_K,
        good={
            "add-and-cut": "return ($p + ${k} - 1) // $k * $k",
            "loop": "while $p % $k != 0:\n    $p += 1\nreturn $p",
        },
        bad={
            "rounds-down": "return $p // $k * $k",
            "always-next": "return ($p // $k + 1) * $k",
        },
        share=0.49,
        trusted=lambda q, n: -(-n // q["k"]) * q["k"],
        inputs=lambda q: [(0,), (1,), (q["k"],), (q["k"] + 1,), (3 * q["k"] - 1,)],
    ),
    Recipe(
        name="to_base",
        names=("to_base_$b", "${p}_in_base_$b", "base_$b"),
        docs=(
            "Return $p (0 or more) written in base $b.",
            "Write $p in base $b as a string; 0 is '0'.",
        ),
        params="$p",
        parts={**_P, "b": (2, 3, 4, 5, 6, 7, 8, 9)},
        good={
            "loop": "result = str($p % $b)\nwhile $p >= $b:\n    $p = $p // $b\n"
            "    result = str($p % $b) + result\nreturn result",
        },
        bad={
            "wrong-order": "result = str($p % $b)\nwhile $p >= $b:\n    $p = $p // $b\n"
            "    result = result + str($p % $b)\nreturn result",
            "empty-zero": "result = ''\nwhile $p > 0:\n    result = str($p % $b) + result\n"
            "    $p = $p // $b\nreturn result",
        },
        share=0.45,
        trusted=lambda q, n: _base(n, q["b"]),
        inputs=lambda q: [(0,), (1,), (q["b"],), (q["b"] + 1,), (25,), (100,)],
    ),
)
