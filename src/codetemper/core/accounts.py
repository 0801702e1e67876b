# SPDX-License-Identifier: Apache-2.0
"""The records that a workspace keeps of what was made: manifests, cards, lines of the ledger.

Forms only; ``workspace`` and ``ledger`` write and verify them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from codetemper.core.records import Record


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
