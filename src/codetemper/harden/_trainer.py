# SPDX-License-Identifier: Apache-2.0
"""transformers' ``Trainer`` for patches, and with the losses of ``_losses`` on fix pairs.

    trainer = PairTrainer(module, arguments, run)
    trainer.train(resume_from_checkpoint=newest_checkpoint(folder))

The loop, the optimiser, mixed precision, accumulation, several processes and checkpoints are the
library's. Replaced are: what is computed of a batch; what a sum is divided by, which is the number
of tokens of the whole step, over accumulated batches and over processes, so that neither changes
the gradient; what a checkpoint holds of the model (the trained tensors, by name, in safetensors);
and the evaluation, which is the same loss on held-out pairs or a score that the caller computes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError
from codetemper.core.records import OnEvent
from codetemper.data.examples import Example
from codetemper.harden._batches import Packer, logits_at
from codetemper.harden._losses import LossWeights, Targets, sums
from codetemper.harden._turns import Anchor, Turns, order
from codetemper.models.gates import Gates
from codetemper.models.training import Progress

_TENSORS = "trained.safetensors"
_ANCHOR = "anchor.safetensors"
#: Written last: a checkpoint that has it is whole. It says how long training took so far.
_SECONDS = "seconds"

Score = Callable[[nn.Module], float]
"""What early stopping asks of the model being trained: a number, higher is better."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What goes on beside the steps of a training.

    Attributes:
        checkpoint_seconds: time between checkpoints; None for none but the best's.
        begun: when training began, by the monotonic clock; where it goes on from a checkpoint,
            when it would have begun without the break.
        on_event: progress.
    """

    checkpoint_seconds: float | None
    begun: float
    on_event: OnEvent


@dataclass(frozen=True, kw_only=True)
class Run(Course):
    """What is trained on, and how a batch becomes a loss.

    Attributes:
        examples: what is learnt from.
        held_out: examples that the validation loss is taken on; empty where there is none.
        weights: of the terms of the loss.
        as_base: gives a scope in which the module computes as the base, adapters off.
        pack: whether several sequences share a row.
        score: a score to stop by instead of the validation loss.
        patience: evaluations without a better one after which training stops.
        gate: switches frozen adapters by token, as batches say; None where they are on for all.
        in_use: gives a scope in which the module computes as it does in use, guards off.
        turns: says which steps are on ``secure``; None where all are on ``examples``.
        secure: examples that have turns of their own.
    """

    examples: Sequence[Example]
    held_out: Sequence[Example]
    weights: LossWeights
    as_base: Callable[[], AbstractContextManager[None]]
    pack: bool
    score: Score | None
    patience: int
    gate: Gates | None = None
    in_use: Callable[[], AbstractContextManager[None]] = nullcontext
    turns: Turns | None = None
    secure: Sequence[Example] = ()


class KeepsTrained:
    """Has a ``Trainer`` write and read the tensors that are trained, and no others.

    Mixed into a trainer, in front of it; ``course`` is what it goes by.
    """

    course: Course

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        write_trained(self.accelerator.unwrap_model(self.model), folder / _TENSORS)

    def _load_from_checkpoint(self, checkpoint: str, model: nn.Module | None = None) -> None:
        module = self.accelerator.unwrap_model(model or self.model)
        read_trained(module, Path(checkpoint, _TENSORS))

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        Trainer._save_checkpoint(self, model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            folder = Path(self.args.output_dir, f"checkpoint-{self.state.global_step}")
            seconds = time.monotonic() - self.course.begun
            write_atomic(folder / _SECONDS, f"{seconds:.3f}\n".encode())


class PatchTrainer(KeepsTrained, Trainer, ABC):  # type: ignore[misc]
    """Trains the parameters of a module that have gradients, by sums and what to divide them by.

    Who inherits says in ``_terms`` what is computed of a batch, whose ``counts`` say how much each
    term sums over.
    """

    def __init__(
        self,
        module: nn.Module,
        arguments: TrainingArguments,
        course: Course,
        *watching: TrainerCallback,
        **given: Any,
    ) -> None:
        self.course = course
        super().__init__(
            model=module,
            args=arguments,
            callbacks=[OnlyTheTask(module), *watching, Pace(course)],
            **given,
        )
        # It would print to standard output, where a script expects one document.
        self.remove_callback(PrinterCallback)
        self.loss_is_scaled_for_ga = True

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """Return the loss of one batch, as its share of the step's."""
        terms = self._terms(model, inputs)
        whole = inputs["counts"] if num_items_in_batch is None else num_items_in_batch
        # Gradients are averaged over processes, and each has a part of the tokens only.
        loss = (terms / whole.clamp(min=1)).sum() * self.accelerator.num_processes
        return (loss, None) if return_outputs else loss

    @abstractmethod
    def _terms(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return what a batch contributes, summed; its ``counts`` say what each is divided by."""

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor | None:
        """Return what each term is divided by: what there is in the step, in all processes."""
        if not batch_samples:
            return None
        own = torch.stack([batch["counts"].to(device) for batch in batch_samples]).sum(0)
        return self.accelerator.gather(own[None]).sum(0)


class PairTrainer(PatchTrainer):
    """Trains on both sides of fix pairs."""

    def __init__(
        self,
        module: nn.Module,
        arguments: TrainingArguments,
        run: Run,
        *watching: TrainerCallback,
    ) -> None:
        self._run = run
        self._anchor: Anchor | None = None
        super().__init__(
            module,
            arguments,
            run,
            *watching,
            train_dataset=[*run.examples, *run.secure],
            # Of no use where a score is evaluated, but asked for.
            eval_dataset=run.held_out or run.examples,
            data_collator=Packer(run.weights, pack=run.pack),
        )
        if arguments.load_best_model_at_end:
            self.add_callback(EarlyStoppingCallback(run.patience))
        if run.turns is not None:
            self._anchor = Anchor(dict(_trained(module)), run.turns)
            self.add_callback(self._anchor)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        run, args = self._run, self.args
        if run.turns is None:
            return super()._get_train_sampler(train_dataset)
        return order(
            run.turns,
            own=len(run.examples),
            secure=len(run.secure),
            steps=args.max_steps,
            size=args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
            seed=args.data_seed,
        )

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Add a batch's gradients to those of the step, and to the last of them the anchor's."""
        loss = super().training_step(*args, **kwargs)
        if self._anchor is not None and self.accelerator.sync_gradients:
            self._anchor.pull()
        return loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if self._anchor is not None:
            self._anchor.write(Path(output_dir or self.args.output_dir, _ANCHOR))

    def _load_from_checkpoint(self, checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(checkpoint, model)
        if self._anchor is not None:
            self._anchor.read(Path(checkpoint, _ANCHOR))

    def _terms(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        run, base = self._run, None
        if run.weights.needs_base:
            module = self.accelerator.unwrap_model(model)
            modes = [(part, part.training) for part in module.modules()]
            # Before the model's own pass: leaving the scope sets gradients anew.
            with run.as_base():
                module.eval()
                base = logits_at(module, inputs)
            for part, mode in modes:
                part.training = mode
        if run.gate is not None:
            run.gate.set(inputs["gate"])
        logits = logits_at(model, inputs)
        targets = Targets(**{part.name: inputs[part.name] for part in fields(Targets)})
        return sums(logits, targets, run.weights, base)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return ``eval_score`` or ``eval_loss``, log it, and tell the callbacks.

        Guards are off: they would be spoken of, and not what is used afterwards.
        """
        module = self.accelerator.unwrap_model(self.model)
        module.eval()
        with self._run.in_use():
            metrics = {"eval_loss": self._held_out_loss()} if self._run.held_out else {}
            if self._run.score is not None:
                found = [self._run.score(module) if self.is_world_process_zero() else 0.0]
                metrics["eval_score"] = broadcast_object_list(found)[0]
        module.train()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    @torch.no_grad()
    def _held_out_loss(self) -> float:
        totals: list[torch.Tensor] = []
        counted: list[torch.Tensor] = []
        for batch in self.get_eval_dataloader():
            given = self._prepare_inputs(batch)
            with self.compute_loss_context_manager():
                totals.append(self._terms(self.model, given))
            counted.append(given["counts"])
        pair = torch.stack([torch.stack(totals).sum(0), torch.stack(counted).sum(0)])
        terms, whole = self.accelerator.gather(pair[None]).sum(0)
        return float((terms / whole.clamp(min=1)).sum())


def _trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]


def write_trained(module: nn.Module, path: Path) -> None:
    """Write what has gradients, by name, whole or not at all."""
    tensors = {name: p.detach().cpu().contiguous() for name, p in _trained(module)}
    beside = path.with_name(f".{path.name}")
    save_file(tensors, beside)
    beside.replace(path)


@torch.no_grad()
def read_trained(module: nn.Module, path: Path) -> None:
    """Copy what ``write_trained`` wrote into what has gradients."""
    tensors = load_file(path)
    for name, parameter in _trained(module):
        parameter.copy_(tensors[name])


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the last checkpoint in a folder that was written to its end; None without one."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{_SECONDS}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def seconds_until(checkpoint: Path) -> float:
    """Return how long training took up to a whole checkpoint, over all its goes."""
    return float((checkpoint / _SECONDS).read_text("ascii"))


class OnlyTheTask(TrainerCallback):  # type: ignore[misc]
    """Makes sure at every step that what was trainable at first is trained, and nothing else.

    Leaving peft's ``disable_adapter``, or activating several adapters, gives gradients to frozen
    ones (guards): no error follows, the guard only stops guarding.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._own = {id(parameter) for _, parameter in _trained(module)}

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Raise an ``IntegrityError`` before weights move by a gradient that should not be."""
        for name, parameter in self._module.named_parameters():
            own = id(parameter) in self._own
            if parameter.requires_grad != own or not (own or parameter.grad is None):
                raise _stray(name, state.global_step, own)
        groups = optimizer.param_groups if optimizer is not None else []
        if any(id(p) not in self._own for group in groups for p in group["params"]):
            raise _stray("a parameter of the optimiser", state.global_step, False)


def _stray(name: str, step: int, own: bool) -> IntegrityError:
    return IntegrityError(
        f"what is trained changed at step {step + 1}",
        why=f"{name} is frozen, and belongs to the task"
        if own
        else f"{name} has gradients, and does not belong to the task",
        mend="train without callbacks that switch adapters; nothing was kept",
    )


class Pace(Progress):
    """Passes progress on, and asks for a checkpoint from time to time."""

    def __init__(self, course: Course) -> None:
        super().__init__(course.on_event)
        self._course = course
        self._saved = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell of a step, and ask for what is due after it."""
        super().on_step_end(args, state, control, **kwargs)
        # Right after the loss was logged: its running sum is not part of a checkpoint.
        if control.should_log and state.global_step < state.max_steps and self._due(args):
            control.should_save = True
            self._saved = time.monotonic()

    def _due(self, args: TrainingArguments) -> bool:
        every = self._course.checkpoint_seconds
        due = [every is not None and time.monotonic() - self._saved >= every]
        if args.world_size > 1:
            # Clocks differ, and all processes write a checkpoint together.
            broadcast_object_list(due)
        return due[0]
