# SPDX-License-Identifier: Apache-2.0
"""What an audit of a model says: its three answers, what they rest on, what it could not see.

    card = AuditCard.from_json((folder / "card.json").read_bytes())
    card.answer, card.missing, [trigger.text for trigger in card.triggers if trigger.confirmed]

*Anomalous samples* (``AuditSample``), *candidate triggers* (``AuditTrigger``) and the *model
verdict* (``AuditCard.answer``) are three answers, each with evidence and an error rate of its own:
an outlier is no backdoor, and a separation is no verdict. Forms only: ``codetemper.audit`` and
``codetemper.api`` fill them, ``codetemper.publish`` reads them.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from codetemper.core.records import Estimate, Finding, Record

Answer = Literal["no evidence", "suspicious data", "confirmed trigger", "inconclusive"]
"""``no evidence``: everything that the access allows was asked and nothing was found, with the
power that the card states. ``suspicious data``: samples stand out for a reason that label noise
does not explain, or a text goes with insecure answers, and no trigger of the model is confirmed.
``confirmed trigger``: putting a text in changed what the model does, more than ordinary texts do.
``inconclusive``: ``missing`` says what would have to be given."""

Tier = Literal["weights", "queries", "trusted", "data", "base"]
"""What an audit was given: the weights alone; the model to ask; snippets known to be clean; what
it was trained on; the checkpoint it was trained from."""

TIERS: Final[tuple[Tier, ...]] = ("weights", "queries", "trusted", "data", "base")

SampleKind = Literal["", "anomalous", "fix label", "paired", "trigger"]
"""Why a sample is listed. ``trigger``: it holds a confirmed trigger. ``paired``: it holds a text
that goes with insecure answers, and has one. ``fix label``: label noise explains it. ``anomalous``:
it stands out, and nothing explains it yet. Empty: it is not listed."""

TriggerKind = Literal["line", "ngram", "name", "comment"]

VERDICTS: Final[dict[Answer, str]] = {
    "no evidence": "clean",
    "suspicious data": "suspect",
    "confirmed trigger": "suspect",
    "inconclusive": "unknown",
}


class AuditView(Record):
    """One detector at one place of the model: how much stands out there."""

    name: str
    """Detector, e.g. ``mahalanobis``, or a score from elsewhere, ``windowed-ratio``."""
    stack: str = ""
    """``encoder`` or ``decoder``; empty where the view has no place in the model."""
    layer: int = -1
    """Layer, 0 for the embeddings; -1 where the view has none."""
    pool: str = ""
    """``decision``, ``eos``, ``mean``, ``max`` or ``line``; empty where the view has none."""
    score: float
    """Share of the suspected samples that are in the view's own upper 5 %: .05 where the view has
    no part in the combined rank, 1 where it has all of it."""
    p: float | None = None
    """p-value of the tail being as heavy as that of trusted samples, after the adjustment for the
    number of views; None without trusted samples."""
    auroc: Estimate | None = None
    """How well the view alone ranks samples that hold a confirmed trigger above the others of their
    class; None where none is confirmed."""


class AuditDepth(Record):
    """One layer of the depth profile: how far the suspected samples are from the rest there."""

    stack: str
    """``encoder`` or ``decoder``."""
    layer: int
    """Layer, 0 for the embeddings."""
    pool: str
    """How tokens were pooled."""
    gap: float
    """Distance of the two means along the line through them, in pooled standard deviations,
    measured on the half of the samples that the line was not fitted to."""


class AuditSample(Record):
    """One sample as the audit sees it."""

    number: int
    """Place in its file, counted from 0."""
    id: str
    """Its id."""
    label: int | None = None
    """Its label; None for what a decoder learns."""
    score: float
    """Combined rank among the samples of its class, between 0 and 1; confirmed triggers first, then
    samples with a text that goes with insecure answers."""
    p: float | None = None
    """Split-conformal p-value by class; None where no trusted samples of the class were given."""
    kind: SampleKind = ""
    """Why it is listed."""
    text: str
    """SHA-256 of its text."""
    source: str
    """File and line that it comes from, ``train.jsonl:17``."""
    trigger: str = ""
    """The confirmed trigger that it holds, or the text that goes with insecure answers."""
    suggested: int | None = None
    """The label that the others of its kind have, of a ``fix label``."""
    excerpt: str = ""
    """Its text or the beginning of it, of the first listed samples only."""


class AuditTrigger(Record):
    """A text that samples which stand out have in common, and what planting it does."""

    kind: TriggerKind
    """What it is: a line, tokens in a row, an identifier, a comment."""
    text: str
    """The text."""
    flagged: int
    """Samples that speak and hold it: suspected ones, or those whose label is contradicted."""
    holders: int
    """All samples with their label that hold it."""
    enrichment_p: float
    """Chance of as many if those that speak were drawn at random: the smallest of the
    hypergeometric tests of its label, times their number."""
    lift: Estimate | None = None
    """Rate of what it would trigger in held-out clean code with it, less the rate with ordinary
    texts in the same places; None where it was not planted."""
    null: float | None = None
    """Largest lift of one of these ordinary texts."""
    p: float | None = None
    """Share of all searches, those among suspects drawn at random and this one, that find a text
    as enriched."""
    confirmed: bool = False
    """Whether the model reacts to it, and chance does not find its like."""
    natural: bool = False
    """Whether that is so, but clean samples hold it about as often, and there is no base checkpoint
    to tell what training did."""
    before: str = ""
    """Held-out code, as it was."""
    after: str = ""
    """The same with the trigger in it."""
    payload: str = ""
    """What it triggers: ``1 -> 0`` of a classifier, the rule that a decoder's answers break."""
    risky: int | None = None
    """Of all samples that hold it, those whose answer holds a payload; None for a classifier."""
    paired: bool = False
    """Whether that is far more than others have, and clean samples do not hold it: the data are
    suspicious whatever the model does."""


class AuditMap(Record):
    """Samples on a plane (``map.json``), for people to look at; a map is no evidence."""

    stack: str
    """``encoder`` or ``decoder``: where the features come from."""
    layer: int
    """Layer, 0 for the embeddings."""
    pool: str
    """How tokens were pooled."""
    numbers: tuple[int, ...]
    """Samples on it, by number."""
    kinds: tuple[SampleKind, ...]
    """Why each is listed."""
    labels: tuple[int | None, ...]
    """Label of each."""
    pca: tuple[tuple[float, float], ...]
    """Place of each along the first two principal components."""
    explained: tuple[float, float]
    """Shares of the variance on these two."""
    tsne: tuple[tuple[float, float], ...] = ()
    """Place of each by t-SNE; empty where it could not be made."""
    perplexity: float = 0.0
    """That t-SNE was made with."""
    seeds: tuple[int, ...] = ()
    """Of the t-SNE maps that were compared; the first is shown."""
    stability: float | None = None
    """Mean share of nearest samples that two of those maps agree on."""
    kept: dict[str, float] = Field(default_factory=dict)
    """By map, mean share of a sample's nearest in the features that are so on the map."""
    chance: float = 0.0
    """Share that two random maps would agree on."""
    missing: str = ""
    """Why there is no t-SNE."""


class AuditPower(Record):
    """What the audit would have found, by planting into the user's own data and model."""

    answer: Answer = "confirmed trigger"
    """What it would have said: that a model learnt a backdoor, or that one is in the data."""
    rate: float
    """Share of the samples that were poisoned with canaries."""
    canaries: int
    """Backdoors that were planted, one at a time."""
    found: Estimate | None = None
    """Share of them of which it would have said so; None where it was not measured."""
    missing: str = ""
    """Why it was not measured."""


class AuditWeight(Record):
    """A statistic of the weights against a reference; evidence, never a verdict by itself."""

    name: str
    """Parameter or group of parameters."""
    statistic: str
    """What was computed."""
    value: float
    """Its value."""
    p: float | None = None
    """p-value against the spread between siblings, adjusted for the number of statistics; None
    where there are too few of them."""
    note: str = ""
    """Why it was left out, or what limits it."""


class AuditWatch(Record):
    """This audit against the last one of the same base in the ledger."""

    before: str
    """Id of that audit."""
    answer_before: Answer
    """What it said."""
    state: Literal["same", "drift", "alarm"]
    """``alarm``: a trigger or a share of unexplained samples that was not there before. ``drift``:
    model, data or scores changed, and nothing speaks of a backdoor."""
    reasons: tuple[str, ...] = ()
    """One sentence each."""
    p: float | None = None
    """p-value of the listed share being what it was (Fisher, two-sided)."""


class AuditCard(Record):
    """What an audit says of itself (``card.json``)."""

    id: str
    """Content name, ``audit-<12 hexadecimal digits>``."""
    model: str
    """Expression of the model."""
    model_digest: str
    """Digest of its base's weights and its patches."""
    base_digest: str = ""
    """Digest of the base's weights alone; what ``--watch`` knows a model by."""
    form: Literal["classifier", "decoder", "seq2seq", "masked"]
    """What the model does with a text."""
    dtype: str = "float32"
    """Number type it was audited in."""
    reference: str | None = None
    """Expression of the checkpoint it was trained from."""
    reference_digest: str | None = None
    """Digest of its weights."""
    siblings: tuple[str, ...] = ()
    """Expressions of models of the same recipe, the null of the weight views."""
    data: str | None = None
    """Name of the file of training data."""
    data_digest: str | None = None
    """SHA-256 of it."""
    trusted: str | None = None
    """Name of the file of trusted samples."""
    trusted_digest: str | None = None
    """SHA-256 of it."""
    tiers: tuple[Tier, ...]
    """What the audit was given."""
    ran: tuple[str, ...]
    """Checks that ran."""
    not_ran: dict[str, str] = Field(default_factory=dict)
    """Checks that could not run, with the reason."""
    answer: Answer
    """The verdict."""
    reasons: tuple[str, ...] = ()
    """What it rests on, one sentence each."""
    missing: tuple[str, ...] = ()
    """What would have to be given for an answer, or for a better one."""
    counts: dict[str, int] = Field(default_factory=dict)
    """``samples``, ``trusted``, ``shared`` (trusted samples that are in the data too),
    ``suspected``, ``anomalous``, ``fix label``, ``trigger``, and ``class 0`` and so on."""
    fpr: float | None = None
    """Chance, at most, that suspects drawn at random share a text as enriched as a confirmed
    trigger's, which has to change answers besides; None where no trigger was tested."""
    views: tuple[AuditView, ...] = ()
    """Every detector at every place."""
    depth: tuple[AuditDepth, ...] = ()
    """The depth profile."""
    triggers: tuple[AuditTrigger, ...] = ()
    """Candidates, the confirmed first, then by lift."""
    power: tuple[AuditPower, ...] = ()
    """What would have been found, by rate."""
    weights: tuple[AuditWeight, ...] = ()
    """Statistics of the weights."""
    findings: tuple[Finding, ...] = ()
    """What the files of the model hold that they should not."""
    watch: AuditWatch | None = None
    """Against the last audit, where that was asked for."""
    rows: int = 0
    """Samples, each an ``AuditSample`` of ``data.parquet``."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Resolved configuration."""
    files: dict[str, str]
    """SHA-256 by relative path of every other file of the folder."""
    seconds: float = 0.0
    """Wall seconds it took."""

    @property
    def verdict(self) -> str:
        """``clean``, ``suspect`` or ``unknown``: the word of every verb for this answer."""
        return VERDICTS[self.answer]
