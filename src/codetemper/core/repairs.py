# SPDX-License-Identifier: Apache-2.0
"""What a repair did, as its patch tells it: the ``report`` of its manifest, and what it repairs.

    Repair.model_validate(manifest.report).explained[0].neurons[0].says
    [RepairedFailure.model_validate(row) for row in json.loads(failures_json)]

Forms only: ``codetemper.harden.repair`` measures, ``codetemper.api`` writes, and
``codetemper.publish`` reads them back. Gaps are in logits: best other token minus wanted token, so
a token is right where its gap is below zero.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from codetemper.core.records import Record


class RepairedFailure(Record):
    """One failure that a patch was solved for (``failures.json``)."""

    id: str
    """Its name."""
    prompt: str
    """What the model continues."""
    reference: str
    """What should follow."""
    views: tuple[str, ...] = ()
    """Other wordings of the prompt."""
    case: str | None = None
    """Case of a suite that it comes from."""


class RepairRound(Record):
    """One look at the wrong tokens, and one change."""

    active: int
    """Tokens that were worked on; constraints of texts that are to stay are among them."""
    gaps: tuple[float, ...]
    """Gap of each before."""
    predicted: tuple[float, ...] = ()
    """Gap that was foretold for each; none where the method foretells nothing."""
    achieved: tuple[float, ...] = ()
    """Gap that each had afterwards."""
    note: str = ""
    """What a person may want to know."""


class RepairRoute(Record):
    """What was to be done about one failure."""

    failure: str
    """Its id."""
    verdict: str
    """``repair``, ``views``, ``retrain``, ``reject`` or ``conflict``."""
    because: str
    """Why, one sentence."""
    patch: str | None = None
    """Patch it conflicts with."""
    score: float = 0.0
    """An order by how likely a repair is to last, and no probability."""
    signals: dict[str, float] = Field(default_factory=dict)
    """What was read."""


class RepairedNeuron(Record):
    """A neuron whose write vector a repair changed."""

    layer: int
    """Its layer."""
    neuron: int
    """Its number there."""
    adds: float
    """Logits that its change adds to the lead of the wanted tokens, on the direct path."""
    says: tuple[str, ...]
    """Tokens that the change raises most."""
    unsays: tuple[str, ...]
    """Tokens that it lowers most."""


class RepairExplained(Record):
    """What the change does for one failure."""

    failure: str
    """Its id."""
    wrong: tuple[tuple[str, str], ...]
    """Wrong tokens of the prompt's own wording, as (wanted, predicted)."""
    before: float
    """Largest gap before."""
    after: float
    """Largest gap under the change."""
    neurons: tuple[RepairedNeuron, ...]
    """Those whose change adds most."""


class RepairFlip(Record):
    """A prediction in a sealed text that changed."""

    text: str
    """Name of the text."""
    token: int
    """Which token of its answer, counted from 0."""
    wanted: int
    """Id of the token that stands there."""
    before: int
    """Id of the token that was predicted."""
    after: int
    """Id of the one that is."""
    kl: float
    """From before to after at that place, in nats."""


class RepairTurn(Record):
    """The same in words."""

    text: str
    """Name of the text."""
    lead: str
    """What stands before the place, the end of it."""
    wanted: str
    """What stands there."""
    before: str
    """What was predicted."""
    after: str
    """What is."""
    kl: float
    """In nats."""


class RepairReading(Record):
    """What a change moved in sealed texts and earlier repairs."""

    texts: int
    """Sealed texts; 0: nobody knows what else was moved."""
    tokens: int
    """Their answer tokens."""
    accuracy: tuple[float, float]
    """Share of them that is predicted rightly, before and after."""
    better: int
    """Texts with more tokens right than before."""
    worse: int
    """Texts with fewer."""
    p: float
    """Two-sided p-value of the sign test over texts."""
    flips: float
    """Share of predictions that changed."""
    kl: float
    """Mean KL from before to after, in nats a token."""
    kl_max: float
    """Largest of one token."""
    flipped: tuple[RepairFlip, ...]
    """Predictions that changed, worst first; not all where there are many."""
    earlier: int
    """Earlier repairs that were right before."""
    broken: tuple[str, ...]
    """Those that are not any more."""
    weights: dict[int, float]
    """Size of the change of a matrix against the matrix, by layer."""


class RepairBudgets(Record):
    """How much a repair might move what it is not about; None was no limit."""

    accuracy: float | None = None
    """Share of sealed tokens predicted rightly no more, net."""
    flips: float | None = None
    """Share of predictions that change."""
    kl: float | None = None
    """Mean KL, in nats a token."""
    broken: int | None = None
    """Earlier repairs that come undone."""


class FreeRuns(Record):
    """A suite answered freely and judged."""

    suite: str
    """Its name."""
    cases: int
    """How many."""
    valid: float
    """Share of valid answers."""
    right: float = Field(alias="pass")
    """Share of right ones."""
    passed: tuple[str, ...]
    """Cases answered rightly."""


class Repair(Record):
    """Everything that a repair says of itself."""

    method: str
    """How it was solved."""
    seconds: float
    """Wall seconds, without loading the model."""
    solve_seconds: float
    """Of those, the method's own."""
    failures: int
    """Failures that were tried."""
    repaired: tuple[str, ...]
    """Ids of those that are right under the change, token by token in every wording."""
    left: tuple[str, ...]
    """Ids of the others."""
    failing_tokens: int
    """Tokens that were wrong before, of all failures given."""
    parameters_changed: int
    """Numbers that the patch replaces."""
    layers: tuple[int, ...]
    """Layers that change."""
    neurons: dict[int, int]
    """How many neurons of each."""
    rank: int
    """Largest rank of a layer's change."""
    weight_change: dict[int, float]
    """Size of the change of a matrix against the matrix, by layer."""
    rounds: tuple[RepairRound, ...]
    """In order."""
    gaps_before: dict[str, tuple[float, ...]]
    """Of each answer token by failure, one wording after the other."""
    gaps_after: dict[str, tuple[float, ...]]
    """The same under the change."""
    reference_tokens: int
    """Tokens that statistics of keys were taken of."""
    statistics: str
    """Fingerprint of those statistics."""
    notes: dict[str, Any]
    """What the method has to say."""
    routes: tuple[RepairRoute, ...]
    """Verdicts on all failures given."""
    budgets: RepairBudgets
    """What it might move."""
    monitor: RepairReading | None
    """What the change that was written moves."""
    whole: RepairReading | None
    """What the whole change would have moved, where it was shrunk."""
    step: float
    """Share of the whole change that was written."""
    written: tuple[str, ...] | None
    """Failures whose answer is written rightly, freely; None where nothing was written."""
    measured: tuple[FreeRuns, FreeRuns] | None
    """A suite answered freely before and after; None where none was."""
    explained: tuple[RepairExplained, ...]
    """What neurons do."""
    turned: tuple[RepairTurn, ...] = ()
    """Predictions of ``monitor.flipped`` in words."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Cases of a run that were no failures to repair, by reason."""
    replaces: tuple[str, ...] = ()
    """Patches whose repairs this one holds, too."""
