# SPDX-License-Identifier: Apache-2.0
"""From judged samples to pairs of a better and a worse answer.

    paired = make_pairs(rows, PairConfig(), round=1, seed=0)
    paired.pairs, paired.leftovers, paired.counts["rejected"]

An answer that works and resists is better than one that works and does not, and than one that does
not work; nothing else is preferred to anything, so a broken answer never wins for being harmless.
What nobody can tell, or what showed signs of tampering with its judge, wins over nothing. Where the
suite cannot show security, working is enough. A human's choice goes before all this.

Pairs depend on the samples, the configuration, the round and the seed, not on any order. That
several pairs a prompt are made, worse answers are spread over failure classes and syntax errors are
capped is our reading: CodeLutra (arXiv 2411.05199) publishes none of it.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product, zip_longest
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from codetemper.core.digests import digest_json, short
from codetemper.core.records import Answer, Case, Completion, PreferencePair, Verdict
from codetemper.data.answers import Sampled, answers, form_of, outcome_of

Rows = Iterable[tuple[Case, Sequence[tuple[Completion, Verdict]]]]

#: Failure classes, nearest to a right answer first.
_NEAREST = ("insecure", "wrong", "timeout", "memory", "runtime", "import", "build", "tamper",
            "unknown", "syntax")  # fmt: skip


class PairConfig(BaseModel):
    """How samples are paired."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    pairs_per_prompt: int = Field(default=4, ge=1)
    """Most pairs of one prompt."""
    uses: int = Field(default=2, ge=1)
    """Most pairs of one prompt that one answer is in."""
    syntax_share: float = Field(default=0.25, ge=0, le=1)
    """Most that worse answers which do not parse may be of all pairs. A prompt that has no others
    keeps one such pair even so; 0 leaves all of them out."""
    reference_wins: bool = False
    """Whether the case's own answer is the better one where all samples are worse than it."""
    security: bool = True
    """Whether a weakness makes an answer that works the worse one."""


@dataclass(frozen=True)
class Paired:
    """What came of samples.

    Attributes:
        pairs: by case.
        leftovers: answers in no pair of which it is known what they are worth.
        counts: ``prompts`` (``all``, ``mixed``: with better and worse answers, ``right``: only
            better, ``wrong``: only worse, ``paired``), ``samples`` (``drawn``, ``distinct``, then
            distinct ones by kind), ``outcomes`` of the samples, pairs ``because`` and by what is
            wrong with the ``rejected``, and what was ``dropped``.
    """

    pairs: list[PreferencePair]
    leftovers: list[Answer]
    counts: dict[str, dict[str, int]]


@dataclass
class _Asked:
    """A case with what was answered, and what is made of that."""

    case: Case
    samples: list[tuple[Completion, Verdict]] = field(default_factory=list)
    answers: list[Sampled] = field(default_factory=list)
    pairs: list[PreferencePair] = field(default_factory=list)

    def of_kind(self, *kinds: str) -> list[Sampled]:
        """Return the answers of some kinds."""
        return [answer for answer in self.answers if answer.kind in kinds]


def is_mixed(case: Case, samples: Iterable[tuple[Completion, Verdict]], config: PairConfig) -> bool:
    """Tell whether a case has both better and worse answers, so that it can be paired."""
    found = _Asked(case, answers=answers(case, samples, security=config.security))
    return bool(found.of_kind("clean") and found.of_kind("weak", "broken"))


def make_pairs(
    rows: Rows,
    config: PairConfig,
    *,
    round: int,
    seed: int,
    choices: Sequence[PreferencePair] = (),
) -> Paired:
    """Pair better with worse answers, case by case.

    Args:
        rows: cases with their samples and verdicts; the same case may come several times.
        config: how many pairs, and which.
        round: is written into what is made, and changes the draw.
        seed: of the draw among answers that were drawn equally often.
        choices: pairs of humans. Those that speak of a case's prompt are in, and no other pair of
            the same two answers is. Two that contradict each other say nothing.
    """
    asked: dict[tuple[str, str], _Asked] = {}
    for case, samples in rows:
        asked.setdefault((case.id, case.prompt), _Asked(case)).samples += samples
    chosen: dict[tuple[str, str], list[PreferencePair]] = defaultdict(list)
    for choice in choices:
        if choice.because == "human":
            chosen[choice.case, choice.prompt].append(choice)
    dropped: Counter[str] = Counter()
    for key, one in asked.items():
        one.answers = answers(one.case, one.samples, security=config.security)
        rng = random.Random(digest_json([seed, round, *key]))  # noqa: S311 (a draw, not a secret)
        human = _human(one, chosen[key], dropped)
        one.pairs = _paired(one, config, round, rng, human, dropped)
    every = [one for _, one in sorted(asked.items())]
    dropped["syntax errors beyond their share"] += _cap(every, config.syntax_share, seed)
    return Paired(
        pairs=[pair for one in every for pair in one.pairs],
        leftovers=[answer for one in every for answer in _leftovers(one, round)],
        counts=_counts(every, dropped),
    )


@dataclass(frozen=True)
class _Said:
    """What humans say of two answers: the form of the better one, and the pair."""

    better: str
    pair: PreferencePair


def _human(
    one: _Asked, choices: Sequence[PreferencePair], dropped: Counter[str]
) -> dict[frozenset[str], _Said]:
    """Return what humans say of answers to a prompt, by the two forms."""
    said: dict[frozenset[str], dict[str, _Said]] = defaultdict(dict)
    drawn = {answer.form: answer for answer in one.answers}
    for choice in sorted(choices, key=lambda pair: pair.id):
        better, worse = (form_of(one.case, text) for text in (choice.chosen, choice.rejected))
        if better == worse:
            continue
        loser = drawn.get(worse)
        known = {
            "chosen_count": drawn[better].count if better in drawn else 0,
            "rejected_count": loser.count if loser else 0,
            "failure": loser.failure if loser else choice.failure,
        }
        pair = choice.model_copy(update=known)
        said[frozenset((better, worse))].setdefault(better, _Said(better, pair))
    dropped["choices that contradict each other"] += sum(
        len(by_better) for by_better in said.values() if len(by_better) > 1
    )
    return {
        forms: heard
        for forms, by_better in said.items()
        if len(by_better) == 1
        for heard in by_better.values()
    }


def _paired(
    one: _Asked,
    config: PairConfig,
    number: int,
    rng: random.Random,
    human: Mapping[frozenset[str], _Said],
    dropped: Counter[str],
) -> list[PreferencePair]:
    """Return a case's pairs: those of humans, then others while there is room."""
    winners = _shuffled(_winners(one, config), rng)
    losers = _spread(_shuffled(one.of_kind("weak", "broken"), rng))
    for winner, loser in product(winners, losers):
        heard = human.get(frozenset((winner.form, loser.form)))
        dropped["against a human's choice"] += heard is not None and heard.better == loser.form
    uses = Counter(form for forms in human for form in forms)
    pairs = [heard.pair for heard in human.values()]
    taken = set(human)
    # Every loser once before any of them again.
    for loser in losers * config.uses:
        if len(pairs) >= config.pairs_per_prompt or uses[loser.form] >= config.uses:
            continue
        free = [
            winner
            for winner in winners
            if uses[winner.form] < config.uses and frozenset((winner.form, loser.form)) not in taken
        ]
        if free:
            winner = min(free, key=lambda answer: uses[answer.form])
            taken.add(frozenset((winner.form, loser.form)))
            uses.update((winner.form, loser.form))
            pairs.append(_pair(one.case, winner, loser, number))
    return pairs


def _winners(one: _Asked, config: PairConfig) -> list[Sampled]:
    """Return what may be the better answer."""
    winners = one.of_kind("clean")
    reference = one.case.reference
    if winners:
        # The end of an answer is learnt too, and of one that was cut off it is in the wrong place.
        return [winner for winner in winners if winner.finished] or winners
    if not config.reference_wins or reference is None or one.of_kind("unknown"):
        return []
    form = form_of(one.case, reference)
    if any(answer.form == form for answer in one.answers):
        return []  # it was drawn, and its own judge is against it
    return [Sampled(form, reference, "clean", None, static=False, count=0, finished=True)]


def _shuffled(found: Sequence[Sampled], rng: random.Random) -> list[Sampled]:
    """Return answers, those drawn most first, by chance where they were drawn equally often."""
    return sorted(rng.sample(found, len(found)), key=lambda answer: -answer.count)


def _spread(losers: Sequence[Sampled]) -> list[Sampled]:
    """Return answers so that failure classes take turns."""
    classes: dict[str, list[Sampled]] = defaultdict(list)
    for loser in losers:
        classes[loser.failure or "unknown"].append(loser)
    turns = zip_longest(*(classes[name] for name in sorted(classes, key=_NEAREST.index)))
    return [loser for turn in turns for loser in turn if loser is not None]


def _pair(case: Case, winner: Sampled, loser: Sampled, number: int) -> PreferencePair:
    because: Literal["execution", "static", "reference"] = "execution"
    if winner.count == 0:
        because = "reference"
    elif loser.static:
        because = "static"
    return PreferencePair(
        id=pair_id(case.id, case.prompt, winner.text, loser.text, because),
        case=case.id,
        prompt=case.prompt,
        chosen=winner.text,
        rejected=loser.text,
        language=case.language,
        family=case.family,
        round=number,
        because=because,
        failure=loser.failure,
        chosen_count=winner.count,
        rejected_count=loser.count,
    )


def pair_id(case: str, prompt: str, chosen: str, rejected: str, because: str) -> str:
    """Return the id of a pair."""
    return short(digest_json([case, prompt, chosen, rejected, because]))


def _cap(asked: Sequence[_Asked], share: float, seed: int) -> int:
    """Take pairs out until worse answers that do not parse keep to their share.

    Returns:
        How many were taken out.
    """
    others = {id(one): [p for p in one.pairs if not _capped(p)] for one in asked}
    among = sum(map(len, others.values()))
    allowed = among * share / (1 - share) if share < 1 else math.inf
    spare: list[PreferencePair] = []
    for one in asked:
        unread = [pair for pair in one.pairs if _capped(pair)]
        if share and not others[id(one)]:
            allowed -= len(unread[:1])
            unread = unread[1:]
        spare += unread
    spare.sort(key=lambda pair: digest_json([seed, pair.id]))
    # The sum of floats must not take away a pair that fits exactly.
    kept = min(len(spare), max(0, math.floor(allowed + 1e-9))) if share < 1 else len(spare)
    out = {pair.id for pair in spare[kept:]}
    for one in asked:
        one.pairs = [pair for pair in one.pairs if pair.id not in out]
    return len(out)


def _capped(pair: PreferencePair) -> bool:
    return pair.failure == "syntax" and pair.because != "human"


def _leftovers(one: _Asked, number: int) -> list[Answer]:
    """Return a case's answers that are in no pair."""
    case = one.case
    used = {form_of(case, text) for pair in one.pairs for text in (pair.chosen, pair.rejected)}
    ends = any(answer.finished for answer in one.of_kind("clean"))
    return [
        Answer(
            id=short(digest_json([case.id, case.prompt, answer.text])),
            case=case.id,
            prompt=case.prompt,
            text=answer.text,
            language=case.language,
            good=answer.kind == "clean",
            round=number,
        )
        for answer in one.of_kind("clean", "weak", "broken")
        if answer.form not in used and (answer.kind != "clean" or answer.finished or not ends)
    ]


def _counts(asked: Sequence[_Asked], dropped: Counter[str]) -> dict[str, dict[str, int]]:
    prompts = Counter({"all": len(asked), "mixed": 0, "right": 0, "wrong": 0, "paired": 0})
    kinds = Counter({"clean": 0, "weak": 0, "broken": 0, "unknown": 0})
    for one in asked:
        good, bad = bool(one.of_kind("clean")), bool(one.of_kind("weak", "broken"))
        prompts["mixed"] += good and bad
        prompts["right"] += good and not bad
        prompts["wrong"] += bad and not good
        prompts["paired"] += bool(one.pairs)
        kinds.update(answer.kind for answer in one.answers)
    pairs = [pair for one in asked for pair in one.pairs]
    verdicts = [verdict for one in asked for _, verdict in one.samples]
    return {
        "prompts": dict(prompts),
        "samples": {"drawn": len(verdicts), "distinct": kinds.total(), **kinds},
        "outcomes": _sorted(Counter(outcome_of(verdict) for verdict in verdicts)),
        "because": _sorted(Counter(pair.because for pair in pairs)),
        "rejected": _sorted(Counter(pair.failure or "unknown" for pair in pairs)),
        "dropped": _sorted(dropped),
    }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts) if counts[name]}
