# SPDX-License-Identifier: Apache-2.0
"""The PEFT model whose activation only this package changes; ``attach`` hands it out.

LoRA and IA3 sit in the layers of the base and are switched by peft's tuners; prompt and prefix
tuning stand in front of the text and are switched by ``virtual``. Whichever it is, the wrapper
computes with text columns only, and the base can be asked through it: ``disable_adapter``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from peft import PeftConfig, PeftModel, PeftModelForCausalLM
from torch import nn

from codetemper.core.errors import UsageError
from codetemper.models.snapshot import Snapshot
from codetemper.models.virtual import VirtualTokens

#: What is trainable where not an adapter is: the weights of the base under them.
WEIGHTS = "*"


class OwnedPeftModel(PeftModelForCausalLM):  # type: ignore[misc]
    """A PEFT model whose activation only its owner changes.

    Trained is one adapter, or the weights under the adapters (``WEIGHTS``), or nothing.

    Differences to peft's own class, each a trap that is closed:

    * activating adapters makes them trainable in peft; here only the one named as trainable is;
    * leaving ``disable_adapter`` unfreezes all active adapters in peft; here nothing changes;
    * ``train()`` switches on the dropout of frozen adapters; here they are loaded without any;
    * ``save_pretrained`` writes all adapters; here the trainable one, unless others are named;
    * ``merge_*`` write into the base; here they are refused, as is adding adapters from outside;
    * virtual tokens change the columns of logits, and peft drops the positions of prompt tuning
      and puts padding between virtual tokens and text; here columns are those of the text, and a
      row computes what it computes alone (see ``virtual``).
    """

    def __init__(self, module: nn.Module, config: PeftConfig, name: str) -> None:
        self._trainable: str | None = None
        self._active: list[str] = [name]
        self._frozen_base = Snapshot(module)
        self._virtual: VirtualTokens | None = None
        # Not the constructor in between: it asks for what only a model that writes text has.
        PeftModel.__init__(self, module, config, adapter_name=name)
        self.base_model_prepare_inputs_for_generation = getattr(
            module, "prepare_inputs_for_generation", None
        )
        if config.is_prompt_learning:
            self._virtual = VirtualTokens(module, config.peft_type.value)

    @property
    def trainable_adapter(self) -> str | None:
        """Name of the adapter that gets gradients, None where all are frozen."""
        return self._trainable

    @property
    def active_names(self) -> tuple[str, ...]:
        """Names of the adapters that are active, in order."""
        return tuple(self._active)

    def activate(self, names: Sequence[str], trainable: str | None = None) -> None:
        """Make exactly these adapters active, and exactly one or none of them trainable.

        Args:
            names: of adapters; none at all computes as the weights under them.
            trainable: one of the names, or ``WEIGHTS``.
        """
        self._trainable, self._active = trainable, list(names)
        if self._virtual is None:
            # peft's own set_adapter takes one name only; the tuner's takes several.
            self.base_model.set_adapter(list(names), inference_mode=trainable is None)
        else:
            table = self.prompt_encoder[names[0]].embedding.weight if names else None
            self._virtual.use(table)
        # Whose configuration peft asks: one that there is, also where none is active.
        asked = [name for name in (trainable, *names) if name in self.peft_config]
        if asked:
            self.active_adapter = asked[0]
        self.refreeze()

    def refreeze(self) -> None:
        """Give gradients to the trainable adapter, or the weights, and to nothing else."""
        mark = f".{self._trainable}."
        for name, parameter in self.named_parameters():
            if self._frozen_base.knows(parameter):
                parameter.requires_grad_(self._trainable == WEIGHTS)
            else:
                parameter.requires_grad_(self._trainable is not None and mark in f".{name}.")

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Compute as the base model inside; afterwards active and frozen is what was."""
        if self._virtual is None:
            self.base_model.disable_adapter_layers()
        else:
            self._virtual.use(None)
        try:
            yield
        finally:
            if self._virtual is None:
                self.base_model.enable_adapter_layers()
            self.activate(self._active, self._trainable)

    @contextmanager
    def only(self, *names: str) -> Iterator[None]:
        """Have only these adapters active inside, for instance to evaluate without a guard."""
        active, trainable = self._active, self._trainable
        modes = {part: part.training for part in self.modules()}
        self.activate(names, trainable if trainable in (*names, WEIGHTS) else None)
        try:
            yield
        finally:
            self.activate(active, trainable)
            for part, mode in modes.items():
                part.training = mode

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute as ``model.module`` does inside the scope."""
        if self._virtual is None:
            return super().forward(*args, **kwargs)
        return self.base_model(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Generate with transformers' own loop; ``backends.generation`` is the project's."""
        if self._virtual is None:
            return super().generate(*args, **kwargs)
        return self.base_model.generate(*args, **kwargs)

    def set_adapter(self, adapter_name: str, inference_mode: bool = False) -> None:
        """Activate one adapter without making it trainable by the way."""
        self.activate([adapter_name], None if inference_mode else self._trainable)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Save the trainable adapter only, unless ``selected_adapters`` names others.

        Raises:
            UsageError: what is trained are the weights under the adapters.
        """
        if kwargs.get("selected_adapters") is None and self._trainable is not None:
            if self._trainable == WEIGHTS:
                raise UsageError(
                    "frozen adapters are not saved",
                    why="what is trained are the weights under them",
                    mend="write the weights that changed: Kept.write",
                )
            kwargs["selected_adapters"] = [self._trainable]
        super().save_pretrained(save_directory, *args, **kwargs)

    def merge_and_unload(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: a merge writes every active adapter, guards included, into the base."""
        raise _never_merged()

    def merge_adapter(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused, as ``merge_and_unload`` is."""
        raise _never_merged()

    def add_adapter(self, adapter_name: str, peft_config: Any, *args: Any, **kwargs: Any) -> None:
        """Add an adapter that is neither active nor trainable until ``activate`` says so.

        Raises:
            UsageError: a second set of virtual tokens.
        """
        if not self._is_prompt_learning:
            active, trainable = self._active, self._trainable
            super().add_adapter(adapter_name, peft_config, *args, **kwargs)
            self.activate(active, trainable)
        elif self._virtual is None:  # called by the constructor
            super().add_adapter(adapter_name, peft_config, *args, **kwargs)
        else:
            raise UsageError(
                f"'{adapter_name}' cannot be added",
                why="one set of virtual tokens stands in front of the text already",
                mend="attach one patch of prompt or prefix tuning at a time",
            )


def _never_merged() -> UsageError:
    return UsageError(
        "patches are never merged into the weights of a live model",
        why="a merge cannot be undone exactly, and it would bake in every active patch",
        mend="export the patch, and merge the export with plain peft",
    )
