# SPDX-License-Identifier: Apache-2.0
"""What is to be repaired, and what a repair did: what its patch holds beside the tensors.

    Repair.model_validate(manifest.report).explained[0].neurons[0].says
    [Failure.model_validate(row) for row in json.loads(failures_json)]

Forms only: ``codetemper.harden.repair`` measures and fills them, ``codetemper.api`` writes, and
``codetemper.publish`` reads them back. Fields are written in the order that they stand here,
without a version: the manifest around them has one. Gaps are in logits: best other token minus
wanted token, so a token is right where its gap is below zero.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from codetemper.core.records import Record

#: File of a patch that holds what it repairs, a list of ``Failure``.
FAILURES = "failures.json"

RepairVerdict = Literal["repair", "views", "retrain", "reject", "conflict"]
"""What is to be done about a failure; see ``harden.repair.route``."""


class _Part(Record):
    """A record inside a manifest or a list."""

    @model_serializer(mode="wrap")
    def _without_version(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        fields.pop("schema_version", None)
        return fields


class Failure(_Part):
    """A prompt that is answered wrongly, and the right answer (a row of ``failures.json``)."""

    id: str
    """Its name; unique among those repaired together."""
    prompt: str
    """What the model continues."""
    reference: str
    """The text that should follow, without end token."""
    views: tuple[str, ...] = ()
    """Other wordings of the prompt that should get the same answer."""
    case: str | None = None
    """The case of a suite that it comes from, where it does."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """All wordings, the first one first, each once."""
        return tuple(dict.fromkeys((self.prompt, *self.views)))

    @model_serializer(mode="wrap")
    def _without_version(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = super()._without_version(serialize)
        if self.case is None:
            fields.pop("case", None)
        return fields


class RepairRound(_Part):
    """One look at the wrong tokens, and one change."""

    active: int
    """Tokens that were worked on; constraints of texts that are to stay are among them."""
    gaps: tuple[float, ...]
    """Gap of each before."""
    predicted: tuple[float, ...] = ()
    """Gap that the linear model foretold for each; none where the method foretells nothing."""
    achieved: tuple[float, ...] = ()
    """Gap that each had afterwards."""
    note: str = ""
    """What a person may want to know."""


class RepairRoute(_Part):
    """What is to be done about one failure."""

    failure: str
    """Its id."""
    verdict: RepairVerdict
    """The first that holds."""
    because: str
    """Why, one sentence."""
    patch: str | None = None
    """Patch it conflicts with."""
    score: float = 0.0
    """Between 0 and 1: an order by how likely a repair is to last, and no probability."""
    signals: dict[str, int | float] = Field(default_factory=dict)
    """What was read: ``wrong`` tokens of the prompt's answer and their ``share`` of it, ``gap``
    (largest), ``close`` (tokens of it that lead by less than ``harden.repair.route.CLOSE`` or not
    at all), ``withstood`` (share of drawn piles of later repairs that would leave it right),
    ``overlap`` (largest cosine of a failing key and a key of a reference text where another token
    stands; mean over layers), ``views_wrong`` (share of other wordings answered wrongly), and after
    one round of solving ``progress`` (achieved by foretold fall of the gaps), ``fixed`` and
    ``views_fixed`` (shares), ``moved`` (largest change of a matrix against the matrix)."""


class RepairedNeuron(_Part):
    """A neuron whose write vector a repair changed."""

    layer: int
    """Its layer."""
    neuron: int
    """Its number there."""
    adds: float
    """Logits that its change adds to the lead of the wanted tokens, on the direct path, summed over
    the tokens that were wrong."""
    says: tuple[str, ...]
    """Tokens that the change raises most, at the wrong token that it serves most."""
    unsays: tuple[str, ...]
    """Tokens that it lowers most."""


class RepairExplained(_Part):
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
    """Those whose change adds most, the first one most."""


class RepairFlip(_Part):
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


class RepairTurn(_Part):
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


class RepairReading(_Part):
    """What a change moves in sealed texts and earlier repairs."""

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


class RepairBudgets(_Part):
    """How much a repair may move what it is not about; None is no limit."""

    accuracy: float | None = None
    """Share of sealed tokens that may be predicted rightly no more, net of those newly right."""
    flips: float | None = None
    """Share of predictions in sealed texts that may change."""
    kl: float | None = None
    """Mean KL from the model before to the model after, in nats a token."""
    broken: int | None = None
    """Earlier repairs that may come undone."""


class FreeRuns(_Part):
    """A suite answered freely and judged."""

    model_config = ConfigDict(populate_by_name=True)

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


class Repair(_Part):
    """Everything that a repair says of itself; nobody looked on where ``monitor`` is None."""

    seconds: float
    """Wall seconds, without loading the model."""
    solve_seconds: float
    """Of those, the method's own."""
    method: str
    """How it was solved."""
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
    routes: tuple[RepairRoute, ...] = ()
    """Verdicts on all failures given, in their order."""
    budgets: RepairBudgets = RepairBudgets()
    """What it might move."""
    monitor: RepairReading | None = None
    """What the change that was written moves."""
    whole: RepairReading | None = None
    """What the whole change would have moved, where it was shrunk."""
    step: float = 1.0
    """Share of the whole change that was written."""
    written: tuple[str, ...] | None = None
    """Failures whose answer is written rightly, freely; None where nothing was written."""
    measured: tuple[FreeRuns, FreeRuns] | None = None
    """A suite answered freely before and after; None where none was."""
    explained: tuple[RepairExplained, ...] = ()
    """What neurons do."""
    turned: tuple[RepairTurn, ...] = ()
    """Predictions of ``monitor.flipped`` in words."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Cases of a run that were no failures to repair, by reason."""
    replaces: tuple[str, ...] = ()
    """Patches whose repairs this one holds, too."""

    def report(self) -> dict[str, Any]:
        """Return it as plain JSON data, for the manifest."""
        return self.model_dump(mode="json", by_alias=True)
