# SPDX-License-Identifier: Apache-2.0
"""A PEFT adapter from elsewhere, before it is believed: what is taken, refused and doubted.

    found = take_adapter(folder, staged)      # two files copied, then looked through
    found.doubts(parse("hf:./my-model"))      # what its word about its base leaves open

Taken are ``adapter_config.json`` and ``adapter_model.safetensors``, byte for byte; other files of
the folder are neither opened nor copied. Whether names and shapes are those of a model is not
known here (``attach.refuse_misfit``), and whether the adapter does harm not at all: that is what
``audit`` is for.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig
from safetensors import safe_open

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.expression import Expression
from codetemper.models.forms import read_forms
from codetemper.models.patch import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    PICKLE_ENDINGS,
    adapter_config,
)
from codetemper.models.safety import inspect_files

#: Libraries that peft's ``auto_mapping`` may name; what else it names would be imported elsewhere.
_LIBRARIES = ("transformers", "peft")


@dataclass(frozen=True)
class ForeignAdapter:
    """What an adapter says of itself.

    Attributes:
        form: its ``peft_type``.
        base: what it says that it was trained on; None where it says nothing.
        revision: of that base.
        left_out: files of the folder that were not taken.
    """

    form: str
    base: str | None
    revision: str | None
    left_out: tuple[str, ...]

    def doubts(self, model: Expression) -> list[str]:
        """Return what speaks against the model as its base, by name. A name is no proof.

        Args:
            model: what it is to be put on.
        """
        if self.base is None:
            return ["the adapter does not say what it was trained on; its names and shapes fit"]
        revision = None if self.revision == "main" else self.revision
        said = f"{self.base}@{revision}" if revision else self.base
        own = f"{model.base}@{model.revision}" if model.revision else model.base
        same = self.base in (model.base, str(model.bare)) or _one_folder(self.base, model.base)
        if same and revision in (None, model.revision):
            return []
        return [
            f"the adapter says that it was trained on {said}, not on {own}; its names and shapes "
            "fit, which models of one family have in common"
        ]


def take_adapter(folder: Path, target: Path) -> ForeignAdapter:
    """Copy the two files of a PEFT adapter and look through the copies; no code of it is run.

    Args:
        folder: what peft's ``save_pretrained`` wrote, somewhere.
        target: an existing, empty folder.

    Raises:
        UsageError: no PEFT folder, weights as a pickle (not opened), a form or a setting that is
            not known to come off exactly, or code that a loader would run.
        IntegrityError: a file is not what it says.
    """
    pickles = sorted(
        path.name
        for path in folder.glob(f"{Path(ADAPTER_WEIGHTS).stem}*")
        if path.suffix.lower() in PICKLE_ENDINGS
    )
    if pickles:
        raise UsageError(
            f"{folder / pickles[0]} is not opened",
            why="it is a pickle: opening one runs whatever is in it",
            mend=f"save the adapter as {ADAPTER_WEIGHTS} on a machine you can lose "
            "(PeftModel.from_pretrained(BASE, FOLDER).save_pretrained(NEW)), and give that folder",
        )
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} is not a PEFT adapter",
                why=f"there is no {name} in it" if folder.is_dir() else "there is no such folder",
                mend="give the folder that peft's save_pretrained wrote",
            )
        shutil.copyfile(folder / name, target / name)
    _refuse_findings(folder, target)
    config = adapter_config(target)
    _refuse_libraries(folder, config)
    (form,) = read_forms([target], [folder.name], trainable=None).values()
    _refuse_sizes(folder, target, form)
    taken = {ADAPTER_CONFIG, ADAPTER_WEIGHTS}
    return ForeignAdapter(
        form=str(config["peft_type"]),
        base=_word(config.get("base_model_name_or_path")),
        revision=_word(config.get("revision")),
        left_out=tuple(sorted(path.name for path in folder.iterdir() if path.name not in taken)),
    )


def _refuse_findings(folder: Path, target: Path) -> None:
    for finding in inspect_files(target):
        kind = UsageError if finding.severity == "warning" else IntegrityError
        raise kind(
            f"{folder / (finding.path or '')} is not used",
            why=finding.message,
            mend="fetch the adapter again; where it is meant to be so, do not use it",
        )


def _refuse_libraries(folder: Path, config: dict[str, Any]) -> None:
    mapping = config.get("auto_mapping") or {}
    library = str(mapping.get("parent_library") if isinstance(mapping, dict) else mapping)
    if mapping and library.partition(".")[0] not in _LIBRARIES:
        raise UsageError(
            f"{folder / ADAPTER_CONFIG} is not used",
            why=f"its auto_mapping names {library}, which a loader would import",
            mend="take auto_mapping out, where you know what it is",
        )


def _refuse_sizes(folder: Path, target: Path, form: PeftConfig) -> None:
    """Refuse ranks and lengths that no tensor has, before memory is taken for them."""
    if isinstance(form, LoraConfig):
        sizes = [form.r, *(form.rank_pattern or {}).values()]
    else:
        sizes = [getattr(form, "num_virtual_tokens", None) or 0]
    with safe_open(target / ADAPTER_WEIGHTS, framework="pt") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    longest = max((size for shape in shapes for size in shape), default=0)
    for size in sizes:
        if not isinstance(size, int) or size > longest:
            raise IntegrityError(
                f"{folder / ADAPTER_WEIGHTS} does not fit its configuration",
                why=f"{ADAPTER_CONFIG} says {size!r}, and no tensor is longer than {longest}",
                mend="fetch the adapter again",
            )


def _one_folder(name: str, base: str) -> bool:
    """Whether two names lead to one folder of this machine."""
    one, other = Path(name).expanduser(), Path(base).expanduser()
    return one.is_dir() and other.is_dir() and one.samefile(other)


def _word(value: Any) -> str | None:
    return str(value) if value else None
