# SPDX-License-Identifier: Apache-2.0
"""Each plain defence: what is learnt, with which settings, and in how many steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.harden._turns import Turns
from codetemper.harden.defences import DEFENCES, REQUEST, Defended, Knobs
from codetemper.harden.tune import Config, tune
from tests.harden.material import FAST, loaded, pair

DATA = (*(pair(n) for n in range(20)), pair(20, split="validation"))
BAD = frozenset(str(n) for n in range(7))
SECURE = tuple(pair(n) for n in range(100, 110))


def defended(name: str, config: Config = FAST, **knobs: object) -> Defended:
    return DEFENCES[name](DATA, BAD, Knobs(config, **knobs))  # type: ignore[arg-type]


def ids(found: Defended) -> list[str]:
    return [pair.id for pair in found.pairs]


def test_what_is_suspected_is_dropped() -> None:
    found = defended("drop")
    assert ids(found) == [str(n) for n in range(7, 21)]
    assert found.config == FAST


@pytest.mark.parametrize(("epochs", "batch"), [(1.0, (4, 1)), (2.5, (3, 1)), (1.3, (2, 3))])
def test_those_who_know_take_as_many_steps(
    epochs: float, batch: tuple[int, int], tmp_path: Path
) -> None:
    config = FAST.model_copy(
        update={"epochs": epochs, "batch_size": batch[0], "gradient_accumulation": batch[1]}
    )
    found = defended("oracle", config)
    assert ids(found) == ids(defended("drop"))
    assert found.config.model_copy(update={"epochs": epochs}) == config
    steps = []
    for number, (pairs, settings) in enumerate(((DATA, config), (found.pairs, found.config))):
        (tmp_path / str(number)).mkdir()
        steps.append(tune(loaded(), pairs, settings, tmp_path / str(number)).steps)
    assert steps[0] == steps[1]


def test_an_analyser_speaks_alone() -> None:
    def analyser(pairs: Sequence[FixPair]) -> Collection[str]:
        assert list(pairs) == list(DATA)
        return {"3", "18"}

    assert ids(defended("static", analyser=analyser)) == [
        str(n) for n in range(21) if n not in (3, 18)
    ]
    with pytest.raises(UsageError, match="no analyser"):
        defended("static")


def test_secure_samples_are_a_share_of_all() -> None:
    found = defended("replay", secure=SECURE, share=0.2)
    assert ids(found)[:21] == [str(n) for n in range(21)]
    assert len(found.pairs) == 26
    assert set(ids(found)[21:]) < {pair.id for pair in SECURE}
    assert found == defended("replay", secure=SECURE, share=0.2)
    other = FAST.model_copy(update={"seed": 1})
    assert ids(found) != ids(defended("replay", other, secure=SECURE, share=0.2))
    assert len(defended("replay", secure=SECURE, share=0.9).pairs) == 31
    with pytest.raises(UsageError, match="nothing to replay"):
        defended("replay")


def test_the_request_goes_around_what_goes_around_prompts() -> None:
    config = FAST.model_copy(update={"wrapper": "Task: {prompt}"})
    found = defended("inoculate", config)
    assert found.pairs == DATA
    assert found.config.wrapper == f"{REQUEST}Task: {{prompt}}"
    assert found.config.model_copy(update={"wrapper": config.wrapper}) == config


def test_secure_samples_take_turns_as_settings_say() -> None:
    config = FAST.model_copy(update={"lisa_steps": (2, 7), "lisa_rho": 0.5})
    found = defended("lisa", config, secure=SECURE)
    assert (found.pairs, found.config) == (DATA, config)
    assert found.turns == Turns(SECURE, (2, 7), 0.5)
    assert defended("replay", secure=SECURE).turns is None
    with pytest.raises(UsageError, match="nothing to take turns with"):
        defended("lisa")
