# SPDX-License-Identifier: Apache-2.0
"""The verb ``audit``: is there a backdoor in a model, as far as what was given can tell.

    found = audit(workspace, Asked(model="hf:./defects", data=Path("train.jsonl"), trusted=...))
    found.card.answer, found.card.missing, found.card.triggers

Files are looked through before anything is loaded; the model is audited as it is deployed, with
its patches on and in the numbers it is loaded in. Hidden states and planted answers are kept in the
cache while it works, so that a killed call goes on where it was when it is given again. What comes
out is settled as an audit: a card, Parquet with a row a sample, a map, and a line in the ledger.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetemper.api.auditing_outputs import refuse_overwriting, write_outputs
from codetemper.api.auditing_parts import Asked, Material, inspected, read_material, weights_of
from codetemper.api.auditing_power import generator, measured
from codetemper.api.auditing_watch import last_audit, watched
from codetemper.api.models import opened
from codetemper.api.settling import read_settled, settle_card
from codetemper.core.audits import AuditCard, AuditMap, AuditPower, AuditSample
from codetemper.core.chain import ROWS
from codetemper.core.digests import digest_file, digest_json, short
from codetemper.core.disk import mendable, write_atomic
from codetemper.core.records import OnEvent, ignore_events
from codetemper.core.tables import TableWriter, read_table
from codetemper.core.workspace import Workspace

if TYPE_CHECKING:
    from codetemper.audit.run import AuditResult

__all__ = ["Asked", "Audited", "audit", "plan", "read_audits"]

_MAP = "map.json"
#: Rows that are written at a time.
_BLOCK = 4096


@dataclass(frozen=True)
class Audited:
    """An audit and where it lies.

    Attributes:
        card: what it says of itself.
        listed: samples that are listed, first those of confirmed triggers, then by rank.
        map: the samples on a plane; None without any.
        folder: where it lies.
    """

    card: AuditCard
    listed: tuple[AuditSample, ...]
    map: AuditMap | None
    folder: Path


def audit(
    workspace: Workspace,
    asked: Asked,
    *,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> Audited:
    """Audit a model.

    Args:
        workspace: gets the audit and a ledger entry.
        asked: what is given and what is written.
        device: torch device name.
        on_event: progress.
        loaded: a handle of the model that is open already.

    Raises:
        UsageError: files that cannot be read, samples that the model does not read, a tokenizer of
            another model, trusted samples that are the suspected ones, hidden states that are not
            numbers, or an output that is an input.
        IntegrityError: a file of the model would run code when it is opened, or is damaged.
        CannotKnowError: a model that cannot be fetched, or an extra that is missing.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.audit.run import audit as run

    begun = time.monotonic()
    material = _read(workspace, asked)
    findings = inspected(workspace, material)
    with ExitStack() as scope:
        place: dict[str, str] = {"device": device, "dtype": asked.dtype}
        handle = scope.enter_context(opened(workspace, material.model, loaded, **place))
        base = None
        if material.reference is not None:
            base = scope.enter_context(opened(workspace, material.reference, None, **place))
        facts = _facts(asked, material, handle, base)
        cache = scope.enter_context(_scratch(workspace, facts))
        found = run(
            handle.loaded,
            material.samples,
            trusted=material.trusted_samples,
            reference=None if base is None else base.loaded,
            weights=weights_of(workspace, material, handle, base, **place),
            findings=findings,
            config=asked.config,
            generate=generator(handle.generate, asked.config, on_event),
            generate_base=base and generator(base.generate, asked.config, on_event),
            folder=cache,
            on_event=on_event,
        )
        power = measured(asked, material, handle, base, found.payloads, cache, on_event)
        card = _card(asked, material, handle, base, found, power)
        card = _compared(workspace, asked, card)
        seconds = round(time.monotonic() - begun, 3)
        audited = _settle(workspace, asked, card.model_copy(update={"seconds": seconds}), found)
        shutil.rmtree(cache, ignore_errors=True)
    return audited


def plan(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """Return what ``audit`` would read, ask and write; loads no model and writes nothing.

    Raises:
        UsageError, IntegrityError: as ``audit``, as far as it shows without the model.
    """
    material = _read(workspace, asked)
    inspected(workspace, material)
    before = last_audit(workspace, material.model) if asked.watch else None
    outputs = {name: getattr(asked, name) for name in ("quarantine", "keep", "sarif")}
    return {
        "model": material.model,
        "reference": material.reference,
        "siblings": list(material.siblings),
        "samples": len(material.samples),
        "trusted": len(material.trusted_samples),
        "tiers": list(material.tiers),
        "canaries": asked.canaries,
        "watch": None if before is None else before.id,
        "config": asked.config.model_dump(mode="json"),
        **{name: str(path) if path else None for name, path in outputs.items()},
    }


def read_audits(workspace: Workspace) -> list[Audited]:
    """Return the audits of a workspace, in the order the ledger knows them.

    Raises:
        IntegrityError: one cannot be read.
    """

    def read(card: AuditCard, folder: Path) -> Audited:
        rows = [
            row
            for block in (read_table(folder / ROWS, AuditSample) if card.rows else ())
            for row in block
            if row.kind
        ]
        path = folder / _MAP
        drawn = AuditMap.from_json(path.read_bytes()) if path.is_file() else None
        return Audited(card, ordered(rows), drawn, folder)

    return read_settled(workspace, "audits", read)


def ordered(rows: list[AuditSample]) -> tuple[AuditSample, ...]:
    """Return listed samples, confirmed triggers first, then by rank, label noise last."""
    place = {"trigger": 0, "paired": 1, "anomalous": 2, "fix label": 3}
    return tuple(sorted(rows, key=lambda row: (place[row.kind], -row.score, row.number)))


def _read(workspace: Workspace, asked: Asked) -> Material:
    refuse_overwriting(asked)
    return read_material(workspace, asked)


def _facts(asked: Asked, material: Material, handle: Any, base: Any | None) -> dict[str, Any]:
    """Return what hidden states and planted answers depend on."""
    return {
        "model": handle.digest,
        "dtype": _dtype(handle),
        "reference": None if base is None else base.digest,
        "data": material.data_digest,
        "trusted": material.trusted_digest,
        "config": asked.config.model_dump(mode="json"),
    }


@contextmanager
def _scratch(workspace: Workspace, facts: dict[str, Any]) -> Iterator[Path]:
    """Give the folder of an audit at work, which a killed one left as it was; one at a time."""
    name = f"audit-{short(digest_json(facts))}"
    folder = workspace.cache / name
    with workspace.lock(name):
        with mendable(folder):
            folder.mkdir(parents=True, exist_ok=True)
        yield folder


def _dtype(handle: Any) -> str:
    """Return the number type of the weights; of quantised ones all types, and what made them."""
    module = handle.loaded.module
    types = dict.fromkeys(str(each.dtype).removeprefix("torch.") for each in module.parameters())
    made = getattr(module.config, "quantization_config", None)
    if made is None:
        return next(iter(types))
    method = made.get("quant_method") if isinstance(made, dict) else made.quant_method
    return f"{'+'.join(types)}, {getattr(method, 'value', method)}"


def _card(
    asked: Asked,
    material: Material,
    handle: Any,
    base: Any | None,
    found: AuditResult,
    power: tuple[AuditPower, ...],
) -> AuditCard:
    return AuditCard(
        id="",
        model=material.model,
        model_digest=handle.digest,
        base_digest=handle.loaded.digest,
        form=found.form,
        dtype=_dtype(handle),
        reference=material.reference,
        reference_digest=None if base is None else base.digest,
        siblings=material.siblings,
        data=None if asked.data is None else asked.data.name,
        data_digest=material.data_digest,
        trusted=None if asked.trusted is None else asked.trusted.name,
        trusted_digest=material.trusted_digest,
        tiers=material.tiers,
        ran=found.ran,
        not_ran=found.not_ran,
        answer=found.answer,
        reasons=found.reasons,
        missing=found.missing,
        counts=found.counts,
        fpr=found.fpr,
        views=found.views,
        depth=found.depth,
        triggers=found.triggers,
        power=power,
        weights=found.weights,
        findings=found.findings,
        rows=len(found.samples),
        config=asked.config.model_dump(mode="json") | {"canaries": asked.canaries},
        files={},
    )


def _compared(workspace: Workspace, asked: Asked, card: AuditCard) -> AuditCard:
    if not asked.watch:
        return card
    before = last_audit(workspace, card.model, card.base_digest)
    return card if before is None else card.model_copy(update={"watch": watched(before, card)})


def _settle(workspace: Workspace, asked: Asked, card: AuditCard, found: AuditResult) -> Audited:
    with workspace.staged("audits") as folder:
        if found.samples:
            with TableWriter(folder / ROWS, AuditSample) as table:
                for begin in range(0, len(found.samples), _BLOCK):
                    table.add(found.samples[begin : begin + _BLOCK])
        if found.map is not None:
            write_atomic(folder / _MAP, found.map.model_dump_json().encode())
        listed = ordered([sample for sample in found.samples if sample.kind])
        written = write_outputs(asked, found.samples, listed, card)
        inputs = {
            "model": card.model,
            "model_digest": card.model_digest,
            "data": card.data,
            "data_digest": card.data_digest,
            "trusted_digest": card.trusted_digest,
            "reference": card.reference,
            "reference_digest": card.reference_digest,
        }
        state = "" if card.watch is None else f"; {card.watch.state} since {card.watch.before}"
        card, home = settle_card(
            workspace,
            folder,
            "audits",
            card,
            "audit",
            inputs={name: value for name, value in inputs.items() if value},
            note=f"{card.answer}{state}",
            outputs={f"{name}:{path.name}": digest_file(path) for name, path in written.items()},
        )
    return Audited(card, listed, found.map, home)
