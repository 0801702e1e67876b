# SPDX-License-Identifier: Apache-2.0
"""The one wrapper that owns adapter activation: patches go on as a scope and come off exactly.

    with attached(model, folder):                   # patches on, everything frozen
        generate(model.module)
    with training_adapter(model, LoraConfig(...), guard) as wrapped:   # new adapter, guard frozen
        SFTTrainer(wrapped, ...).train()             # never hand the trainer a peft_config
        save_trained(wrapped, folder, base="seedling")
    # here: the module as it was, bit for bit, also after an exception

Active patches are summed. They are never merged into the weights: adding and subtracting a delta
does not give the old numbers back. Calls of peft that unfreeze, merge or save the wrong adapter
(each is named below) are closed on the ``OwnedPeftModel`` that is handed out. What a scope cannot
undo, because the values of the weights are not copied, is writing into them; that is found by
digest when the scope ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from peft import (
    LoraConfig,
    PeftModelForCausalLM,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from torch import nn

from codetemper.core.accounts import PatchManifest
from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    adapter_config,
    verify_patch,
    weights_digest,
)
from codetemper.models.snapshot import Snapshot


class OwnedPeftModel(PeftModelForCausalLM):  # type: ignore[misc]
    """A PEFT model whose activation only this file changes.

    Differences to peft's own class, each a trap that is closed:

    * activating adapters makes them trainable in peft; here only the one named as trainable is;
    * leaving ``disable_adapter`` unfreezes all active adapters in peft; here nothing changes;
    * ``train()`` switches on the dropout of frozen adapters; here they are loaded without any;
    * ``save_pretrained`` writes all adapters; here the trainable one, unless others are named;
    * ``merge_*`` write into the base; here they are refused, as is adding adapters from outside.
    """

    def __init__(self, module: nn.Module, config: LoraConfig, name: str) -> None:
        self._trainable: str | None = None
        self._frozen_base = Snapshot(module)
        super().__init__(module, config, adapter_name=name)

    @property
    def trainable_adapter(self) -> str | None:
        """Name of the adapter that gets gradients, None where all are frozen."""
        return self._trainable

    def activate(self, names: Sequence[str], trainable: str | None = None) -> None:
        """Make exactly these adapters active, and exactly one or none of them trainable."""
        self._trainable = trainable
        # peft's own set_adapter takes one name only; the tuner's takes several.
        self.base_model.set_adapter(list(names), inference_mode=trainable is None)
        self.active_adapter = trainable or names[0]
        self.refreeze()

    def refreeze(self) -> None:
        """Give gradients to the trainable adapter and to nothing else."""
        mark = f".{self._trainable}."
        for name, parameter in self.named_parameters():
            own = not self._frozen_base.knows(parameter) and mark in f".{name}."
            parameter.requires_grad_(own and self._trainable is not None)

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Compute as the base model inside; afterwards active and frozen is what was."""
        active = list(self.base_model.active_adapters)
        self.base_model.disable_adapter_layers()
        try:
            yield
        finally:
            self.base_model.enable_adapter_layers()
            self.activate(active, self._trainable)

    @contextmanager
    def only(self, *names: str) -> Iterator[None]:
        """Have only these adapters active inside, for instance to evaluate without a guard."""
        active, trainable = list(self.base_model.active_adapters), self._trainable
        modes = {part: part.training for part in self.modules()}
        self.activate(names, trainable if trainable in names else None)
        try:
            yield
        finally:
            self.activate(active, trainable)
            for part, mode in modes.items():
                part.training = mode

    def set_adapter(self, adapter_name: str, inference_mode: bool = False) -> None:
        """Activate one adapter without making it trainable by the way."""
        self.activate([adapter_name], None if inference_mode else self._trainable)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Save the trainable adapter only, unless ``selected_adapters`` names others."""
        if kwargs.get("selected_adapters") is None and self._trainable is not None:
            kwargs["selected_adapters"] = [self._trainable]
        super().save_pretrained(save_directory, *args, **kwargs)

    def merge_and_unload(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: a merge writes every active adapter, guards included, into the base."""
        raise _never_merged()

    def merge_adapter(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused, as ``merge_and_unload`` is."""
        raise _never_merged()

    def add_adapter(self, adapter_name: str, peft_config: Any, *args: Any, **kwargs: Any) -> None:
        """Add an adapter that is neither active nor trainable until ``activate`` says so."""
        active, trainable = list(self.base_model.active_adapters), self._trainable
        super().add_adapter(adapter_name, peft_config, *args, **kwargs)
        self.activate(active, trainable)


@contextmanager
def attached(
    model: LoadedModel, *folders: Path, trainable: str | None = None
) -> Iterator[OwnedPeftModel | nn.Module]:
    """Switch patches on for the length of a scope; ``model.module`` computes with them inside.

    Args:
        model: the base; its module is changed in place and put back.
        folders: patch folders, summed. None at all is allowed and attaches nothing.
        trainable: id of the patch to go on training; all others are frozen, and then
            ``train-only`` patches may be active too.

    Yields:
        The wrapper that owns the activation (the module itself where there are no patches).

    Raises:
        UsageError: a patch for another base, one attached twice, adapters that do not add up, or
            a train-only patch where nothing is trained.
        IntegrityError: a patch folder is not what its manifest says, or the weights of the base
            were written to inside the scope.
    """
    manifests = [_checked(model, folder, training=trainable is not None) for folder in folders]
    ids = [manifest.id for manifest in manifests]
    if len(set(ids)) != len(ids):
        raise _usage(
            "a patch is attached twice", f"the patches are {', '.join(ids)}", "name each once"
        )
    if trainable is not None and trainable not in ids:
        raise _usage(
            f"'{trainable}' cannot be trained", "it is not among the patches", "attach it as well"
        )
    with _restored(model):
        model.module.eval()
        if not folders:
            model.module.requires_grad_(False)
            yield model.module
            return
        configs = _configs(folders, ids, trainable)
        wrapped = OwnedPeftModel(model.module, configs[ids[0]], ids[0])
        for name in ids[1:]:
            wrapped.add_adapter(name, configs[name])
        for name, folder in zip(ids, folders, strict=True):
            _load(wrapped, name, folder)
        wrapped.activate(ids, trainable)
        wrapped.eval()
        yield wrapped


@contextmanager
def training_adapter(
    model: LoadedModel, config: LoraConfig, *frozen: Path, name: str = "task"
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
        UsageError, IntegrityError: as ``attached``.
    """
    _refuse_writers(config, name)
    manifests = [_checked(model, folder, training=True) for folder in frozen]
    with _restored(model):
        wrapped = OwnedPeftModel(model.module, config, name)
        ids = [manifest.id for manifest in manifests]
        configs = _configs(frozen, ids, None)
        for other, folder in zip(ids, frozen, strict=True):
            wrapped.add_adapter(other, configs[other])
            _load(wrapped, other, folder)
        wrapped.activate([*ids, name], name)
        yield wrapped


def save_trained(wrapped: OwnedPeftModel, folder: Path, *, base: str) -> None:
    """Write the trainable adapter, and only it, as a plain PEFT folder.

    Args:
        wrapped: what ``training_adapter`` handed out.
        folder: an existing, empty folder; it gets ``adapter_config.json`` and the tensors.
        base: name of the base for ``base_model_name_or_path`` (never a path of this machine).
    """
    name = wrapped.trainable_adapter
    if name is None:
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
    if manifest.kind != "adapter":
        raise _usage(
            f"patch {manifest.id} cannot be attached here",
            f"it is of kind '{manifest.kind}', and this attaches adapters",
            "attach it with the treatment that made it",
        )
    if manifest.purpose == "train-only" and not training:
        raise _usage(
            f"patch {manifest.id} is refused for inference",
            "it is train-only: it holds the behaviour that training is to be kept from",
            "use it while training, with 'tune --guard'",
        )
    return manifest


def _configs(
    folders: Sequence[Path], ids: Sequence[str], trainable: str | None
) -> dict[str, LoraConfig]:
    configs = {}
    for folder, name in zip(folders, ids, strict=True):
        kind = adapter_config(folder).get("peft_type")
        if kind != "LORA":
            raise _usage(
                f"patch {name} cannot be attached",
                f"its type is {kind}; only LoRA is known to come off exactly",
                "train it as LoRA",
            )
        config = LoraConfig.from_pretrained(str(folder))
        _refuse_writers(config, name)
        whole = [
            field
            for field in ("use_dora", "modules_to_save", "trainable_token_indices")
            if getattr(config, field)
        ]
        if whole and len(folders) > 1:
            raise _usage(
                f"patch {name} cannot be stacked",
                f"it uses {', '.join(whole)}, which does not add up with others",
                "attach it alone",
            )
        config.inference_mode = name != trainable
        if name != trainable:
            # A frozen adapter with dropout is noise in train mode, and gradient leaks through it.
            config.lora_dropout = 0.0
        configs[name] = config
    return configs


def _refuse_writers(config: LoraConfig, name: str) -> None:
    """Refuse forms of LoRA that write into the base's own weights when they are set up."""
    if config.bias != "none" or config.init_lora_weights not in (True, False, "gaussian"):
        raise _usage(
            f"adapter {name} cannot be attached",
            f"bias='{config.bias}' with init_lora_weights={config.init_lora_weights!r} "
            "changes the weights of the base itself",
            "use bias='none' and init_lora_weights=True",
        )


def _load(wrapped: OwnedPeftModel, name: str, folder: Path) -> None:
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    result = set_peft_model_state_dict(wrapped, tensors, adapter_name=name)
    expected = {n for n, _ in wrapped.named_parameters() if f".{name}." in n}
    lost = list(result.unexpected_keys) + sorted(expected & set(result.missing_keys))
    if lost:
        raise IntegrityError(
            f"{folder / ADAPTER_WEIGHTS} does not fit its configuration",
            why=f"{len(lost)} tensors are missing or unknown, e.g. {lost[0]}",
            mend="make the patch again",
        )


@contextmanager
def _restored(model: LoadedModel) -> Iterator[None]:
    """Put the module back when the scope ends, and prove it."""
    if any(isinstance(part, BaseTunerLayer) for part in model.module.modules()):
        raise _usage(
            f"{model.expression} has patches on already",
            "a scope with patches is still open around it",
            "name all patches in one scope",
        )
    snapshot = Snapshot(model.module)
    try:
        yield
    finally:
        snapshot.restore()
        if weights_digest(model.module) != model.digest:
            raise IntegrityError(
                f"the weights of {model.expression} in memory are not what they were",
                why="something wrote into them while patches were attached",
                mend="load the model again; its files are untouched",
            )


def _never_merged() -> UsageError:
    return _usage(
        "patches are never merged into the weights of a live model",
        "a merge cannot be undone exactly, and it would bake in every active patch",
        "export the patch, and merge the export with plain peft",
    )


def _usage(what: str, why: str, mend: str) -> UsageError:
    return UsageError(what, why=why, mend=mend)
