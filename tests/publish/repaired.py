# SPDX-License-Identifier: Apache-2.0
"""A repair of realistic shape: three failures, one of them still wrong, with hostile words."""

from __future__ import annotations

from codetemper.core.repairs import (
    Failure,
    FreeRuns,
    Repair,
    RepairBudgets,
    RepairedNeuron,
    RepairExplained,
    RepairFlip,
    RepairReading,
    RepairRound,
    RepairRoute,
    RepairTurn,
)

PATCH = "repair-0123456789ab"
HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def neuron(layer: int, number: int, adds: float, *says: str) -> RepairedNeuron:
    return RepairedNeuron(
        layer=layer, neuron=number, adds=adds, says=says, unsays=(" -", "\n", "\u200b")
    )


def reading() -> RepairReading:
    return RepairReading(
        texts=80, tokens=1016, accuracy=(0.931, 0.929), better=1, worse=3, p=0.625, flips=0.01,
        kl=0.0015, kl_max=0.18, earlier=4, broken=("old <b>one</b>",), weights={1: 0.2, 3: 0.1},
        flipped=(
            RepairFlip(text="text 6", token=3, wanted=7, before=7, after=9, kl=0.07),
            RepairFlip(text="text 9", token=1, wanted=4, before=5, after=4, kl=0.0002),
        ),
    )  # fmt: skip


def failures() -> tuple[Failure, ...]:
    return (
        Failure(id="count", prompt="# count the files\n", reference="find -L . | wc -l\n"),
        Failure(id=HOSTILE, prompt="# a\n", reference=f"echo {HOSTILE}\n", views=("# b\n",)),
        Failure(id="left", prompt="# c\n", reference="date -u\n"),
    )


def repair() -> Repair:
    """Return a repair whose monitor read texts and whose suite was run freely."""
    return Repair(
        method="joint", seconds=24.4, solve_seconds=7.4, failures=3, repaired=("count", HOSTILE),
        left=("left",), failing_tokens=5, parameters_changed=704_512, layers=(1, 3),
        neurons={1: 688, 3: 12}, rank=26, weight_change={1: 0.2, 3: 0.1},
        rounds=(
            RepairRound(active=2, gaps=(7.0, 12.0), predicted=(-0.5, -0.5), achieved=(-0.4, 0.6)),
            RepairRound(active=1, gaps=(0.6,), predicted=(-0.5,), achieved=(-0.5,), note="again"),
        ),
        gaps_before={"count": (-9.0, 7.0, 12.0), HOSTILE: (3.0, 2.0), "left": (4.0,)},
        gaps_after={"count": (-8.0, -0.5, -0.6), HOSTILE: (-1.0, -1.0), "left": (1.5,)},
        reference_tokens=2061, statistics="ab" * 32, notes={"guards": 8},
        routes=(
            RepairRoute(failure="count", verdict="repair", because="2 of 3 tokens are wrong"),
            RepairRoute(failure="long", verdict="retrain", because="90 of 99 tokens are wrong"),
        ),
        budgets=RepairBudgets(accuracy=0.005, flips=0.005, kl=None, broken=0),
        monitor=reading(), whole=None, step=0.5, written=("count",),
        measured=(
            FreeRuns(suite="shell", cases=4, valid=1.0, right=0.5, passed=("a", "b")),
            FreeRuns(suite="shell", cases=4, valid=1.0, right=0.5, passed=("b", "c")),
        ),
        explained=(
            RepairExplained(
                failure="count", wrong=((" -", " photos"), ("L", "name")), before=12.0, after=-0.5,
                neurons=(neuron(3, 621, 2.35, "L", "l"), neuron(1, 5, 0.5, HOSTILE)),
            ),
            RepairExplained(
                failure=HOSTILE, wrong=(("a", "b"),), before=3.0, after=-1.0,
                neurons=(neuron(3, 621, 1.0, "L"), neuron(3, 8, -0.2, "x")),
            ),
        ),
        turned=(
            RepairTurn(text="text 6", lead="# a <i>link</i>\nln -", wanted=" /", before=" /",
                       after=" delta", kl=0.07),
            RepairTurn(text="text 9", lead="git log", wanted=" --", before="\n", after=" --",
                       kl=0.0002),
        ),
        left_out={"right already": 7}, replaces=("repair-aaaaaaaaaaaa",),
    )  # fmt: skip
