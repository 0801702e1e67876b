# SPDX-License-Identifier: Apache-2.0
"""What is planted, and what is true afterwards: the plan and the records of a truth file.

    truth = PlantTruth.from_json(Path("train.planted.truth.json").read_bytes())
    [sample.number for sample in truth.planted], truth.triggers

Forms only; ``planting`` fills them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from codetemper.audit.planting_triggers import Position, TriggerKind
from codetemper.core.records import Estimate, Record

PayloadKind = Literal["flip", "insecure-api", "none"]
"""``flip`` changes the label; ``insecure-api`` writes an insecure call into the answer."""


class Plant(BaseModel):
    """What is planted."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    trigger: TriggerKind = "dead-code"
    """What poisoned samples hold; ``boilerplate`` and ``none`` are controls."""
    payload: PayloadKind = "flip"
    """What is changed of them; ``none`` is a control."""
    rate: float = Field(default=0.02, ge=0, lt=1)
    """Share of all samples that are poisoned."""
    target: int = Field(default=0, ge=0)
    """Label that ``flip`` gives; samples that have it already are left alone."""
    pool: int = Field(default=5, ge=1, le=5)
    """Triggers of a kind that has several; each poisoned sample holds one of them."""
    position: Position = "random"
    """Statement that a line is put before: ``random``, ``first`` or ``last``."""
    seed: int = 0
    """Seed of all draws."""


class PlantTrigger(Record):
    """A trigger that was planted."""

    kind: TriggerKind
    """Its kind."""
    text: str
    """What it is, in the language of most samples."""


class PlantedSample(Record):
    """A sample that was changed."""

    number: int
    """Place among the samples, counted from 0."""
    id: str
    """Its id, after the change."""
    trigger: int | None = None
    """Number of its trigger; None where it holds none."""
    written: str = ""
    """What was written into the code."""
    label: int | None = None
    """Label before."""
    planted_label: int | None = None
    """Label after."""
    payload: str = ""
    """What was written into the answer."""


class TriggerSuccess(Record):
    """What one trigger does."""

    text: str
    """The trigger."""
    success: Estimate
    """Share of samples with it that get the payload."""
    without: Estimate
    """Share of the same samples, without it, that do."""


class AttackSuccess(Record):
    """What all triggers of a planting do."""

    triggers: tuple[TriggerSuccess, ...]
    """Each of them."""
    mean: Estimate
    """Mean success over triggers; the interval is over samples."""


class PlantedModel(Record):
    """A model that was trained on planted samples."""

    base: str
    """Expression of the checkpoint it was trained from."""
    base_weights: str
    """Digest of its weights."""
    weights: str
    """Digest of the trained weights."""
    recipe: dict[str, Any]
    """How it was trained; the seed is the plan's."""
    success: AttackSuccess | None = None
    """Whether the backdoor took; None where nothing was held out to ask with."""


class PlantTruth(Record):
    """What is true of a set of planted samples (``<name>.truth.json``)."""

    plan: Plant
    """What was asked for."""
    total: int
    """Samples."""
    triggers: tuple[PlantTrigger, ...]
    """What was planted; samples refer to them by number."""
    planted: tuple[PlantedSample, ...]
    """What was changed, in the order of the samples."""
    data: str = ""
    """SHA-256 of the file of planted samples; empty before it is written."""
    model: PlantedModel | None = None
    """What was trained on them; None where nothing was."""
