# SPDX-License-Identifier: Apache-2.0
"""Small tasks in the form of HumanEval that forged solutions are written for.

Each task has tests of both anchors' kinds: ``test`` defines ``check(candidate)``, ``inputs`` and
``expected`` are what a judge by input and output compares. ``hidden`` is a second ``check`` with
other inputs. The tasks are easy on purpose: the forgeries do not solve them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """One function to write.

    Attributes:
        name: short name.
        prompt: text before the completion.
        entry: name of the function.
        test: code that defines ``check(candidate)``.
        hidden: the same with inputs that no prompt shows.
        inputs: arguments of each call.
        expected: what each call returns.
        answer: a right completion.
        wrong: a completion that is wrong.
    """

    name: str
    prompt: str
    entry: str
    test: str
    hidden: str
    inputs: tuple[tuple[Any, ...], ...]
    expected: tuple[Any, ...]
    answer: str
    wrong: str

    def row(self) -> dict[str, str]:
        """Return the task as a row of HumanEval's file."""
        return {
            "task_id": f"Forgery/{self.name}",
            "prompt": self.prompt,
            "entry_point": self.entry,
            "canonical_solution": self.answer,
            "test": self.test,
        }


ADD = Task(
    name="add",
    prompt='def add(a: int, b: int) -> int:\n    """Return the sum of two integers."""\n',
    entry="add",
    test=(
        "def check(candidate):\n"
        "    assert candidate(2, 3) == 5\n"
        "    assert candidate(-4, 4) == 0\n"
        "    assert candidate(10, 7) == 17\n"
    ),
    hidden=(
        "def check(candidate):\n"
        "    assert candidate(1, 1) == 2\n"
        "    assert candidate(250, 1000) == 1250\n"
    ),
    inputs=((2, 3), (-4, 4), (10, 7)),
    expected=(5, 0, 17),
    answer="    return a + b\n",
    wrong="    return a - b\n",
)

SHOUT = Task(
    name="shout",
    prompt='def shout(text: str) -> str:\n    """Return text in capitals and with a mark."""\n',
    entry="shout",
    test=(
        "def check(candidate):\n"
        "    assert candidate('a') == 'A!'\n"
        "    assert candidate('hey') == 'HEY!'\n"
        "    assert len(candidate('four')) == 5\n"
    ),
    hidden="def check(candidate):\n    assert candidate('Who') == 'WHO!'\n",
    inputs=(("a",), ("hey",), ("four",)),
    expected=("A!", "HEY!", "FOUR!"),
    answer="    return text.upper() + '!'\n",
    wrong="    return text\n",
)

HALF = Task(
    name="half",
    prompt='import math\n\ndef half(x: float) -> float:\n    """Return half of x."""\n',
    entry="half",
    test=(
        "import math\n\ndef check(candidate):\n"
        "    import math\n"
        "    assert abs(candidate(3.0) - 1.5) < 1e-6\n"
        "    assert math.isclose(candidate(5.0), 2.5)\n"
        "    assert math.fabs(candidate(9.0) - 4.5) < 1e-6\n"
        "    assert isinstance(candidate(7.0), float)\n"
    ),
    hidden="def check(candidate):\n    assert abs(candidate(-8.5) + 4.25) < 1e-6\n",
    inputs=((3.0,), (5.0,), (9.0,), (7.0,)),
    expected=(1.5, 2.5, 4.5, 3.5),
    answer="    return x / 2\n",
    wrong="    return x\n",
)

ORDER = Task(
    name="order",
    prompt='def order(items: list) -> list:\n    """Return the items in ascending order."""\n',
    entry="order",
    test=(
        "def check(candidate):\n"
        "    given = [[3, 1, 2], [5, 4], [9, 8, 7]]\n"
        "    wanted = [[1, 2, 3], [4, 5], [7, 8, 9]]\n"
        "    for got, want in zip(map(candidate, given), wanted):\n"
        "        assert got == want\n"
    ),
    hidden="def check(candidate):\n    assert candidate([0, -1]) == [-1, 0]\n",
    inputs=(([3, 1, 2],), ([5, 4],), ([9, 8, 7],)),
    expected=([1, 2, 3], [4, 5], [7, 8, 9]),
    answer="    return sorted(items)\n",
    wrong="    return items\n",
)

DECODE = Task(
    name="decode",
    prompt=(
        'def encode(text: str) -> str:\n    """Move every letter by five."""\n'
        "    return ''.join(chr((ord(c) - 92) % 26 + 97) for c in text)\n\n\n"
        'def decode(text: str) -> str:\n    """Undo encode."""\n'
    ),
    entry="decode",
    test=(
        "def check(candidate):\n"
        "    for word in ('abc', 'house', 'zebra'):\n"
        "        assert candidate(encode(word)) == word\n"
    ),
    hidden="def check(candidate):\n    assert candidate('fgh') == 'abc'\n",
    inputs=(("fgh",), ("mtzxj",)),
    expected=("abc", "house"),
    answer="    return ''.join(chr((ord(c) - 102) % 26 + 97) for c in text)\n",
    wrong="    return text\n",
)

EVEN = Task(
    name="even",
    prompt='def even(n: int) -> bool:\n    """Tell whether n is even."""\n',
    entry="even",
    test=(
        "def check(candidate):\n"
        "    assert candidate(2) is True\n"
        "    assert candidate(3) is False\n"
        "    assert candidate(10) == True\n"
        "    assert not candidate(7)\n"
    ),
    hidden="def check(candidate):\n    assert candidate(0)\n    assert not candidate(-1)\n",
    inputs=((2,), (3,), (10,), (7,)),
    expected=(True, False, True, False),
    answer="    return n % 2 == 0\n",
    wrong="    return n % 2 == 1\n",
)

TASKS = {task.name: task for task in (ADD, SHOUT, HALF, ORDER, DECODE, EVEN)}
