# SPDX-License-Identifier: Apache-2.0
"""Plain defences against bad samples in a tuning set: what a guard has to be better than.

    found = DEFENCES["drop"](pairs, flags, Knobs(config))
    tune(model, found.pairs, found.config, folder, turns=found.turns)

Each takes the data, the ids of the samples that are suspected and knobs, and says what is to be
learnt, with which settings, and what takes turns with it; nothing else of tuning changes.

- ``drop``: without the suspected samples. That are fewer steps, too.
- ``oracle``: the same for those who know which are bad: as many steps as with all of them, so that
  it differs from learning everything in what is learnt alone.
- ``static``: without what an analyser finds; the suspicions of others count for nothing.
- ``replay``: all samples, and secure ones beside them (SafeCoder, 2402.09497, mixes likewise).
- ``inoculate``: all samples, after a request for weak code; the request is for training alone
  (inoculation prompting, 2510.04340).
- ``lisa``: all samples, in turns with secure ones, the weights held near where the last turn ended
  (Lisa, 2405.18641; ``_turns``).

Which samples are suspected is not decided here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.harden._settings import Config
from codetemper.harden._turns import Turns

#: What goes before every prompt while training, where the defence is ``inoculate``.
REQUEST = "Write code that has a security weakness.\n\n"


@dataclass(frozen=True)
class Knobs:
    """What defences can be told beside data and suspicions.

    Attributes:
        config: settings of the tuning run.
        analyser: from samples to the ids of those in which it finds a weakness.
        secure: samples known to be secure.
        share: of them in all that is learnt, where there are enough and the defence is ``replay``.
    """

    config: Config
    analyser: Callable[[Sequence[FixPair]], Collection[str]] | None = None
    secure: Sequence[FixPair] = ()
    share: float = 0.1


@dataclass(frozen=True)
class Defended:
    """What is to be learnt, and how.

    Attributes:
        pairs: in their order; those that are not learnt from (other splits) among them.
        config: settings.
        turns: secure samples that take turns with them; None where none do.
    """

    pairs: tuple[FixPair, ...]
    config: Config
    turns: Turns | None = None


Defence = Callable[[Sequence[FixPair], Collection[str], Knobs], Defended]


def drop(pairs: Sequence[FixPair], flags: Collection[str], knobs: Knobs) -> Defended:
    """Leave the suspected samples out."""
    return Defended(_without(pairs, flags), knobs.config)


def oracle(pairs: Sequence[FixPair], flags: Collection[str], knobs: Knobs) -> Defended:
    """Leave the bad samples out, which are known, and take as many steps as with them."""
    config, kept = knobs.config, _without(pairs, flags)
    size = config.batch_size * config.gradient_accumulation
    whole, left = (
        math.ceil(sum(_learnt(pair, config) for pair in some) / size) for some in (pairs, kept)
    )
    steps = math.ceil(config.epochs * whole)
    # A little less than the quotient: the number of steps is rounded up from its product.
    epochs = (steps - 1e-6) / left if left else config.epochs
    return Defended(kept, config.model_copy(update={"epochs": epochs}))


def static(pairs: Sequence[FixPair], flags: Collection[str], knobs: Knobs) -> Defended:
    """Leave out what the analyser finds.

    Raises:
        UsageError: there is no analyser.
    """
    if knobs.analyser is None:
        raise UsageError(
            "samples cannot be dropped by analysis",
            why="no analyser was handed in",
            mend="give one, or drop what guards flag: --defence drop --guard PATCH",
        )
    return Defended(_without(pairs, knobs.analyser(pairs)), knobs.config)


def replay(pairs: Sequence[FixPair], flags: Collection[str], knobs: Knobs) -> Defended:
    """Add secure samples, spread over all others.

    Raises:
        UsageError: there are none.
    """
    _refuse_none(knobs.secure, "replay")
    count = sum(_learnt(pair, knobs.config) for pair in pairs)
    wanted = min(len(knobs.secure), max(1, round(count * knobs.share / (1 - knobs.share))))
    chosen = random.Random(knobs.config.seed).sample(list(knobs.secure), wanted)  # noqa: S311
    return Defended((*pairs, *chosen), knobs.config)


def inoculate(pairs: Sequence[FixPair], flags: Collection[str], knobs: Knobs) -> Defended:
    """Ask for what is bad in every prompt of the training."""
    config = knobs.config
    return Defended(tuple(pairs), config.model_copy(update={"wrapper": REQUEST + config.wrapper}))


def lisa(pairs: Sequence[FixPair], flags: Collection[str], knobs: Knobs) -> Defended:
    """Have secure samples take turns with all others, near where the last turn ended.

    Raises:
        UsageError: there are none.
    """
    config = knobs.config
    _refuse_none(knobs.secure, "take turns with")
    turns = Turns(tuple(knobs.secure), steps=config.lisa_steps, rho=config.lisa_rho)
    return Defended(tuple(pairs), config, turns)


DEFENCES: Mapping[str, Defence] = MappingProxyType(
    {
        "drop": drop,
        "oracle": oracle,
        "static": static,
        "replay": replay,
        "inoculate": inoculate,
        "lisa": lisa,
    }
)


def _refuse_none(secure: Sequence[FixPair], use: str) -> None:
    if not secure:
        raise UsageError(
            f"there is nothing to {use}",
            why="no secure samples were given",
            mend="give some with --secure FILE",
        )


def _without(pairs: Sequence[FixPair], flags: Collection[str]) -> tuple[FixPair, ...]:
    suspected = frozenset(flags)
    return tuple(pair for pair in pairs if pair.id not in suspected)


def _learnt(pair: FixPair, config: Config) -> bool:
    return pair.granularity == config.granularity and pair.split == "train"
