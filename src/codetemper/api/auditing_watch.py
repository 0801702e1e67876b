# SPDX-License-Identifier: Apache-2.0
"""An audit against the last one of the same model: nothing new, drift, or an alarm."""

from __future__ import annotations

from codetemper.api.settling import read_settled
from codetemper.core.audits import AuditCard, AuditWatch
from codetemper.core.workspace import Workspace
from codetemper.models.expression import parse

#: p-value below which a share of samples is another than it was.
LEVEL = 0.01
#: Kinds of samples that no label noise explains.
_ODD = ("anomalous", "paired", "trigger")


def last_audit(workspace: Workspace, model: str, base_digest: str = "") -> AuditCard | None:
    """Return the newest audit of a model's base in the ledger, with whatever patches.

    Args:
        workspace: where to look.
        model: full expression of the model.
        base_digest: of its base's weights, where they are loaded: a model that was moved is known
            by them.

    Raises:
        IntegrityError: an audit cannot be read.
    """
    bare = parse(model).bare
    cards = {
        card.id: card
        for card in read_settled(workspace, "audits", lambda card, _: card)
        if parse(card.model).bare == bare or (base_digest and card.base_digest == base_digest)
    }
    # The same audit made twice has one folder; the ledger's last line of it counts.
    named = [
        output.removeprefix("audit:")
        for entry in workspace.ledger.entries()
        for output in entry.outputs
        if output.startswith("audit:")
    ]
    return next((cards[id] for id in reversed(named) if id in cards), None)


def watched(before: AuditCard, now: AuditCard) -> AuditWatch:
    """Say what is new in an audit.

    An *alarm* is what a backdoor would do: a trigger that was not confirmed before, an answer that
    became suspicious, or more samples that nothing explains. *Drift* is every other change: of the
    model, of the data, of how many labels look wrong. A share counts as changed where Fisher's
    exact test says so at 1 %.
    """
    alarms: list[str] = []
    drifts: list[str] = []
    known = {trigger.text for trigger in before.triggers if trigger.confirmed}
    for trigger in now.triggers:
        if trigger.confirmed and trigger.text not in known:
            alarms.append(f"{trigger.text!r} is confirmed and was not before")
    if now.verdict == "suspect" and before.verdict != "suspect":
        alarms.append(f"the answer was {before.answer!r} and is {now.answer!r}")
    listed = _share(before, now, *_ODD)
    if listed < LEVEL and _rate(now, *_ODD) > _rate(before, *_ODD):
        alarms.append(f"more samples stand out unexplained (p = {listed:.2g})")
    elif listed < LEVEL:
        drifts.append(f"fewer samples stand out unexplained (p = {listed:.2g})")
    noisy = _share(before, now, "fix label")
    if noisy < LEVEL:
        drifts.append(f"another share of the labels looks wrong (p = {noisy:.2g})")
    drifts += [
        f"{said} changed"
        for said, old, new in (
            ("the weights", before.base_digest, now.base_digest),
            ("the patches", parse(before.model).patches, parse(now.model).patches),
            ("the number type", before.dtype, now.dtype),
            ("the data", before.data_digest, now.data_digest),
            ("the trusted samples", before.trusted_digest, now.trusted_digest),
            ("the answer", before.answer, now.answer),
        )
        if old != new and not (said == "the answer" and alarms)
    ]
    return AuditWatch(
        before=before.id,
        answer_before=before.answer,
        state="alarm" if alarms else "drift" if drifts else "same",
        reasons=(*alarms, *drifts),
        p=listed,
    )


def _rate(card: AuditCard, *kinds: str) -> float:
    return sum(card.counts.get(kind, 0) for kind in kinds) / max(card.rows, 1)


def _share(before: AuditCard, now: AuditCard, *kinds: str) -> float:
    """Return the p-value of a share of the samples being what it was."""
    from scipy.stats import fisher_exact

    if not before.rows or not now.rows:
        return 1.0
    table = []
    for card in (before, now):
        inside = sum(card.counts.get(kind, 0) for kind in kinds)
        table.append([inside, card.rows - inside])
    return float(fisher_exact(table).pvalue)
