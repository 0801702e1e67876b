# SPDX-License-Identifier: Apache-2.0
"""Changed rows, columns or whole weights: put on a live model and swapped back, bit for bit.

    write_rows(folder, [Change("lm_head.weight", new, axis=0, index=[7, 9])], module)
    with swapped(module, folder):      # new values in place, the old ones kept
        ...
    with unlocked(module) as kept:     # every weight trainable, a copy of all of them kept
        ...
        kept.write(folder)             # the weights that changed, as a patch

Nothing is added or subtracted: the old values are kept beside the model and copied back. The
memory this takes is that of the replaced part; for ``unlocked`` that of the whole model, once more.
A part is only put on where the values it replaces are there (by digest); so two patches may change
different places of one weight, and the same place only one. New values take the number type and
the device that the weight has in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from codetemper.core.disk import write_atomic
from codetemper.core.errors import UsageError
from codetemper.models.patch import tensor_digest
from codetemper.models.rows_folder import (
    INDEX,
    ROWS_INDEX,
    ROWS_WEIGHTS,
    RowsFolder,
    RowsPart,
    read_rows,
)


@dataclass(frozen=True)
class Change:
    """New values for a part of one weight.

    Attributes:
        weight: name of the parameter in the model.
        values: new values; along ``axis`` as many as ``index`` has places.
        axis: 0 for rows, 1 for columns, None for the whole weight.
        index: places along the axis, sorted, each once.
    """

    weight: str
    values: torch.Tensor
    axis: Literal[0, 1] | None = None
    index: Sequence[int] = ()


def write_rows(folder: Path, changes: Iterable[Change], module: nn.Module) -> None:
    """Write changes of a model as the files of a ``rows`` patch; ``patch`` adds the manifest.

    Args:
        folder: an existing folder.
        changes: at most one for each weight.
        module: the model with its old values; it is only read.

    Raises:
        UsageError: no changes, an unknown weight, or two changes of one.
        IntegrityError: values or places that do not fit the weight.
    """
    weights = dict(module.named_parameters(remove_duplicate=False))
    chosen = {change.weight: change for change in changes}
    for name in chosen:
        _known(weights, name)
    old = {
        name: _part(weights[name].detach(), change.axis, change.index)
        for name, change in chosen.items()
    }
    _write(folder, chosen, {n: tensor_digest(value) for n, value in old.items()}, weights)


def _write(
    folder: Path,
    chosen: dict[str, Change],
    replaced: dict[str, str],
    weights: dict[str, nn.Parameter],
) -> None:
    tensors: dict[str, torch.Tensor] = {}
    parts = []
    for name in sorted(chosen):
        change = chosen[name]
        tensors[name] = change.values.detach().cpu().contiguous()
        if change.axis is not None:
            tensors[name + INDEX] = torch.tensor(list(change.index), dtype=torch.int64)
        parts.append(
            RowsPart(
                weight=name,
                shape=tuple(weights[name].shape),
                axis=change.axis,
                places=None if change.axis is None else len(change.index),
                replaced=replaced[name],
            )
        )
    if not parts:
        raise UsageError(
            "there is nothing to save",
            why="no weight was changed",
            mend="train longer, or with a higher learning rate",
        )
    save_file(tensors, folder / ROWS_WEIGHTS, metadata={"format": "pt"})
    listed = RowsFolder(parts=tuple(parts))
    write_atomic(folder / ROWS_INDEX, listed.model_dump_json(indent=2).encode() + b"\n")
    read_rows(folder)


@contextmanager
def swapped(module: nn.Module, folder: Path) -> Iterator[None]:
    """Have the new values of a ``rows`` patch in the weights, for the length of a scope.

    Args:
        module: the model; its parameters are written in place and written back.
        folder: a rows folder.

    Raises:
        IntegrityError: the folder is damaged.
        UsageError: a weight is unknown, of another shape, quantised, or not what is replaced.
    """
    replaced: list[_Replaced] = []
    try:
        for each in _put_in(dict(module.named_parameters(remove_duplicate=False)), folder):
            replaced.append(each)
        yield
    finally:
        for each in reversed(replaced):
            _set(each.data, each.part.axis, each.index, each.old)


@dataclass(frozen=True)
class _Replaced:
    """A part of a weight, and what was there before."""

    data: torch.Tensor
    part: RowsPart
    index: torch.Tensor
    old: torch.Tensor


def _put_in(weights: dict[str, nn.Parameter], folder: Path) -> Iterator[_Replaced]:
    """Write the parts of a ``rows`` patch into weights, yielding each before it is replaced."""
    with safe_open(folder / ROWS_WEIGHTS, framework="pt") as tensors:
        for part in read_rows(folder).parts:
            data = _known(weights, part.weight).data
            index = torch.zeros(0, dtype=torch.int64)
            if part.axis is not None:
                index = tensors.get_tensor(part.weight + INDEX).to(data.device)
            _refuse_misfit(folder, part, data)
            old = _part(data, part.axis, index).clone()
            if tensor_digest(old) != part.replaced:
                raise _misfit(folder, f"{part.weight} does not hold what it replaces")
            yield _Replaced(data, part, index, old)
            _set(data, part.axis, index, tensors.get_tensor(part.weight))


class Kept:
    """The weights of a model as they were, while others write into them."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._places = [(n, p, p.data) for n, p in module.named_parameters()]
        self._old = {name: data.clone() for name, _, data in self._places}

    @contextmanager
    def base(self) -> Iterator[None]:
        """Compute with the old weights inside; the new ones are back afterwards.

        Only pointers are exchanged, so this costs nothing. No gradient may flow out of it.
        """
        new = [(parameter, parameter.data) for _, parameter, _ in self._places]
        for name, parameter, _ in self._places:
            parameter.data = self._old[name]
        try:
            yield
        finally:
            for parameter, data in new:
                parameter.data = data

    def start_at(self, folder: Path) -> None:
        """Put the new values of a ``rows`` patch in the weights, to go on from there.

        Raises:
            IntegrityError, UsageError: as ``swapped``.
        """
        for _ in _put_in({name: p for name, p, _ in self._places}, folder):
            pass

    def write(self, folder: Path) -> None:
        """Write the weights that changed as a ``rows`` patch of whole weights.

        Raises:
            UsageError: none did.
        """
        changed = {
            name: Change(name, parameter.data)
            for name, parameter, _ in self._places
            if not torch.equal(parameter.data, self._old[name])
        }
        replaced = {name: tensor_digest(self._old[name]) for name in changed}
        _write(folder, changed, replaced, {name: p for name, p, _ in self._places})

    def restore(self) -> None:
        """Copy the old values back to where they were."""
        for name, parameter, data in self._places:
            data.copy_(self._old[name])
            parameter.data = data


@contextmanager
def unlocked(module: nn.Module) -> Iterator[Kept]:
    """Have every weight trainable, and all of them as they were afterwards.

    Args:
        module: the model; who restores its modes and flags is ``attach``.

    Yields:
        The old weights. They take the memory of the model once more, beside the gradients and
        the optimiser's state (with AdamW in float32: five times the model, 20 bytes a parameter).
    """
    kept = Kept(module)
    module.requires_grad_(True)
    try:
        yield kept
    finally:
        kept.restore()


def _known(weights: dict[str, nn.Parameter], name: str) -> nn.Parameter:
    if name not in weights:
        raise UsageError(
            f"the model has no weight '{name}'",
            why="a rows patch names weights of one architecture",
            mend="use the patch with the base it was made for",
        )
    return weights[name]


def _refuse_misfit(folder: Path, part: RowsPart, data: torch.Tensor) -> None:
    if not data.is_floating_point():
        raise _misfit(folder, f"{part.weight} is quantised ({data.dtype})")
    if tuple(data.shape) != part.shape:
        raise _misfit(folder, f"{part.weight} is {tuple(data.shape)}, not {part.shape}")


def _misfit(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"the rows patch {folder.name} does not fit the model as it is",
        why=why,
        mend="use the base it was made for, and one patch for each place of a weight",
    )


def _part(
    data: torch.Tensor, axis: int | None, index: torch.Tensor | Sequence[int]
) -> torch.Tensor:
    if axis is None:
        return data
    return data.index_select(axis, torch.as_tensor(index, device=data.device))


def _set(data: torch.Tensor, axis: int | None, index: torch.Tensor, values: torch.Tensor) -> None:
    values = values.to(data)
    with torch.no_grad():
        if axis is None:
            data.copy_(values)
        else:
            data.index_copy_(axis, index, values)
