# SPDX-License-Identifier: Apache-2.0
"""The forms of adapter that come off exactly, what stacks, and what is refused and why.

    configs = read_forms(folders, ids, trainable=None)     # checked, frozen ones without dropout
    fill(wrapped, name, folder)                            # tensors into the wrapper

LoRA stacks with LoRA (a sum) and IA3 with IA3 (a product; the order does not matter in either).
LoRA does not stack with IA3: whether the factor also scales the other's addition would depend on
the order. Virtual tokens stand alone: they were learnt in front of the layers as they were, and
two sets would need an order. Changed weights (``rows``) are not adapters and go under any of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptTuningConfig,
    PromptTuningInit,
    set_peft_model_state_dict,
)
from peft.tuners.ia3 import IA3Layer
from safetensors.torch import load_file

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.owned import OwnedPeftModel
from codetemper.models.patch import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_config

#: Configuration class of each form that is known to come off exactly, by ``peft_type``.
FORMS: dict[str, type[PeftConfig]] = {
    "LORA": LoraConfig,
    "IA3": IA3Config,
    "PROMPT_TUNING": PromptTuningConfig,
    "PREFIX_TUNING": PrefixTuningConfig,
}
#: Settings of LoRA, beside those of any form, under which a patch is known to compute what peft
#: computes and to come off exactly. Others say how training starts, replicate layers or import
#: modules by name; they may stand in a configuration at their default.
_LORA = frozenset({
    "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "fan_in_fan_out",
    "bias", "init_lora_weights", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern",
    "layers_to_transform", "layers_pattern", "modules_to_save", "trainable_token_indices",
})  # fmt: skip
#: Name of the one tensor of prompt and prefix tuning in a PEFT folder.
_TABLE = "prompt_embeddings"


def read_forms(
    folders: Sequence[Path], ids: Sequence[str], *, trainable: str | None
) -> dict[str, PeftConfig]:
    """Read the configurations of adapters that are to be active together.

    Args:
        folders: PEFT folders.
        ids: name of each.
        trainable: the one to go on training; all others lose dropout and initialisation.

    Raises:
        UsageError: a form that does not come off exactly, or forms that do not stack.
    """
    configs = {name: _read(folder, name) for folder, name in zip(folders, ids, strict=True)}
    refuse_stack(configs)
    for name, config in configs.items():
        config.inference_mode = name != trainable
        if isinstance(config, LoraConfig) and name != trainable:
            # A frozen adapter with dropout is noise in train mode, and gradient leaks through it.
            config.lora_dropout = 0.0
        if isinstance(config, PromptTuningConfig):
            # The table is read from the folder: what it once started from does not matter.
            config.prompt_tuning_init = PromptTuningInit.RANDOM
        if name == trainable and getattr(config, "prefix_projection", False):
            raise _usage(
                f"patch {name} cannot be trained on",
                "its prefix came out of a projection that is not in the folder",
                "train a new one",
            )
    return configs


def _read(folder: Path, name: str) -> PeftConfig:
    kind = adapter_config(folder).get("peft_type")
    if kind not in FORMS:
        raise _usage(
            f"patch {name} cannot be attached",
            f"its type is {kind}; known to come off exactly are {', '.join(FORMS)}",
            "train it as one of these",
        )
    settings = _known(FORMS[kind], adapter_config(folder), name)
    try:
        config = FORMS[kind](**settings)
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        raise _usage(
            f"patch {name} cannot be attached",
            f"peft does not take its {ADAPTER_CONFIG}: {error}",
            "correct the file, or save the adapter again with a current peft",
        ) from error
    refuse_writers(config, name)
    return config


def _known(form: type[PeftConfig], config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings that this form has; refuse any that would compute something else.

    peft passes over settings that it does not know. One of a newer version would be lost so, and
    the model would answer differently from the one that was trained.
    """
    fields = {field.name: field for field in dataclasses.fields(form) if field.init}
    own = {field.name for field in dataclasses.fields(PeftConfig)}
    sure = own | _LORA if form is LoraConfig else fields.keys()
    for key, value in config.items():
        default = fields[key].default if key in fields else None
        if key not in sure and value and value != default:
            raise _usage(
                f"patch {name} cannot be attached",
                f"it is set to {key}={value!r}, which is not known to come off exactly",
                "train it without that setting",
            )
    return {key: value for key, value in config.items() if key in sure}


def refuse_stack(configs: dict[str, PeftConfig]) -> None:
    """Refuse adapters that cannot be active together; one alone always can.

    Raises:
        UsageError: see the top of this file.
    """
    if len(configs) < 2:
        return
    kinds = {name: str(config.peft_type.value) for name, config in configs.items()}
    alone = next((name for name, config in configs.items() if config.is_prompt_learning), None)
    if alone is not None:
        raise _usage(
            f"patch {alone} cannot be stacked",
            f"its virtual tokens ({kinds[alone]}) were learnt in front of the base as it is",
            "attach it alone",
        )
    if len(set(kinds.values())) > 1:
        raise _usage(
            f"patches {' and '.join(kinds)} cannot be stacked",
            "LoRA adds and IA3 multiplies, so what they give together depends on the order",
            "attach patches of one method together",
        )
    for name, config in configs.items():
        whole = [
            field
            for field in ("use_dora", "modules_to_save", "trainable_token_indices")
            if getattr(config, field, None)
        ]
        if whole:
            raise _usage(
                f"patch {name} cannot be stacked",
                f"it uses {', '.join(whole)}, which does not add up with others",
                "attach it alone",
            )


def refuse_writers(config: PeftConfig, name: str) -> None:
    """Refuse forms of LoRA that write into the base's own weights when they are set up.

    Raises:
        UsageError: biases are trained, or the start is a decomposition of the base's weights.
    """
    if not isinstance(config, LoraConfig):
        return
    if config.bias != "none" or config.init_lora_weights not in (True, False, "gaussian"):
        raise _usage(
            f"adapter {name} cannot be attached",
            f"bias='{config.bias}' with init_lora_weights={config.init_lora_weights!r} "
            "changes the weights of the base itself",
            "use bias='none' and init_lora_weights=True",
        )


def fill(wrapped: OwnedPeftModel, name: str, folder: Path) -> None:
    """Read an adapter's tensors into the wrapper that has its layers.

    Raises:
        IntegrityError: a tensor is missing, unknown or of another shape, or is one of the base.
        UsageError: an IA3 patch that scales inputs where one attached before scales outputs.
    """
    refuse_other_side(wrapped, name)
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    held = wrapped.state_dict()
    for key in sorted(tensors.keys() & held.keys()):
        # peft would write it into the base. Copies of its weights do no harm.
        if not torch.equal(tensors[key].to(held[key]), held[key]):
            raise _misfit(folder, f"{key} is a weight of the model itself, and another than it has")
    if wrapped.peft_config[name].is_prompt_learning:
        table = wrapped.prompt_encoder[name].embedding.weight
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        if shapes != {_TABLE: tuple(table.shape)}:
            raise _misfit(folder, f"it holds {shapes}, expected {_TABLE} {tuple(table.shape)}")
        with torch.no_grad():
            table.copy_(tensors[_TABLE])
        return
    try:
        result = set_peft_model_state_dict(wrapped, tensors, adapter_name=name)
    except RuntimeError as error:
        raise _misfit(folder, str(error).strip().splitlines()[-1].strip()) from error
    expected = {n for n, _ in wrapped.named_parameters() if f".{name}." in f"{n}."}
    lost = list(result.unexpected_keys) + sorted(expected & set(result.missing_keys))
    if lost:
        raise _misfit(folder, f"{len(lost)} tensors are missing or unknown, e.g. {lost[0]}")


def refuse_other_side(wrapped: OwnedPeftModel, name: str) -> None:
    """Refuse an IA3 adapter that scales inputs of a layer whose outputs another one scales.

    peft gives a layer one side for all its adapters and would apply the vector to the wrong one.

    Raises:
        UsageError: as said.
    """
    config = wrapped.peft_config[name]
    if not isinstance(config, IA3Config):
        return
    for path, layer in wrapped.base_model.model.named_modules():
        if isinstance(layer, IA3Layer) and name in layer.ia3_l:
            own = wrapped.base_model._check_target_module_feedforward(config, path)
            if own != layer.is_feedforward:
                raise _usage(
                    f"patch {name} cannot be stacked",
                    f"at {path} it scales the {'input' if own else 'output'}, and a patch "
                    "attached before it the other side",
                    "attach it alone",
                )


def _misfit(folder: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{folder / ADAPTER_WEIGHTS} does not fit its configuration",
        why=why,
        mend="make the patch again",
    )


def _usage(what: str, why: str, mend: str) -> UsageError:
    return UsageError(what, why=why, mend=mend)
