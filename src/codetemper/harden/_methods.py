# SPDX-License-Identifier: Apache-2.0
"""What is trained: the methods of tuning, put on a model for a trainer and taken off exactly.

    with trainable(model, config) as training:   # config.method: lora, ia3, prompt, ...
        train(training.module)                   # parameters with requires_grad are the method's
        with training.as_base():                 # the untuned model, for a divergence to it
            ...
        training.save(folder)
    # here: the base, bit for bit, also after an exception

Whatever the method, the module speaks of text only: a row of logits for each text token, labels
and masks of the text. This file decides what is trained and how it starts; layers are peft's,
the exact return is ``models.attach``'s, and the loop, losses and data are the trainer's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from peft import IA3Config, LoraConfig, PeftConfig, PrefixTuningConfig, PromptTuningConfig
from torch import nn
from transformers.pytorch_utils import Conv1D

from codetemper.core.errors import UsageError
from codetemper.harden._quantised import quantised
from codetemper.models.attach import (
    OwnedPeftModel,
    save_trained,
    training_adapter,
    training_weights,
)
from codetemper.models.forms import fill
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import adapter_config, load_manifest, verify_patch
from codetemper.models.rows import Kept
from codetemper.models.targets import ia3_targets, matching
from codetemper.models.virtual import first_prefix

#: Name of the adapter that is trained, inside the wrapper.
TASK = "task"

Method = Literal["lora", "qlora", "ia3", "prompt", "prefix", "full"]


@dataclass(frozen=True)
class MethodCard:
    """A method in one glance.

    Attributes:
        summary: what is trained.
        paper: arXiv id of the work it follows.
        patch: kind of patch it makes.
        learning_rate: peak to start from with AdamW; the methods differ by orders of magnitude.
        memory: what it takes beside the weights and the activations.
        packs: whether several texts may share a row.
        checkpoints: whether gradient checkpointing works.
    """

    summary: str
    paper: str
    patch: Literal["adapter", "rows"]
    learning_rate: float
    memory: str
    packs: bool = True
    checkpoints: bool = True


METHODS: dict[Method, MethodCard] = {
    "lora": MethodCard(
        "two thin matrices beside each linear layer",
        "2106.09685",
        "adapter",
        5e-4,
        "gradients and optimiser state of about 1 % of the parameters",
    ),
    "qlora": MethodCard(
        "LoRA on a base that is held in 4 bits while it is trained",
        "2305.14314",
        "adapter",
        5e-4,
        "as lora; the base takes a quarter of bfloat16, its numbers wait in host memory",
    ),
    "ia3": MethodCard(
        "a factor for each key, value and inner number of the feed-forward layers",
        "2205.05638",
        "adapter",
        5e-3,
        "gradients and optimiser state of about 0.01 % of the parameters",
    ),
    "prompt": MethodCard(
        "embeddings of virtual tokens in front of the text",
        "2104.08691",
        "adapter",
        1e-2,
        "next to nothing; virtual tokens take columns of the window",
        packs=False,
    ),
    "prefix": MethodCard(
        "keys and values of virtual tokens in front of the text, in every layer",
        "2101.00190",
        "adapter",
        5e-3,
        "gradients and optimiser state of about 0.1 % of the parameters",
        packs=False,
        checkpoints=False,
    ),
    "full": MethodCard(
        "every weight",
        "2408.09078",
        "rows",
        2e-5,
        "four times the weights: gradients, two states of AdamW, and the old weights to go back to",
    ),
}


class MethodConfig(Protocol):
    """What is read of a configuration."""

    @property
    def method(self) -> Method:
        """A name in ``METHODS``."""

    @property
    def rank(self) -> int:
        """Rank of LoRA."""

    @property
    def alpha(self) -> int:
        """Scale of LoRA: alpha / rank."""

    @property
    def dropout(self) -> float:
        """Dropout on LoRA's input."""

    @property
    def target_modules(self) -> tuple[str, ...] | str:
        """Ends of names of the layers to adapt; any text means the method's own choice."""

    @property
    def virtual_tokens(self) -> int:
        """Length of the prompt or prefix."""


@dataclass(frozen=True)
class Training:
    """What a method put on a model, for the length of the scope of ``trainable``.

    Attributes:
        module: for a trainer: an ``OwnedPeftModel``, for ``full`` without frozen adapters the
            model itself. What has ``requires_grad`` is what is trained.
        save: writes what was trained into an existing, empty folder: a plain PEFT folder, for
            ``full`` the files of a rows patch, or a ``UsageError`` where no weight changed.
            ``models.patch.save_patch`` makes a patch of it.
        guards: names of the frozen adapters that are never in use: those of train-only patches.
        under: names of the other frozen adapters, which what is trained goes on top of.
        kept: the old weights, for ``full``.
    """

    module: nn.Module
    save: Callable[[Path], None]
    guards: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    kept: Kept | None = None

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    @contextmanager
    def as_base(self, *, guarded: bool = False) -> Iterator[None]:
        """Compute as what is tuned did before, without gradient; guards are off, or all on."""
        with ExitStack() as scope:
            if self.kept is not None:
                scope.enter_context(self.kept.base())
            scope.enter_context(self._only((*self.under, *(self.guards if guarded else ()))))
            scope.enter_context(torch.no_grad())
            yield

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Compute as what is used afterwards: what is trained is on, guards are off."""
        with self._only(self.shipped) if self.guards else nullcontext():
            yield

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Compute with all guards on."""
        with self._only((*self.shipped, *self.guards)) if self.guards else nullcontext():
            yield

    def start_at(self, folder: Path) -> None:
        """Have what is trained be what an earlier training by the same method made.

        Args:
            folder: its patch folder; what comes of training on replaces that patch.

        Raises:
            UsageError: what is trained here has another form, or another base.
            IntegrityError: the folder is damaged.
        """
        manifest = verify_patch(folder)
        if self.kept is not None and manifest.kind == "rows":
            self.kept.start_at(folder)
            return
        if self.kept is None and manifest.kind == "adapter":
            held, own = (
                [found.get(field) for field in ("peft_type", "r", "lora_alpha")]
                for found in (adapter_config(folder), self.module.peft_config[TASK].to_dict())
            )
            if held == own:
                fill(self.module, TASK, folder)
                return
        raise UsageError(
            f"training cannot start at patch {manifest.id}",
            why="it was made by another method, or with another rank or alpha",
            mend="keep method, rank and alpha from round to round",
        )

    @property
    def shipped(self) -> tuple[str, ...]:
        """Names of the adapters that are on in use."""
        own = isinstance(self.module, OwnedPeftModel) and self.kept is None
        return (*self.under, TASK) if own else self.under

    def _only(self, names: Sequence[str]) -> AbstractContextManager[None]:
        module = self.module
        return module.only(*names) if isinstance(module, OwnedPeftModel) else nullcontext()


@contextmanager
def trainable(model: LoadedModel, config: MethodConfig, *frozen: Path) -> Iterator[Training]:
    """Put what a method trains on a model; take it off when the scope ends.

    Args:
        model: the base. For ``full`` its weights are held a second time, on its device, until
            the scope ends (float32: 4 bytes a parameter; see ``METHODS['full'].memory``).
        config: method and its settings. New parameters start from torch's global generator.
        frozen: patch folders that are active while training and get no gradient: guards, and
            what the new patch goes on top of.

    Yields:
        The module to train and how to ask its base; valid inside the scope only.

    Raises:
        UsageError: layers that the model does not have, frozen patches that do not stack, an
            architecture that the method does not fit.
        CannotKnowError: ``qlora`` where bitsandbytes does not work.
        IntegrityError: something wrote into frozen weights.
    """
    manifests = [load_manifest(folder) for folder in frozen]
    adapters = [manifest for manifest in manifests if manifest.kind == "adapter"]
    names: dict[str, Any] = {
        "guards": tuple(m.id for m in adapters if m.purpose == "train-only"),
        "under": tuple(m.id for m in adapters if m.purpose != "train-only"),
    }
    if config.method == "full":
        with training_weights(model, *frozen) as (module, kept):
            yield Training(module, kept.write, **names, kept=kept)
        return
    start = _start(model, config)
    with ExitStack() as scope:
        added = training_adapter(model, peft_config(model, config), *frozen, name=TASK)
        wrapped = scope.enter_context(added)
        if config.method == "qlora":
            scope.enter_context(quantised(wrapped))
        if start is not None:
            with torch.no_grad():
                wrapped.prompt_encoder[TASK].embedding.weight.copy_(start)
        save = partial(save_trained, wrapped, base=model.expression)
        yield Training(wrapped, save, **names)


def peft_config(model: LoadedModel, config: MethodConfig) -> PeftConfig:
    """Return the PEFT configuration of a method on a model.

    Raises:
        UsageError: as ``trainable``.
    """
    common: dict[str, Any] = {"task_type": "CAUSAL_LM"}
    named = None if isinstance(config.target_modules, str) else config.target_modules
    if config.method in ("lora", "qlora"):
        if named is not None:
            matching(model.module, named)
        return LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            target_modules="all-linear" if named is None else list(named),
            bias="none",
            **common,
        )
    if config.method == "ia3":
        targets, feedforward = ia3_targets(model.module, named)
        return IA3Config(
            target_modules=list(targets),
            feedforward_modules=list(feedforward),
            fan_in_fan_out=any(isinstance(part, Conv1D) for part in model.module.modules()),
            **common,
        )
    if config.method == "prompt":
        return PromptTuningConfig(num_virtual_tokens=config.virtual_tokens, **common)
    if config.method == "prefix":
        return PrefixTuningConfig(num_virtual_tokens=config.virtual_tokens, **common)
    raise UsageError(
        f"there is no adapter for the method '{config.method}'",
        why=f"the methods are {', '.join(METHODS)}",
        mend="-o method=lora",
    )


@torch.no_grad()
def _start(model: LoadedModel, config: MethodConfig) -> torch.Tensor | None:
    """What virtual tokens start from: random words of the vocabulary, as the model sees them."""
    if config.method not in ("prompt", "prefix"):
        return None
    embedding = model.module.get_input_embeddings()  # type: ignore[operator]
    words = torch.randint(embedding.num_embeddings, (config.virtual_tokens,))
    if config.method == "prefix":
        return first_prefix(model.module, words.tolist())
    return embedding(words.to(model.device)).float()
