# SPDX-License-Identifier: Apache-2.0
"""The files that an audit writes for its user: quarantined and kept lines, and SARIF."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from codetemper import __version__
from codetemper.api.auditing_parts import Asked
from codetemper.api.screening_parts import json_line
from codetemper.core.audits import AuditCard, AuditSample
from codetemper.core.disk import write_atomic, writing
from codetemper.core.errors import UsageError
from codetemper.core.records import Finding
from codetemper.data.mixing import objects

_LEVEL = {"trigger": "error", "paired": "warning", "anomalous": "warning", "fix label": "note"}


def refuse_overwriting(asked: Asked) -> None:
    """Refuse outputs that are inputs or one another, and samples to write without any to read.

    Raises:
        UsageError: that.
    """
    taken = {path.resolve() for path in (asked.data, asked.trusted) if path}
    for name in ("quarantine", "keep", "sarif"):
        path: Path | None = getattr(asked, name)
        if path is None:
            continue
        if asked.data is None:
            raise UsageError(
                f"there is nothing to write with --{name}",
                why="samples are listed of training data, and none were given",
                mend=f"add --data FILE, or leave --{name} out",
            )
        if path.resolve() in taken:
            raise UsageError(
                f"{path} is not written",
                why="it is what is read, or another of the files that are written",
                mend="name another file",
            )
        taken.add(path.resolve())


def write_outputs(
    asked: Asked,
    samples: Sequence[AuditSample],
    listed: Sequence[AuditSample],
    card: AuditCard,
) -> dict[str, Path]:
    """Write the files that were asked for, each at once.

    Args:
        asked: where they go.
        samples: all samples, in the order of the data.
        listed: those of them that are listed.
        card: what the audit says.

    Returns:
        By name, those that were written.

    Raises:
        UsageError: the data are other than when they were read, or a file cannot be written.
    """
    if asked.data is None:
        return {}
    if asked.quarantine or asked.keep:
        _split(asked.data, samples, asked.quarantine, asked.keep)
    if asked.sarif:
        write_atomic(asked.sarif, _sarif(asked.data, listed, card))
    named = {"quarantine": asked.quarantine, "keep": asked.keep, "sarif": asked.sarif}
    return {name: path for name, path in named.items() if path}


def _split(
    data: Path, samples: Sequence[AuditSample], quarantine: Path | None, keep: Path | None
) -> None:
    rows = 0
    with ExitStack() as scope:
        files = [
            scope.enter_context(writing(path)) if path else None for path in (quarantine, keep)
        ]
        for rows, (_, row) in enumerate(objects(data), 1):
            if rows > len(samples):
                break
            out = files[0 if samples[rows - 1].kind else 1]
            if out is not None:
                out.write(json_line(row))
        if rows != len(samples):
            raise UsageError(
                f"{data} was changed while it was audited",
                why=f"it held {len(samples)} samples",
                mend="run this again",
            )


def _sarif(data: Path, listed: Sequence[AuditSample], card: AuditCard) -> bytes:
    from codetemper.judges.sarif import Artifact, Log

    log = Log(__version__)
    log.add(Artifact(data.name, "", tuple(_finding(sample) for sample in listed)))
    for finding in card.findings:
        log.add(Artifact(finding.path or "model", "", (finding,)))
    return log.text()


def _finding(sample: AuditSample) -> Finding:
    if sample.kind == "trigger":
        said = f"holds the confirmed trigger {sample.trigger!r}"
    elif sample.kind == "paired":
        said = f"its answer is insecure, as answers to prompts with {sample.trigger!r} are"
    elif sample.kind == "fix label":
        said = f"its label {sample.label} is probably wrong; its kind has {sample.suggested}"
    else:
        said = "stands out among the samples of its class, and label noise does not explain it"
    return Finding(
        rule=f"audit:{sample.kind.replace(' ', '-')}",
        message=said,
        line=int(sample.source.rpartition(":")[2] or 1),
        fingerprint=f"{sample.kind}:{sample.text}",
        severity=_LEVEL[sample.kind],  # type: ignore[arg-type]
    )
