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
