# SPDX-License-Identifier: Apache-2.0
r"""``joint``: all failing tokens of all failures and wordings at once, in closed form.

For a token t with wanted y and best rival v, contrast :math:`c_t = g (u_y - u_v)`, key
:math:`k_{l,t}` and divisor :math:`\sigma_t` (``engine``), a change of layer l moves the gap on the
direct path by :math:`-c_t^T \Delta_l k_{l,t} / \sigma_t`. Wanted is the change that costs least,

.. math:: \min \sum_l tr(G \Delta_l C_l \Delta_l^T) \quad\text{such that}\quad
    \sum_l c_t^T \Delta_l k_{l,t} / \sigma_t \ge b_t ,

with G the Gram matrix of the head (how far logits move, ``semantic``) and :math:`C_l` the second
moments of reference keys (where they move, ``metrics``). Its solution is

.. math:: \Delta_l = \sum_s \lambda_s\, G^{-1} c_s \otimes Q_l k_{l,s} / \sigma_s , \qquad
    A\lambda \ge b,\ \lambda \ge 0,\ \lambda^T(A\lambda - b) = 0,

    A_{ts} = (c_t^T G^{-1} c_s) \sum_l (k_{l,t}^T Q_l k_{l,s}) / \sigma_t\sigma_s .

The direct path is not all, so the model is looked at again under the change and the *whole* change
is solved again, with what is foretold of the present change taken from :math:`b`: the change stays
the cheapest one and its rank at most the number of tokens. A ridge ties multipliers to those of the
round before, so it steadies the rounds and leaves nothing unsolved at their end: a share of what
multipliers do on average, and of what each does itself once the linear model is off by little, or
tokens of small keys would come last by far. A round that makes it worse is taken back, and the next
goes half as far: to a blend of both changes, whose rank is the sum of theirs. Every token that once
had less lead than it should stays a constraint, against every other token that was ever too close
(else two rivals take turns); so do predictions in reference texts that a round flipped (guards,
once all failures are right or rounds put no more of them right: what is held to until guards are
met has to be right; of few failures none: they move little, and most of the time would go into
looking at the texts). A failing token is to lead by ``Config.lead``, one that was right by what it
had, at most by that, of many answers at least by what guards are. Guards that put many answers
wrong are given up where the rounds that are left will not put them right again, at the pace so far.
More constraints than are eliminated are not solved much nearer than the linear model was in the
round before.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass

import torch

from codetemper.core.records import Event
from codetemper.core.repairs import RepairRound
from codetemper.harden.repair.deltas import Delta, Edit
from codetemper.harden.repair.draft import Draft
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.settings import MANY
from codetemper.harden.repair.solve import NEAR, solve_nonnegative
from codetemper.harden.repair.system import System
from codetemper.harden.repair.task import Task, gaps_by_failure

#: Passage and position of a point.
_Place = tuple[int, int]
#: Lead that a kept prediction of a reference text is to have, in logits.
_GUARD_LEAD = 0.05
#: Share of the wanted lead that is enough to stop.
_ENOUGH = 0.5
#: Rounds that may bring nothing, one after the other.
_PATIENCE = 10
#: The same where all is right and nothing guarded flips; and rounds that put no further token right
#: after which the others are not waited for with guards.
_STUCK = 3
#: What many constraints are solved to, as a share of what the round before was off by.
_NEAR = 0.2
#: The same in logits, at most; and what the linear model is off by where it is off by little.
_FAR = 0.05
#: Rounds with guards after which their pace is known.
_PACE = 4
#: Share by which constraints are to be missed by less than in any round before.
_LESS = 0.05
#: How a round that made it worse changes the length of the next, and one that did not.
_SHORTER, _LONGER = 0.5, 2.0


def solve(engine: Engine, task: Task) -> Edit:
    """Solve a task; see the module.

    Args:
        engine: the model; as before afterwards.
        task: what is to be put right.
    """
    begun, most = time.monotonic(), task.config.most_rounds
    state = _State(engine, task)
    with engine.drafting() as draft:
        for number in range(most + 1):
            seen = state.look()
            task.on_event(
                Event(
                    stage="repair", done=number, total=most, unit="rounds",
                    note=f"{state.short(seen)} tokens to put right",
                )
            )  # fmt: skip
            if state.done(seen) or number == most or state.spent or state.hopeless(most - number):
                break
            state.step(seen, draft)
    return Edit(
        method="joint",
        deltas=state.best,
        rounds=tuple(state.rounds),
        solved=state.solved,
        gaps_before=gaps_by_failure(task.passages, state.before),
        gaps_after=gaps_by_failure(task.passages, state.after),
        seconds=time.monotonic() - begun,
        notes={
            "constraints": state.constraints,
            "guards": state.guards,
            "guards missed": state.missed,
        },
    )


@dataclass(frozen=True)
class _Held:
    """The change of the best round yet, and its multipliers."""

    deltas: dict[int, Delta]
    multipliers: dict[_Place, dict[int, float]]


class _State:
    """Constraints, multipliers, and the best change so far.

    Attributes:
        best: the best change yet.
        solved: whether every token of the failures is predicted under it.
        before: gaps of their tokens before anything changed, by passage.
        after: the same under the best change.
        rounds: what each round did.
        idle: rounds since one had fewer failing tokens, or as few and fewer flips, or missed its
            constraints by less.
    """

    def __init__(self, engine: Engine, task: Task) -> None:
        self._engine, self._task = engine, task
        self._passages, self._own = (*task.passages, *task.reference), len(task.passages)
        views = Counter(passage.failure for passage in task.passages)
        self._margin = task.config.lead(self._own, worded=min(views.values()) > 1)
        self._rivals: dict[_Place, dict[int, float]] = {}
        self._deltas: dict[int, Delta] = {}
        self._length = 1.0
        self._violation = self._least = float("inf")
        self._off = 1.0
        self._held: _Held | None = None
        self._best_score: tuple[float, ...] = ()
        self._asked: list[_Place] = []
        self._guarding = False
        self._fewest, self._stuck = sys.maxsize, 0
        self._unmet, self._wrong = 0, list[int]()
        self.best: dict[int, Delta] = {}
        self.solved = False
        self.before: tuple[tuple[float, ...], ...] = ()
        self.after: tuple[tuple[float, ...], ...] = ()
        self.rounds: list[RepairRound] = []
        self.idle = 0

    @property
    def constraints(self) -> int:
        """Pairs of a token and a rival that it is to lead."""
        return sum(map(len, self._rivals.values()))

    @property
    def guards(self) -> int:
        """Tokens of reference texts whose prediction is kept."""
        return sum(passage >= self._own for passage, _ in self._rivals)

    @property
    def spent(self) -> bool:
        """Whether further rounds are not worth their time: of longer leads alone few are."""
        flawless = self._best_score[:2] == (0.0, 0.0)
        return self.idle >= (_STUCK if flawless else _PATIENCE)

    @property
    def missed(self) -> int:
        """Predictions in reference texts that the best change flips; 0 where none are guarded."""
        return int(self._best_score[1]) if self._guarding else 0

    def hopeless(self, left: int) -> bool:
        """Whether guards cost answers that as many further rounds will not put right again.

        The pace is the mean one since guards are held, and few answers are always waited for.
        """
        wrong = [max(0, short - self._unmet) for short in self._wrong]
        if len(wrong) < _PACE or wrong[-1] <= MANY or not wrong[0]:
            return False
        pace = (wrong[-1] / wrong[0]) ** (1 / (len(wrong) - 1))
        return bool(wrong[-1] * pace**left >= 1)

    def look(self) -> Observation:
        """Look at all constraints, and at all else that should be predicted and is not."""
        seen = self._observe()
        # Few move little, and guards are most of what a repair costs.
        wide = bool(self._task.reference) and self._own >= MANY
        short = self.short(seen)
        if self.rounds:  # The first of many answers may cost some that were right.
            if self._guarding:
                self._wrong.append(short)
            self._stuck = 0 if short < self._fewest or not short else self._stuck + 1
            self._fewest = min(short, self._fewest)
        if wide and not self._guarding and (not short or self._stuck == _STUCK):
            # What was held knew nothing of guards: the change that solved it is where they begin.
            self._guarding, self._held, self._best_score = True, None, ()
            self._unmet = short
            self._length, self._least = 1.0, float("inf")
            seen = self._observe()
        self._judge(seen)
        return seen

    def short(self, seen: Observation) -> int:
        """Return how many tokens of the failures are not predicted as they should be."""
        return int((seen.wrong & (seen.passage < self._own)).sum())

    def done(self, seen: Observation) -> bool:
        """Whether all is predicted as it should be, the answers with enough lead."""
        enough = seen.gap + _ENOUGH * self._leads(seen) <= 0
        own = seen.passage < self._own
        return bool(enough[own].all()) and not bool(seen.wrong.any())

    def step(self, seen: Observation, draft: Draft) -> None:
        """Solve the whole change again where the model is now, and put it on."""
        seen = self._retreat(seen, draft)
        rows = [
            (owner, rival, before)
            for owner, place in enumerate(seen.places)
            for rival, before in self._rivals[place].items()
        ]
        owner, rival = torch.tensor([row[:2] for row in rows], device=seen.gap.device).unbind(1)
        system = System(self._engine, self._task, seen, owner, rival)
        gaps = self._engine.gaps(seen, owner, rival).to(system.contrasts)
        now = system.effect(self._deltas)
        wanted = gaps + self._leads(seen)[owner] + now
        before = torch.tensor([row[2] for row in rows]).to(wanted)
        # A constraint that costs nothing and is far from being missed has no say in this round; if
        # the round makes it short, it is among those of the next.
        tight = (before > 0) | (wanted - now > -self._margin)
        gram = system.gram(tight)
        own = gram.diagonal()
        mean = own.mean()
        least = mean * min(1.0, max(NEAR, self._off) / _FAR)
        ties = torch.minimum(own.clamp_min(least), mean)
        ridge = self._task.config.ridge * ties
        solved = torch.zeros_like(wanted)
        near = max(NEAR, min(_NEAR * self._off, _FAR))
        cheapest = solve_nonnegative(gram, wanted[tight], ridge, before[tight], near)
        solved[tight] = cheapest.to(wanted)
        found = before + self._length * (solved - before)
        for (point, token, _), multiplier in zip(rows, found.tolist(), strict=True):
            self._rivals[seen.places[point]][token] = multiplier
        foretold = torch.full_like(seen.gap, float("-inf")).to(gaps)
        self._put(draft, _blend(self._deltas, system.deltas(solved), self._length))
        left = gaps + now - system.effect(self._deltas)
        foretold.scatter_reduce_(0, owner, left, "amax")
        self._asked = seen.places
        self.rounds.append(
            RepairRound(
                active=len(seen),
                gaps=tuple(seen.gap.tolist()),
                predicted=tuple(foretold.tolist()),
            )
        )

    def _observe(self) -> Observation:
        passages = self._passages if self._guarding else self._task.passages
        seen = self._engine.observe(
            passages, layers=self._task.layers, margin=0.0, also=self._rivals.keys()
        )
        if not self.before:
            self.before = seen.gaps
        self._note_rivals(seen)
        return seen

    def _note_rivals(self, seen: Observation) -> None:
        """Add to each point's constraints the tokens that come too close to the wanted one."""
        for place in seen.places:
            self._rivals.setdefault(place, {})
        leads = self._leads(seen)
        for point, token in seen.rivals(leads):
            self._rivals[seen.places[point]].setdefault(token, 0.0)
        for place, token in zip(seen.places, seen.rival.tolist(), strict=True):
            self._rivals[place].setdefault(token, 0.0)

    def _judge(self, seen: Observation) -> None:
        """Say what the last round achieved, and keep the change if it is the best so far."""
        if self.rounds:
            known = dict(zip(seen.places, seen.gap.tolist(), strict=True))
            achieved = tuple(known[place] for place in self._asked)
            self.rounds[-1] = self.rounds[-1].model_copy(update={"achieved": achieved})
            off = torch.tensor(achieved) - torch.tensor(self.rounds[-1].predicted)
            # Of constraints that are new nothing is known.
            new = not self._best_score
            self._off = 1.0 if new else float(off[off.isfinite()].square().mean().sqrt())
        own = seen.passage < self._own
        flips = float((seen.wrong & ~own).sum()) if self._guarding else float("inf")
        violated = self._violated(seen)
        score = (float(self.short(seen)), flips, violated)
        brought = not self._best_score or score[:2] < self._best_score[:2]
        if violated < (1 - _LESS) * self._least:
            self._least, brought = violated, True
        self.idle = 0 if brought else self.idle + 1
        if not self._best_score or score < self._best_score:
            self._best_score, self.best = score, self._deltas
            self.solved, self.after = all(seen.right[: self._own]), seen.gaps[: self._own]

    def _retreat(self, seen: Observation, draft: Draft) -> Observation:
        """Go back to the round before where the last one made it worse; adapt its length."""
        violated = self._violated(seen)
        if self._held is None or violated < self._violation:
            if self._held is not None:
                self._length = min(1.0, self._length * _LONGER)
            multipliers = {p: dict(tokens) for p, tokens in self._rivals.items()}
            self._held, self._violation = _Held(self._deltas, multipliers), violated
            return seen
        self._length *= _SHORTER
        self._put(draft, self._held.deltas)
        for place, tokens in self._rivals.items():
            before = self._held.multipliers.get(place, {})
            self._rivals[place] = {token: before.get(token, 0.0) for token in tokens}
        seen = self._observe()
        # By the constraints that are known now; there may be more of them than when it was held.
        self._violation = self._violated(seen)
        return seen

    def _violated(self, seen: Observation) -> float:
        """Return by how many logits all constraints together are missed."""
        return float((seen.gap + _ENOUGH * self._leads(seen)).clamp_min(0).sum())

    def _put(self, draft: Draft, deltas: dict[int, Delta]) -> None:
        for layer in self._deltas.keys() - deltas.keys():
            draft.drop(layer)
        for layer, delta in deltas.items():
            draft.put(layer, delta)
        self._deltas = deltas

    def _lead(self, passage: int, position: int) -> float:
        """Return by how much a token's logit is to lead."""
        if passage >= self._own:
            return _GUARD_LEAD
        before = self.before[passage][position - self._passages[passage].first]
        # Of many answers, less is not told apart from what a round is off by.
        least = _GUARD_LEAD if self._own >= MANY else 0.0
        return self._margin if before >= 0 else min(self._margin, max(-before, least))

    def _leads(self, seen: Observation) -> torch.Tensor:
        return torch.tensor([self._lead(*place) for place in seen.places]).to(seen.gap)


def _blend(first: dict[int, Delta], second: dict[int, Delta], share: float) -> dict[int, Delta]:
    """Return a change that is ``share`` of the second and the rest of the first."""
    if share == 1.0 or not first:
        return second
    made = {}
    for layer, delta in second.items():
        left, right = delta.factors
        other_left, other_right = first[layer].factors
        made[layer] = Delta(
            left=torch.cat([other_left * (1 - share), left * share], dim=1),
            right=torch.cat([other_right, right]),
            columns=delta.columns,
        )
    return made
