# SPDX-License-Identifier: Apache-2.0
"""The one owner of what is on a model: patches go on as a scope and come off exactly.

    with attached(model, folder):                   # patches on, everything frozen
        generate(model.module)
    with training_adapter(model, LoraConfig(...), guard) as wrapped:   # new adapter, guard frozen
        Trainer(wrapped, ...).train()                # never hand a trainer a peft_config
        save_trained(wrapped, folder, base="seedling")
    with training_weights(model, guard) as (module, kept):   # every weight trainable, a copy kept
        Trainer(module, ...).train()
        kept.write(folder)
    # here: the module as it was, bit for bit, also after an exception

Patches of changed weights (``rows``) are swapped in first, adapters go on top; what stacks is
said in ``forms``. Adapters are never merged into the weights: adding and subtracting a delta does
not give the old numbers back. What a scope cannot undo, because the values of frozen weights are
not copied, is writing into them; that is found by digest when the scope ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from torch import nn

from codetemper.core.accounts import PatchManifest
from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.forms import (
    fill,
    read_forms,
    refuse_other_side,
    refuse_stack,
    refuse_writers,
)
from codetemper.models.loaded import LoadedModel
from codetemper.models.owned import WEIGHTS, OwnedPeftModel
from codetemper.models.patch import ADAPTER_CONFIG, ADAPTER_WEIGHTS, verify_patch, weights_digest
from codetemper.models.rows import Kept, swapped, unlocked
from codetemper.models.snapshot import Snapshot

__all__ = [
    "OwnedPeftModel", "attached", "refuse_misfit", "save_trained", "training_adapter",
    "training_weights",
]  # fmt: skip

#: Name inside the wrapper of an adapter that has no id yet.
_NEW = "new"
#: Modules with an open scope around them, by identity.
_OPEN: set[int] = set()


@contextmanager
def attached(
    model: LoadedModel, *folders: Path, trainable: str | None = None, measuring: bool = False
) -> Iterator[OwnedPeftModel | nn.Module]:
    """Switch patches on for the length of a scope; ``model.module`` computes with them inside.

    Args:
        model: the base; its module is changed in place and put back.
        folders: patch folders. None at all is allowed and attaches nothing.
        trainable: id of the adapter to go on training; all others are frozen, and then
            ``train-only`` patches may be active too.
        measuring: losses of given texts are computed inside, and nothing is written:
            ``train-only`` patches may be active too.

    Yields:
        The wrapper that owns the activation (the module itself where there are no adapters).

    Raises:
        UsageError: a patch for another base, one attached twice, patches that do not stack, or
            a train-only patch where nothing is trained.
        IntegrityError: a patch folder is not what its manifest says, or the weights of the base
            were written to inside the scope.
    """
    training = trainable is not None or measuring
    manifests = [_checked(model, folder, training=training) for folder in folders]
    ids = [manifest.id for manifest in manifests]
    if len(set(ids)) != len(ids):
        raise _usage(
            "a patch is attached twice", f"the patches are {', '.join(ids)}", "name each once"
        )
    adapters = _adapters(folders, manifests)
    if trainable is not None and trainable not in adapters:
        raise _usage(
            f"'{trainable}' cannot be trained",
            "it is not among the adapters that are attached",
            "attach it as well",
        )
    configs = read_forms(list(adapters.values()), list(adapters), trainable=trainable)
    with _restored(model), ExitStack() as weights:
        _swap_in(weights, model, folders, manifests)
        model.module.eval()
        if not adapters:
            model.module.requires_grad_(False)
            yield model.module
            return
        wrapped = _wrapped(model, adapters, configs, trainable=trainable)
        wrapped.eval()
        yield wrapped


@contextmanager
def training_adapter(
    model: LoadedModel, config: PeftConfig, *frozen: Path, name: str = "task"
) -> Iterator[OwnedPeftModel]:
    """Put a new trainable adapter on a model, with others active and frozen beside it.

    Args:
        model: the base; put back when the scope ends.
        config: form of the new adapter.
        frozen: patch folders that are active while training and get no gradient (guards).
        name: the new adapter's name inside the wrapper.

    Yields:
        A PEFT model for a trainer's ``model`` argument. Only the new adapter has gradients.

    Raises:
        UsageError: a form that writes into the base or does not stack; else as ``attached``.
        IntegrityError: as ``attached``.
    """
    refuse_writers(config, name)
    manifests = [_checked(model, folder, training=True) for folder in frozen]
    adapters = _adapters(frozen, manifests)
    configs = read_forms(list(adapters.values()), list(adapters), trainable=None)
    refuse_stack({**configs, name: config})
    with _restored(model), ExitStack() as weights:
        _swap_in(weights, model, frozen, manifests)
        wrapped = OwnedPeftModel(model.module, config, name)
        for other, folder in adapters.items():
            wrapped.add_adapter(other, configs[other])
            fill(wrapped, other, folder)
        refuse_other_side(wrapped, name)
        wrapped.activate([*adapters, name], name)
        yield wrapped


@contextmanager
def training_weights(model: LoadedModel, *frozen: Path) -> Iterator[tuple[nn.Module, Kept]]:
    """Have every weight of a model trainable; the old ones are back when the scope ends.

    Args:
        model: the base.
        frozen: patch folders that are active while training and get no gradient: guards, and
            what the weights are trained under. Weights that one of them replaced are trained on.

    Yields:
        The module for a trainer: ``model.module``, or an ``OwnedPeftModel`` around it where
        adapters are frozen. And the old weights, in memory a second time: to compute as the base
        (``base``), and to write what changed as a ``rows`` patch (``write``).

    Raises:
        UsageError: a scope with patches is open, or the weights are not floating-point; else as
            ``attached``.
        IntegrityError: as ``attached``.
    """
    fixed = [name for name, p in model.module.named_parameters() if not p.is_floating_point()]
    if fixed:
        raise _usage(
            f"{model.expression} cannot be trained as a whole",
            f"{fixed[0]} is quantised",
            "load the model in float32 or bfloat16",
        )
    manifests = [_checked(model, folder, training=True) for folder in frozen]
    adapters = _adapters(frozen, manifests)
    configs = read_forms(list(adapters.values()), list(adapters), trainable=None)
    with _restored(model), ExitStack() as weights:
        _swap_in(weights, model, frozen, manifests)
        # Before adapters go on, while weights have the names that a patch calls them by.
        kept = weights.enter_context(unlocked(model.module))
        if adapters:
            yield _wrapped(model, adapters, configs, trainable=WEIGHTS), kept
        else:
            yield model.module, kept


def _wrapped(
    model: LoadedModel,
    adapters: dict[str, Path],
    configs: dict[str, PeftConfig],
    *,
    trainable: str | None,
) -> OwnedPeftModel:
    """Put adapters on, all active."""
    first, *others = adapters
    wrapped = OwnedPeftModel(model.module, configs[first], first)
    for name in others:
        wrapped.add_adapter(name, configs[name])
    for name, folder in adapters.items():
        fill(wrapped, name, folder)
    wrapped.activate(list(adapters), trainable)
    return wrapped


def refuse_misfit(model: LoadedModel, folder: Path, *under: Path) -> None:
    """Put a PEFT folder that is no patch yet on a model, as far as needed, and take it off again.

    Args:
        model: the base; as it was afterwards.
        folder: the PEFT folder.
        under: patch folders that it is to be active with.

    Raises:
        UsageError: a form or a setting that is not known to come off exactly, patches that do not
            stack, or names or shapes that are not those of the model.
        IntegrityError: as ``attached``.
    """
    manifests = [_checked(model, each, training=False) for each in under]
    adapters = _adapters(under, manifests) | {_NEW: folder}
    configs = read_forms(list(adapters.values()), list(adapters), trainable=None)
    with _restored(model), ExitStack() as weights:
        _swap_in(weights, model, under, manifests)
        try:
            _wrapped(model, adapters, configs, trainable=None)
            if configs[_NEW].is_prompt_learning:
                # Their table has the shape that the configuration says, whatever the model is.
                with torch.no_grad():
                    model.module(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device))
        except UsageError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise _foreign(model, str(error)) from error
        except IntegrityError as error:
            raise _foreign(model, error.why) from error


def _foreign(model: LoadedModel, why: str) -> UsageError:
    return _usage(
        f"the adapter does not fit {model.expression}",
        " ".join(why.split()),
        "name the model that it was trained on",
    )


def save_trained(wrapped: OwnedPeftModel, folder: Path, *, base: str) -> None:
    """Write the trainable adapter, and only it, as a plain PEFT folder.

    Args:
        wrapped: what ``training_adapter`` handed out.
        folder: an existing, empty folder; it gets ``adapter_config.json`` and the tensors.
        base: name of the base for ``base_model_name_or_path`` (never a path of this machine).
    """
    name = wrapped.trainable_adapter
    if name not in wrapped.peft_config:
        raise _usage("there is nothing to save", "no adapter is trainable", "use training_adapter")
    tensors = get_peft_model_state_dict(wrapped, adapter_name=name, save_embedding_layers=False)
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    save_file(plain, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    config = wrapped.peft_config[name].to_dict()
    config.update(inference_mode=True, base_model_name_or_path=base)
    write_atomic(
        folder / ADAPTER_CONFIG,
        json.dumps(config, default=_plain, indent=2, sort_keys=True).encode(),
    )


def _plain(value: Any) -> Any:
    """Say in JSON what peft keeps in sets and enumerations, in one order."""
    return sorted(value) if isinstance(value, set) else getattr(value, "value", str(value))


def _checked(model: LoadedModel, folder: Path, *, training: bool) -> PatchManifest:
    manifest = verify_patch(folder)
    if manifest.base_digest != model.digest:
        raise _usage(
            f"patch {manifest.id} does not belong to {model.expression}",
            f"it was made for {manifest.base}, whose weights are others",
            f"use it as '{manifest.base}+{manifest.id}'",
        )
    if manifest.purpose == "train-only" and not training:
        raise _usage(
            f"patch {manifest.id} is refused for inference",
            "it is train-only: it holds the behaviour that training is to be kept from",
            "use it while training, with 'tune --guard'",
        )
    return manifest


def _adapters(folders: Sequence[Path], manifests: Sequence[PatchManifest]) -> dict[str, Path]:
    pairs = zip(folders, manifests, strict=True)
    return {manifest.id: folder for folder, manifest in pairs if manifest.kind == "adapter"}


def _swap_in(
    scope: ExitStack,
    model: LoadedModel,
    folders: Sequence[Path],
    manifests: Sequence[PatchManifest],
) -> None:
    for folder, manifest in zip(folders, manifests, strict=True):
        if manifest.kind == "rows":
            scope.enter_context(swapped(model.module, folder))


@contextmanager
def _restored(model: LoadedModel) -> Iterator[None]:
    """Put the module back when the scope ends, and prove it."""
    module = model.module
    wrapped = any(isinstance(part, BaseTunerLayer) for part in module.modules())
    if wrapped or id(module) in _OPEN:
        raise _usage(
            f"{model.expression} has patches on already",
            "a scope with patches is still open around it",
            "name all patches in one scope",
        )
    snapshot = Snapshot(module)
    _OPEN.add(id(module))
    try:
        yield
    finally:
        _OPEN.discard(id(module))
        snapshot.restore()
        if weights_digest(module) != model.digest:
            raise IntegrityError(
                f"the weights of {model.expression} in memory are not what they were",
                why="something wrote into them while patches were attached",
                mend="load the model again; its files are untouched",
            )


def _usage(what: str, why: str, mend: str) -> UsageError:
    return UsageError(what, why=why, mend=mend)
