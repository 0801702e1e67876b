# SPDX-License-Identifier: Apache-2.0
"""What an audit is given: samples and models by name, files looked through, weights compared.

``api.auditing`` puts it together and writes to the workspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetemper.api.models import full_name, opened, patch_folders
from codetemper.audit import Config
from codetemper.core.audits import Tier
from codetemper.core.digests import digest_file
from codetemper.core.errors import IntegrityError
from codetemper.core.records import Finding
from codetemper.core.workspace import Workspace
from codetemper.data.labelled import Labelled, read_labelled
from codetemper.models.expression import parse

if TYPE_CHECKING:
    from codetemper.audit.weights import WeightsFound


@dataclass(frozen=True)
class Asked:
    """What an audit is given and what it writes.

    Attributes:
        model: expression of the model.
        data: file of what it was trained on, ``data.labelled``.
        trusted: file of samples known to be clean, likewise.
        reference: expression of the checkpoint it was trained from; None: the bare base of a
            patched model, and of others unknown.
        siblings: expressions of clean models of the same recipe.
        dtype: number type that it is deployed in, as ``api.models.load_model``.
        canaries: backdoors to plant and train, to tell what is found.
        watch: compare with the last audit of the same base.
        quarantine: gets the lines of the listed samples.
        keep: gets the other lines.
        sarif: gets the listed samples as SARIF.
        config: rules of the audit.
    """

    model: str
    data: Path | None = None
    trusted: Path | None = None
    reference: str | None = None
    siblings: tuple[str, ...] = ()
    dtype: str = "auto"
    canaries: int = 0
    watch: bool = False
    quarantine: Path | None = None
    keep: Path | None = None
    sarif: Path | None = None
    config: Config = field(default_factory=Config)


@dataclass(frozen=True)
class Material:
    """What an audit reads, read.

    Attributes:
        model: full expression.
        reference: likewise; None where it is not known.
        siblings: likewise.
        samples: of the data, in order; empty without data.
        data_digest: SHA-256 of their file.
        trusted_samples: likewise of the trusted.
        trusted_digest: SHA-256 of their file.
    """

    model: str
    reference: str | None
    siblings: tuple[str, ...]
    samples: Sequence[Labelled]
    data_digest: str | None
    trusted_samples: Sequence[Labelled]
    trusted_digest: str | None

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """What the audit was given."""
        given: dict[Tier, bool] = {
            "weights": True,
            "queries": True,
            "trusted": bool(self.trusted_samples),
            "data": bool(self.samples),
            "base": self.reference is not None,
        }
        return tuple(tier for tier, has in given.items() if has)


def read_material(workspace: Workspace, asked: Asked) -> Material:
    """Read samples and look names up; a patched model has its bare base for a reference.

    Raises:
        UsageError: as ``data.labelled.read_labelled``; a malformed expression, or no such patch.
    """
    model = full_name(workspace, asked.model)
    reference = None if asked.reference is None else full_name(workspace, asked.reference)
    if reference is None and parse(model).patches:
        reference = str(parse(model).bare)
    return Material(
        model=model,
        reference=reference,
        siblings=tuple(full_name(workspace, sibling) for sibling in asked.siblings),
        samples=read_labelled(asked.data) if asked.data else (),
        data_digest=digest_file(asked.data) if asked.data else None,
        trusted_samples=read_labelled(asked.trusted) if asked.trusted else (),
        trusted_digest=digest_file(asked.trusted) if asked.trusted else None,
    )


def inspected(workspace: Workspace, material: Material) -> tuple[Finding, ...]:
    """Look through the files of all models before any is loaded.

    Returns:
        What is odd about the files of the audited model.

    Raises:
        IntegrityError: opening a file would run code, or it is not what it says.
        CannotKnowError: a model that cannot be fetched.
    """
    from codetemper.backends.hf_load import find_folder
    from codetemper.models.safety import inspect_files

    others = [name for name in (material.reference, *material.siblings) if name]
    own: tuple[Finding, ...] = ()
    for name in (material.model, *others):
        expression = parse(name)
        folders = [find_folder(expression.bare), *patch_folders(workspace, name)]
        found = tuple(finding for folder in folders for finding in inspect_files(folder))
        bad = [finding for finding in found if finding.severity == "error"]
        if bad:
            raise IntegrityError(
                f"{name} is not opened",
                why=f"{bad[0].path}: {bad[0].message}"
                + (f"; and {len(bad) - 1} more files" if len(bad) > 1 else ""),
                mend="take these files, or what is said of a configuration, out where you know "
                "what it is; delete the folder where you do not",
            )
        own = own or found if name == material.model else own
    return own


def weights_of(
    workspace: Workspace,
    material: Material,
    handle: Any,
    base: Any | None,
    *,
    device: str,
    dtype: str,
) -> WeightsFound | None:
    """Compare the weights with those of siblings, which are loaded one after the other.

    Returns:
        What was found; None where there are no siblings to compare with.

    Raises:
        UsageError: siblings of another shape, or patches beside whole models.
    """
    from codetemper.audit.weights import compare, read, read_adapter

    if not material.siblings:
        return None
    if parse(material.model).patches:
        own = [read_adapter(folder) for folder in patch_folders(workspace, material.model)[-1:]]
        zoo = [
            read_adapter(folder)
            for sibling in material.siblings
            for folder in patch_folders(workspace, sibling)[-1:]
        ]
        return compare(own, zoo)
    reference = None if base is None else base.loaded.module
    own = [read(handle.loaded.module, reference)]
    readings = []
    for sibling in material.siblings:
        with opened(workspace, sibling, None, device=device, dtype=dtype) as other:
            readings.append(read(other.loaded.module, reference))
    return compare(own, readings)
