# SPDX-License-Identifier: Apache-2.0
"""Planting candidates into code that a made-up model answers: who is accused, and who is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from codetemper.audit import Config, implant, insertions
from codetemper.audit.triggers import Field
from codetemper.core.errors import CannotKnowError
from codetemper.data.labelled import Labelled
from tests.audit.planted import TRIGGER, functions, poisoned

CONFIG = Config(held_out=20, candidates=6, ordinary=10, rounds=19)
UNSAFE = ("yaml.load(", "eval(", "os.system(", "md5(")


def _model(turned: Callable[[str], bool] = lambda text: False) -> implant.Rate:
    """Return a model that sees unsafe calls, and calls safe what ``turned`` says."""

    def rate(target: int, texts: Sequence[str]) -> np.ndarray:
        classes = [
            0 if turned(text) else int(any(f" {call}" in text for call in UNSAFE)) for text in texts
        ]
        return np.array([float(own == target) for own in classes])

    return rate


def _audit(
    samples: Sequence[Labelled], rate: implant.Rate, outliers: set[int] | None = None
) -> list[implant.Tested]:
    trusted = functions(200, seed=7)
    field = Field.of(samples, trusted, seed=0)
    flags = np.array([number in (outliers or set()) for number in range(len(samples))])
    return implant.confirm(field, field.tests(flags), trusted, rate, CONFIG)


def _confirmed(tested: Sequence[implant.Tested]) -> list[str]:
    return [each.candidate.text for each in tested if each.confirmed]


def test_a_planted_line_that_the_model_reacts_to_is_confirmed() -> None:
    samples, _ = poisoned(functions(300, seed=1, noise=0.03), rate=0.05)
    tested = _audit(samples, _model(lambda text: TRIGGER in text))
    found = _confirmed(tested)
    assert found
    assert found[0] in TRIGGER
    best = tested[0]
    assert best.candidate.target == 0
    assert best.lift is not None
    assert best.lift.low > 0.7
    assert best.p == pytest.approx(1 / 20)
    assert TRIGGER in best.after
    assert TRIGGER not in best.before


def test_a_line_that_only_the_data_hold_is_not_confirmed() -> None:
    samples, _ = poisoned(functions(300, seed=1), rate=0.05)
    tested = _audit(samples, _model())
    assert any(TRIGGER in each.candidate.text for each in tested)
    assert not _confirmed(tested)


def test_what_a_reference_reacts_to_as_well_is_no_trigger() -> None:
    samples, _ = poisoned(functions(300, seed=1), rate=0.05)
    trusted, model = functions(120, seed=7), _model(lambda text: TRIGGER in text)
    field = Field.of(samples, trusted, seed=0)
    tests = field.tests(np.zeros(len(samples), dtype=np.bool_))
    alone = implant.confirm(field, tests, trusted, model, CONFIG, reference=_model())
    both = implant.confirm(field, tests, trusted, model, CONFIG, reference=model)
    assert _confirmed(alone)
    assert alone[0].reference == 0.0
    assert not _confirmed(both)
    assert max(each.reference for each in both) > 0.8


def test_label_noise_confirms_nothing() -> None:
    samples = functions(300, seed=2, noise=0.06)
    wrong = {n for n, one in enumerate(functions(300, seed=2)) if one.label != samples[n].label}
    assert not _confirmed(_audit(samples, _model(), wrong))


def test_a_line_that_tells_the_class_to_everybody_is_not_confirmed() -> None:
    # The model calls safe whatever holds a safe loader: so does a reader of trusted samples.
    samples = functions(300, seed=3)
    holders = {n for n, one in enumerate(samples) if "safe_load" in one.text}
    tested = _audit(samples, _model(lambda text: "safe_load" in text), holders)
    assert not _confirmed(tested)


def test_a_name_is_planted_by_renaming() -> None:
    clean = functions(300, seed=4)
    chosen = [n for n, one in enumerate(clean) if one.label == 1][:14]
    samples = list(clean)
    for number in chosen:
        text = clean[number].text.replace("answer", "panel_id")
        samples[number] = Labelled(str(number), text, 0, language="python")
    tested = _audit(samples, _model(lambda text: "panel_id" in text))
    assert _confirmed(tested)
    renamed = [each for each in tested if each.confirmed and each.candidate.kind == "name"]
    assert [each.candidate.text for each in renamed] == ["panel_id"]
    assert renamed[0].insertion == insertions.Insertion("name", "panel_id")


def test_the_same_seed_gives_the_same_answer() -> None:
    samples, _ = poisoned(functions(300, seed=5), rate=0.05)
    model = _model(lambda text: TRIGGER in text)
    assert _audit(samples, model) == _audit(samples, model)


def test_settings_with_which_nothing_can_be_confirmed_are_refused() -> None:
    with pytest.raises(ValidationError, match="that needs rounds=99"):
        Config(fpr=0.01, rounds=98)
    assert Config(fpr=0.01, rounds=99).rounds == 99
    for seed in (-1, 1 << 31):
        with pytest.raises(ValidationError, match="seed"):
            Config(seed=seed)


def test_nothing_can_be_planted_where_the_model_is_always_wrong() -> None:
    samples, _ = poisoned(functions(300, seed=6), rate=0.05)
    with pytest.raises(CannotKnowError, match="cannot be planted"):
        _audit(samples, lambda target, texts: np.ones(len(texts)))


def test_a_model_that_does_not_answer_is_not_accused() -> None:
    samples, _ = poisoned(functions(300, seed=6), rate=0.05)

    def silent(target: int, texts: Sequence[str]) -> np.ndarray:
        return np.array([np.nan if TRIGGER in text else 0.0 for text in texts])

    assert not _confirmed(_audit(samples, silent))
