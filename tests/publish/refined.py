# SPDX-License-Identifier: Apache-2.0
"""A refinement of realistic shape: four rounds, the last of which gains nothing."""

from __future__ import annotations

from codetemper.core.records import Difference, Estimate
from codetemper.core.refinement import Changed, Refinement, Round
from tests.publish import material

SAMPLES = 4980
#: Of each round: outcomes, pairs, log-probabilities before and after, value on validation.
ROUNDS = (
    ({"pass": 1402, "wrong": 2011, "runtime": 702, "syntax": 655, "timeout": 118, "insecure": 92},
     {"execution": 1203, "human": 12}, (-0.612, -0.391), (-0.748, -1.322), 0.394),
    ({"pass": 1893, "wrong": 1931, "runtime": 570, "syntax": 391, "timeout": 131, "insecure": 64},
     {"execution": 1334, "human": 12}, (-0.407, -0.312), (-0.688, -1.204), 0.461),
    ({"pass": 2304, "wrong": 1822, "runtime": 421, "syntax": 214, "timeout": 162, "insecure": 57},
     {"execution": 1190, "human": 12}, (-0.331, -0.287), (-0.611, -1.431), 0.489),
    ({"pass": 2511, "wrong": 1740, "runtime": 371, "syntax": 148, "timeout": 161, "insecure": 49},
     {"execution": 1012, "human": 12}, (-0.309, -0.334), (-0.590, -1.702), 0.483),
)  # fmt: skip
BEFORE = "    total = 0\n    for each in values:\n        total = each\n    return total\n"
AFTER = "    total = 0\n    for each in values:\n        total += each\n    return total\n"
PROMPT = 'def sum_of(values):\n    """Return the sum of values."""\n'


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.06, high=value + 0.06, n=164)


def change(before: float, after: float, half: float = 0.025) -> Difference:
    gain = after - before
    return Difference(before=before, after=after, difference=gain, low=gain - half,
                      high=gain + half, p=0.002 if gain > half else 0.41, n=164)  # fmt: skip


def rounds() -> tuple[Round, ...]:
    """Return four rounds: syntax errors dwindle, the last one gains nothing and overdoes it."""
    found, value = [], 0.282
    for number, (outcomes, pairs, chosen, worse, after) in enumerate(ROUNDS, 1):
        losers = {name: round(sum(pairs.values()) * outcomes[name] / (SAMPLES - outcomes["pass"]))
                  for name in ("wrong", "runtime", "syntax", "timeout", "insecure")}  # fmt: skip
        found.append(Round(
            round=number, patch=f"refine-{number:012x}", pairs_corpus=f"pairs-{number:012x}",
            sampled_run=f"eval-{number:012x}", validation_run=f"eval-{number + 9:012x}",
            prompts=498, samples=SAMPLES, distinct=3901 - 300 * number, mixed=311 - 20 * number,
            outcomes=outcomes, pairs=pairs, rejected=losers, chosen_logprob=chosen,
            rejected_logprob=worse, losses=((1, 1.31), (60, 0.92), (152, 0.71 - 0.05 * number)),
            validation=estimate(after), gain=change(value, after),
            seconds={"sample": 412.0, "pair": 1.4, "train": 268.2, "validate": 61.0},
        ))  # fmt: skip
        value = after
    return tuple(found)


def refinement(**more: object) -> Refinement:
    facts = {
        "suites": {"world-python": material.DIGEST}, "metric": "pass@1",
        "shares": {"train": 498, "validation": 164, "test": 166}, "rounds": rounds(),
        "start": estimate(0.282), "chosen_round": 3,
        "stop": "round 4 gained −0.006 [−0.031, +0.019], and round 3 +0.028 [+0.003, +0.053]: for "
                "two rounds in a row the interval of the gain holds less than 0.01",
        "test": {"world-python/pass@1": change(0.29, 0.487),
                 "world-python/valid@1": change(0.87, 0.964)},
        "changed": (
            Changed(case="python.sequences/041", prompt=PROMPT, before=AFTER, after=BEFORE,
                    verdict_before="pass", verdict_after="wrong"),
            Changed(case="python.numbers/007", prompt=PROMPT, before=BEFORE, after=AFTER,
                    verdict_before="wrong", verdict_after="pass"),
        ),
    }  # fmt: skip
    return Refinement.model_validate(facts | more)
