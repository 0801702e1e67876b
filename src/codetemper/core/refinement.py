# SPDX-License-Identifier: Apache-2.0
"""What a refinement did, round after round: the ``report`` of its final patch.

    manifest.report == Refinement(...).model_dump(mode="json")
    Refinement.model_validate(manifest.report).rounds[0].outcomes["syntax"]

Forms only: ``codetemper.api`` fills them, ``codetemper.publish`` reads them back.
"""

from __future__ import annotations

from pydantic import Field

from codetemper.core.records import Difference, Estimate, Record


class Round(Record):
    """One round: sampled, judged, paired, trained, validated."""

    round: int = Field(ge=1)
    """Counts from 1."""
    patch: str
    """Id of the patch that the round made; it goes on top of the base, in place of the last."""
    pairs_corpus: str
    """Id of the corpus of its pairs."""
    sampled_run: str
    """Id of the run that drew and judged its samples, with the model before the round."""
    validation_run: str
    """Id of the run of the validation suite, with the model after it."""
    prompts: int
    """Training prompts."""
    samples: int
    """Completions drawn, over all prompts."""
    distinct: int
    """Those whose form differs from all others of their prompt."""
    mixed: int
    """Prompts with both right and wrong samples."""
    outcomes: dict[str, int]
    """Samples by outcome: ``pass``, or their failure class (``insecure``: works, but weak)."""
    pairs: dict[str, int]
    """Pairs learned from, by ``because``."""
    rejected: dict[str, int]
    """The same pairs by what is wrong with the worse answer."""
    chosen_logprob: tuple[float, float]
    """Mean log-probability of a token of the better answers, in nats, before and after."""
    rejected_logprob: tuple[float, float]
    """The same of the worse answers."""
    losses: tuple[tuple[int, float], ...]
    """Optimizer step and mean training loss there."""
    validation: Estimate
    """The metric on the validation suite, after the round."""
    gain: Difference
    """The same against the round before, paired by case."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """Wall seconds by phase: ``sample``, ``pair``, ``train``, ``validate``."""


class Changed(Record):
    """A case whose answer turned from wrong to right or the other way."""

    case: str
    """Id of the case."""
    prompt: str
    """Its prompt."""
    before: str
    """What the base wrote."""
    after: str
    """What the chosen round's model wrote."""
    verdict_before: str
    """``pass``, or the failure class of ``before``."""
    verdict_after: str
    """Likewise of ``after``."""


class Refinement(Record):
    """All rounds, why they ended, and what came of them."""

    suites: dict[str, str]
    """Digest by name of each suite whose cases were sampled, validated or tested on."""
    metric: str
    """Metric that rounds are compared by, e.g. ``pass@1``."""
    shares: dict[str, int]
    """Cases by what they were for: ``train``, ``validation``, ``test``."""
    rounds: tuple[Round, ...]
    """In order; none where there was nothing to learn from."""
    start: Estimate
    """The metric on the validation suite before the first round."""
    stop: str
    """Why it ended."""
    chosen_round: int = Field(ge=0)
    """Round whose patch was kept: the best on the validation suite."""
    test: dict[str, Difference] = Field(default_factory=dict)
    """Metrics of the test suite, base against the chosen round; looked at once, at the end."""
    changed: tuple[Changed, ...] = ()
    """Some validation cases whose outcome turned, either way."""
