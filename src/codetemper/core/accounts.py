# SPDX-License-Identifier: Apache-2.0
"""The records that a workspace keeps of what was made: manifests, cards, lines of the ledger.

Forms only; ``workspace`` and ``ledger`` write and verify them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from codetemper.core.records import Estimate, Record


class PatchManifest(Record):
    """What a patch folder says of itself (``manifest.json``)."""

    id: str
    """Content name, ``<verb>-<12 hexadecimal digits>``."""
    kind: Literal["adapter", "rows"]
    """How the change is stored."""
    verb: str
    """The treatment that made it."""
    technique: str
    """File that made it, e.g. ``tune``."""
    base: str
    """Expression of the model it was made for."""
    base_digest: str
    """Digest of that model's weights; attaching to others is refused."""
    corpus: str | None = None
    """Id of the training corpus."""
    corpus_digest: str | None = None
    """Digest of the training data."""
    config: dict[str, Any]
    """Resolved configuration of the technique."""
    purpose: Literal["inference", "train-only"] = "inference"
    """``train-only`` patches are refused for inference, merging and export."""
    parameters_changed: int
    """Numbers the patch adds or replaces."""
    bytes: int
    """Size of the tensors on disk."""
    seconds: float
    """Wall seconds the treatment took."""
    seed: int
    """Seed of the treatment."""
    versions: dict[str, str]
    """Library versions."""
    files: dict[str, str]
    """SHA-256 by relative path of every other file of the patch folder."""
    report: dict[str, Any] = Field(default_factory=dict)
    """What the technique measured while it worked (loss curve, steps)."""


class CorpusCard(Record):
    """What a corpus says of itself (``card.json``)."""

    id: str
    """Content name, ``<verb>-<12 hexadecimal digits>``."""
    rows: int
    """Records in ``data.parquet``."""
    record: str
    """Name of the record class of the rows, e.g. ``FixPair``."""
    data_digest: str
    """Digest over the rows' canonical JSON, in order."""
    files: dict[str, str]
    """SHA-256 by relative path of every other file of the folder."""
    sources: tuple[str, ...]
    """Repositories or files the rows come from."""
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Counts by aspect: ``cwe``, ``language``, ``licence``, ``dropped``."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Resolved configuration of the mining run."""
    seconds: float = 0.0
    """Wall seconds it took."""


class StudyRow(Record):
    """One number of a study: a metric of a tuned setting against what it is compared with."""

    question: Literal["settings", "granularities", "sizes", "transfer", "lasting"]
    """What is asked: better than the base; which granularity; how little data is enough; does it
    reach weaknesses that are not in the data; does it outlive later ordinary tuning."""
    setting: str
    """Method, granularity, share of the data, and what was left out or done after."""
    method: str
    """How it was tuned."""
    granularity: str
    """Of the pairs it was tuned on."""
    size: float
    """Share of the fixes it was tuned on."""
    against: str
    """``base``, or the setting it is compared with."""
    suite: str = ""
    """Which cases; empty where the setting has no result."""
    metric: str = ""
    """Which metric of them."""
    cases: str = ""
    """Family of weaknesses whose cases alone count; empty: all."""
    before: float | None = None
    """Value of what it is compared with, the mean over seeds."""
    after: float | None = None
    """Value of the setting, likewise."""
    difference: float | None = None
    """after - before, paired by case."""
    low: float | None = None
    """Lower end of the 95 % interval over cases."""
    high: float | None = None
    """Upper end."""
    p: float | None = None
    """Two-sided p-value of the paired test."""
    holm: float | None = None
    """The same, corrected for all settings that the question compares on this suite and metric."""
    n: int = 0
    """Cases compared."""
    seeds: tuple[int, ...] = ()
    """Seeds that gave a result."""
    by_seed: tuple[float, ...] = ()
    """Difference of each of these seeds."""
    kept: Literal["kept", "lost", "open", ""] = ""
    """Of a functional metric: whether it fell by no more than the margin."""
    flag: str = ""
    """Why a gain of security was bought by breaking code; empty where it was not."""
    reason: str = ""
    """Why there is no result, or one of fewer seeds."""
    pairs: int = 0
    """Fix pairs learned from, the mean over seeds."""
    seconds: float | None = None
    """Wall seconds of tuning, the mean over seeds."""
    peak_bytes: int | None = None
    """Most memory the process or the accelerator held while tuning, of all seeds."""
    parameters: int | None = None
    """Numbers that were trained."""
    bytes: int | None = None
    """Size of the patch on disk, the mean over seeds."""
    patches: tuple[str, ...] = ()
    """Ids of the patches behind the number, one a seed."""


class StudyCard(Record):
    """What a study says of itself (``card.json``)."""

    id: str
    """Content name, ``study-<12 hexadecimal digits>``."""
    model: str
    """Expression of the base."""
    model_digest: str
    """Digest of its weights."""
    corpus: str
    """Id of the training corpus."""
    corpus_digest: str
    """Digest of the training data."""
    rows: int
    """Numbers in ``data.parquet``, each a ``StudyRow``."""
    config: dict[str, Any]
    """What was compared, on what, and how."""
    enough: dict[str, float] = Field(default_factory=dict)
    """Least share of the data that is not worse than all of it, by method, granularity and suite,
    where several were tried."""
    files: dict[str, str]
    """SHA-256 by relative path of every other file of the folder."""
    seconds: float = 0.0
    """Wall seconds of the command that wrote it."""


class ScreenedRow(Record):
    """What guards said of one sample; each row holds the digest of the one before."""

    number: int
    """Place of the sample in its file or corpus, counted from 0."""
    sample: str
    """Id of the sample."""
    text: str
    """SHA-256 of the sample as it was read."""
    tokens: int = 0
    """Answer tokens that were read; 0 where there was nothing to score."""
    off: float | None = None
    """Mean loss of one of them without any guard, in nats."""
    ratios: tuple[float, ...] = ()
    """log(loss off / loss on) of each guard, in the card's order."""
    flagged: bool = False
    """Whether one of them lies above its guard's threshold."""
    prev: str = ""
    """``seal`` of the row before; 64 zeros in the first."""
    seal: str = ""
    """SHA-256 of the canonical JSON of this row without this field."""


class DriftBlock(Record):
    """One block of samples, in their order, against all others."""

    number: int
    """Which block, counted from 0."""
    n: int
    """Samples in it that were scored."""
    flagged: int
    """Those above a threshold."""
    low: float
    """Lower end of the 95 % interval of the flagged share."""
    high: float
    """Upper end."""
    median: float
    """Middle log-ratio."""
    p_share: float
    """p-value of the flagged share being that of the others (Fisher, two-sided), after Holm's
    correction over both tests of all blocks."""
    p_shift: float
    """Likewise, of the log-ratios being as high as those of the others (Mann-Whitney)."""
    drifts: bool
    """Whether one of the two is below 0.05."""


class WorstSample(Record):
    """One of the samples that guards say most of, with what each of its tokens adds."""

    number: int
    """Place of the sample."""
    sample: str
    """Its id."""
    guard: str
    """Id of the guard whose log-ratio is the largest."""
    ratio: float
    """That log-ratio, in nats."""
    flagged: bool
    """Whether it lies above the threshold."""
    text: str
    """The text, or the part of it around the token that adds most."""
    cut: bool = False
    """Whether it is a part."""
    tokens: tuple[tuple[int, int, float], ...]
    """First character, the one after the last, and what the token adds to the log-ratio."""


class ScreeningCard(Record):
    """What a screening of data says of itself (``card.json``)."""

    id: str
    """Content name, ``screening-<12 hexadecimal digits>``."""
    model: str
    """Expression of the model that the guards belong to."""
    model_digest: str
    """Digest of its base's weights."""
    guards: tuple[str, ...]
    """Ids of the guards."""
    data: str
    """Name of the file, or id of the corpus."""
    data_digest: str
    """SHA-256 of the file, or digest of the corpus's rows."""
    rows: int
    """Samples, each a ``ScreenedRow`` of ``data.parquet``."""
    scored: int
    """Samples with something to score."""
    flagged: int
    """Samples with a log-ratio above its guard's threshold."""
    low: float
    """Lower end of the 95 % interval of the flagged share among the scored."""
    high: float
    """Upper end."""
    fpr: float
    """Most that clean samples are flagged, by calibration."""
    thresholds: tuple[float, ...]
    """Threshold of each guard, as a log-ratio."""
    calibrated: str
    """What the thresholds come from: ``guards``, or name and digest of a file of clean samples."""
    separation: dict[str, Estimate] = Field(default_factory=dict)
    """AUROC of each guard: its held-out bad samples against the clean samples given, or against
    its own."""
    blocks: tuple[DriftBlock, ...] = ()
    """Blocks of samples in their order, compared with the rest."""
    block_rows: int = 0
    """Samples of a block."""
    head: str
    """``seal`` of the last row."""
    config: dict[str, Any] = Field(default_factory=dict)
    """How samples were laid out."""
    files: dict[str, str]
    """SHA-256 by relative path of every other file of the folder."""
    seconds: float = 0.0
    """Wall seconds it took."""


class LedgerEntry(Record):
    """One line of the ledger; each entry holds the digest of the one before."""

    seq: int
    """Counts from 0."""
    prev: str
    """Digest of the previous line's bytes; 64 zeros for the first."""
    time: str
    """UTC, ISO 8601 with seconds."""
    actor: str
    """Who ran the verb (user name at host)."""
    verb: str
    """What was done."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Names and digests of what went in."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """Names and digests of what came out."""
    note: str = ""
    """Free text: a decision, a reason, a warning."""
