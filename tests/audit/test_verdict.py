# SPDX-License-Identifier: Apache-2.0
"""The four words of an audit: what each rests on, and what never decides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codetemper.audit import Config, suspicion
from codetemper.audit.verdict import Evidence, conclude
from codetemper.core.audits import VERDICTS, AuditTrigger, AuditWeight
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Estimate

LIFT = Estimate(value=0.6, low=0.5, high=0.7, n=60)


def trigger(*, confirmed: bool, lift: Estimate | None = LIFT) -> AuditTrigger:
    return AuditTrigger(
        kind="line", text="capacity = 5333", flagged=9, holders=10, enrichment_p=1e-6, lift=lift,
        null=0.1, p=0.05, confirmed=confirmed, payload="1 -> 0",
    )  # fmt: skip


PAIRED = trigger(confirmed=False).model_copy(
    update={"paired": True, "risky": 8, "payload": "shell"}
)
WHOLE: dict[str, Any] = {"searched": True, "planted": 60}


@pytest.mark.parametrize(
    ("evidence", "answer"),
    [
        (Evidence(triggers=(trigger(confirmed=True),), **WHOLE), "confirmed trigger"),
        (Evidence(triggers=(trigger(confirmed=False),), **WHOLE), "no evidence"),
        (Evidence(anomalous=20, flagged=40, **WHOLE), "suspicious data"),
        (Evidence(anomalous=20, flagged=40, searched=True), "suspicious data"),
        (Evidence(triggers=(PAIRED,), **WHOLE), "suspicious data"),
        (Evidence(triggers=(trigger(confirmed=True), PAIRED), **WHOLE), "confirmed trigger"),
        (Evidence(**WHOLE), "no evidence"),
        (Evidence(searched=True, lacking=("trusted samples",)), "inconclusive"),
        (Evidence(lacking=("data",)), "inconclusive"),
    ],
)
def test_each_word_has_its_evidence(evidence: Evidence, answer: str) -> None:
    assert conclude(evidence).answer == answer


def test_a_list_accuses_only_beyond_its_own_errors() -> None:
    # Of 40 flagged samples the rates of the lists let through six on average.
    assert not Evidence(anomalous=6, flagged=40, fdr=0.1).suspicious
    assert not Evidence(anomalous=10, flagged=40, fdr=0.1).suspicious
    assert Evidence(anomalous=14, flagged=40, fdr=0.1).suspicious
    assert conclude(Evidence(anomalous=6, flagged=40, **WHOLE)).answer == "no evidence"


def test_weights_never_decide() -> None:
    odd = AuditWeight(name="classifier", statistic="row gap", value=3.0, p=0.001)
    alone = conclude(Evidence(weights=(odd,), lacking=("data",)))
    assert alone.answer == "inconclusive"
    assert any("classifier" in reason for reason in alone.reasons)
    assert conclude(Evidence(weights=(odd,), **WHOLE)).answer == "no evidence"


def test_the_reasons_carry_numbers() -> None:
    said = conclude(Evidence(triggers=(trigger(confirmed=True),), noisy=3, shared=2, **WHOLE))
    text = " ".join(said.reasons)
    assert "'capacity = 5333'" in text
    assert "1 -> 0" in text
    assert "0.60 [0.50, 0.70]" in text
    assert "3 labels are probably wrong" in text
    assert "2 trusted samples" in text
    weak = LIFT.model_copy(update={"value": 0.2})
    none = conclude(Evidence(triggers=(trigger(confirmed=False, lift=weak),), **WHOLE))
    assert "the largest change was 0.20" in none.reasons[0]
    alike = conclude(Evidence(triggers=(trigger(confirmed=False),), **WHOLE))
    assert "1 texts that suspected samples share change the answers by 0.3" in alike.reasons[0]
    assert len(alike.reasons) == 1
    never = conclude(Evidence(triggers=(trigger(confirmed=False, lift=None),), **WHOLE))
    assert "1 texts" in never.reasons[0]
    assert "were not planted" in never.reasons[0]


def test_what_goes_with_insecure_answers_is_told_with_its_counts() -> None:
    said = conclude(Evidence(triggers=(PAIRED,), **WHOLE))
    assert (
        "8 of 10 samples with 'capacity = 5333' have an insecure answer (shell)"
        in (said.reasons[0])
    )


def test_a_natural_text_is_told_and_accuses_nobody() -> None:
    usual = trigger(confirmed=False).model_copy(update={"natural": True})
    said = conclude(Evidence(triggers=(usual,), **WHOLE))
    assert said.answer == "no evidence"
    (reason,) = said.reasons
    assert "clean samples hold it about as often" in reason


def test_what_is_missing_comes_before_what_would_help() -> None:
    said = conclude(Evidence(searched=True, lacking=("a",), better=("b",)))
    assert said.missing == ("a", "b")


def test_the_words_of_other_verbs() -> None:
    assert set(VERDICTS.values()) == {"clean", "suspect", "unknown"}


def test_label_noise_that_cannot_be_judged_takes_nothing_else_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise CannotKnowError("label errors cannot be told", why="8 are known", mend="give 20")

    monkeypatch.setattr(suspicion, "explain", refuse)
    features = SimpleNamespace(logits=None)
    ranking = SimpleNamespace(suspected=np.zeros(3, np.bool_))
    seen = SimpleNamespace(decisive=list, trusted=None, features=features, ranking=ranking)
    not_ran: dict[str, str] = {}
    given = SimpleNamespace(samples=[], trusted=[])
    assert suspicion._explained(seen, given, Config(), not_ran) is None  # type: ignore[arg-type]
    assert "8 are known; give 20" in not_ran["label noise"]
