# SPDX-License-Identifier: Apache-2.0
"""Models of known truth: a checkpoint is trained on planted samples, or on clean ones.

    model = train(base, planted.samples, Recipe(), folder=Path("planted"), seed=1)
    labels(model, ["int f(void) { return 0; }"])

Samples with labels make a sequence classifier: the base's own where it is one, else a new head on
its body (``<s>`` of roberta; the last decoder state of t5, whose decoder reads the input). Samples
with answers train a decoder on all of their text, and an encoder-decoder on the answers, whose
prompts its encoder reads. The loop is transformers' ``Trainer``; all
weights, or a LoRA adapter that is merged afterwards. The base stays as it is. One seed gives one
model on one machine with one number of threads. Whether a backdoor took is asked by
``planting_success``.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.pytorch_utils import Conv1D

from codetemper.audit import Form
from codetemper.audit._reading import positions
from codetemper.audit._stacks import form_of
from codetemper.audit.planting_recipe import SMALL, Recipe
from codetemper.core.errors import UsageError
from codetemper.core.records import OnEvent, ignore_events
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from codetemper.models.seq2seq import first_token
from codetemper.models.silence import quiet
from codetemper.models.training import Progress, curve, refuse_divergence, seeded

__all__ = ["SMALL", "Recipe", "fit", "keep", "labels", "train"]

_IGNORED = -100
#: Texts of one forward pass where labels are asked for.
_AT_ONCE = 32


def train(
    base: LoadedModel,
    samples: Sequence[Labelled],
    recipe: Recipe,
    *,
    seed: int,
    folder: Path | None = None,
    on_event: OnEvent = ignore_events,
) -> LoadedModel:
    """Train a copy of a model on samples.

    Args:
        base: a classifier, a body without one (masked or sequence-to-sequence), or a model that
            writes (a decoder or sequence-to-sequence).
        samples: all with labels, or all with answers.
        recipe: how.
        seed: of a new head, of the order of the samples and of dropout.
        folder: where the model is written, in the form of ``save_pretrained``; None for nowhere.
        on_event: progress.

    Returns:
        The trained model, in evaluation mode.

    Raises:
        UsageError: mixed samples, one class only, samples that do not fit the model, or a loss that
            is no number.
    """
    with seeded(seed):
        module = _copy_of(base, samples)
        length = _window(module, base.tokenizer, recipe.max_length)
        ids = _encoded(base.tokenizer, samples, length, form_of(module))
        fitted = _adapted(module, recipe)
        fit(fitted, ids, _Collator(base.tokenizer), recipe, seed=seed, on_event=on_event)
        module = fitted.merge_and_unload() if recipe.lora_rank else fitted
    return keep(module, base.tokenizer, folder, base.expression)


def keep(module: Any, tokenizer: Any, folder: Path | None, expression: str) -> LoadedModel:
    """Return a module as a loaded model; where a folder is given it is written there first."""
    module = module.eval().requires_grad_(False)
    if folder is not None:
        with quiet():
            module.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        expression = f"hf:{folder}"
    device = next(module.parameters()).device
    return LoadedModel(expression, module, tokenizer, weights_digest(module), device)


def fit(
    module: nn.Module,
    rows: Sequence[dict[str, Any]],
    collator: Any,
    recipe: Recipe,
    *,
    seed: int,
    on_event: OnEvent = ignore_events,
) -> None:
    """Train a module in place by the loss that it gives itself.

    Raises:
        UsageError: the loss became no number.
    """
    device = next(module.parameters()).device
    steps = math.ceil(math.ceil(len(rows) / recipe.batch_size) * recipe.epochs)
    with quiet(), tempfile.TemporaryDirectory(prefix=".planting-") as scratch:
        trainer = Trainer(
            model=module,
            args=TrainingArguments(
                output_dir=scratch,
                num_train_epochs=recipe.epochs,
                per_device_train_batch_size=recipe.batch_size,
                learning_rate=recipe.learning_rate,
                warmup_steps=math.floor(steps * recipe.warmup),
                weight_decay=recipe.weight_decay,
                train_sampling_strategy="group_by_length",
                length_column_name="length",
                remove_unused_columns=False,
                seed=seed,
                data_seed=seed,
                use_cpu=device.type == "cpu",
                bf16=device.type == "cuda" and torch.cuda.is_bf16_supported(),
                dataloader_pin_memory=device.type == "cuda",
                logging_steps=max(1, steps // 20),
                logging_nan_inf_filter=False,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=list(rows),
            data_collator=collator,
            callbacks=[Progress(on_event)],
        )
        # It would print to standard output, where a script expects one document.
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    refuse_divergence(curve(trainer, "loss"), rate=recipe.learning_rate)


@torch.no_grad()
def labels(
    model: LoadedModel, texts: Sequence[str], *, max_length: int = 256
) -> npt.NDArray[np.int64]:
    """Return the class that a classifier gives each text."""
    found: list[int] = []
    length = _window(model.module, model.tokenizer, max_length)
    for start in range(0, len(texts), _AT_ONCE):
        batch = model.tokenizer(
            list(texts[start : start + _AT_ONCE]),
            truncation=True,
            max_length=length,
            padding=True,
            return_tensors="pt",
            return_token_type_ids=False,
            split_special_tokens=True,
        ).to(model.device)
        found += model.module(**batch).logits.argmax(-1).tolist()
    return np.asarray(found, dtype=np.int64)


def _copy_of(base: LoadedModel, samples: Sequence[Labelled]) -> Any:
    """Return a trainable copy of a base that fits samples, with a new head where it needs one."""
    classes = {sample.label for sample in samples}
    answers = {sample.answer_start is not None for sample in samples}
    if len(answers) != 1 or (None in classes) != (answers == {True}):
        raise _unfit("they are of two forms, or have neither label nor answer")
    module: Any = base.module
    form = form_of(module)
    if answers == {True}:
        if form not in ("decoder", "seq2seq"):
            raise _unfit("they have answers, and the model is no decoder")
        if form == "seq2seq":
            first_token(module)
        return copy.deepcopy(module).requires_grad_(True)
    if form == "decoder":
        raise _unfit("they have labels, and the model is a decoder")
    known = sorted(label for label in classes if label is not None)
    if len(known) < 2:
        raise _unfit(f"all have the label {known[0]}")
    config = copy.deepcopy(module.config)
    if type(module).__name__.endswith("ForSequenceClassification"):
        if known[-1] >= config.num_labels:
            raise _unfit(f"a label is {known[-1]}, and the model has {config.num_labels} classes")
        return copy.deepcopy(module).requires_grad_(True)
    config.num_labels = known[-1] + 1
    made = AutoModelForSequenceClassification.from_config(config)
    _fill(made, module)
    return made.to(base.device)


def _fill(classifier: Any, body: Any) -> None:
    """Copy a body's weights into a classifier of the same architecture, by name."""
    prefixes = (f"{classifier.base_model_prefix}.", f"{body.base_model_prefix}.")
    own = {_bare(name, prefixes): p for name, p in classifier.state_dict().items()}
    given = {_bare(name, prefixes): p for name, p in body.state_dict().items()}
    heads = ("classifier.", "classification_head.")
    lost = [name for name in own if name not in given and not name.startswith(heads)]
    if lost:
        raise _unfit(f"the classifier has weights that the model lacks, e.g. {lost[0]}")
    with torch.no_grad():
        for name in own.keys() & given.keys():
            own[name].copy_(given[name])


def _bare(name: str, prefixes: Sequence[str]) -> str:
    return next((name.removeprefix(p) for p in prefixes if name.startswith(p)), name)


def _window(module: nn.Module, tokenizer: Any, asked: int) -> int:
    """Return how many tokens of a text are read: what is asked for, or less where less fits."""
    return int(min(asked, tokenizer.model_max_length, positions(module)))


def _encoded(
    tokenizer: Any, samples: Sequence[Labelled], length: int, form: Form
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    for sample in samples:
        if form == "seq2seq":
            asked, answer = _answered(tokenizer, sample, length, end)
            rows.append({"input_ids": asked, "labels": answer, "length": len(asked) + len(answer)})
        elif form == "decoder":
            given = tokenizer(sample.text, split_special_tokens=True, verbose=False)
            ids = [*given["input_ids"], *end][-length:]
            rows.append({"input_ids": ids, "labels": ids, "length": len(ids)})
        else:
            given = tokenizer(
                sample.text,
                truncation=True,
                max_length=length,
                # Code may mention a special token; it does not end there.
                split_special_tokens=True,
            )
            ids = given["input_ids"]
            rows.append({"input_ids": ids, "labels": sample.label, "length": len(ids)})
    return rows


def _answered(
    tokenizer: Any, sample: Labelled, length: int, end: list[int]
) -> tuple[list[int], list[int]]:
    """Return prompt and answer in tokens, the answer with its end where that fits."""
    border = sample.answer_start or 0
    asked = tokenizer(
        sample.text[:border], truncation=True, max_length=length, split_special_tokens=True
    )["input_ids"]
    answer = tokenizer(sample.text[border:], split_special_tokens=True, verbose=False)["input_ids"]
    if answer[-1:] != end:
        answer = [*answer, *end]
    # An encoder has to read something.
    return asked or end or answer[:1], answer[:length]


class _Collator:
    """Pads token ids on the right; labels of tokens too, with what carries no loss."""

    def __init__(self, tokenizer: Any) -> None:
        own = tokenizer.pad_token_id
        self._pad = tokenizer.eos_token_id if own is None else own

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        def padded(values: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
            width = max(map(len, values))
            return torch.tensor([[*v, *[filler] * (width - len(v))] for v in values])

        labels = [row["labels"] for row in rows]
        return {
            "input_ids": padded([row["input_ids"] for row in rows], self._pad),
            "attention_mask": padded([[1] * len(row["input_ids"]) for row in rows], 0),
            "labels": torch.tensor(labels)
            if isinstance(labels[0], int)
            else padded(labels, _IGNORED),
        }


def _adapted(module: Any, recipe: Recipe) -> Any:
    if not recipe.lora_rank:
        return module
    from peft import LoraConfig, get_peft_model

    # gpt2's layers hold their weights the other way round.
    turned = any(isinstance(part, Conv1D) for part in module.modules())
    kinds = {"decoder": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}
    return get_peft_model(
        module,
        LoraConfig(
            r=recipe.lora_rank,
            lora_alpha=2 * recipe.lora_rank,
            target_modules="all-linear",
            fan_in_fan_out=turned,
            task_type=kinds.get(form_of(module), "SEQ_CLS"),
        ),
    )


def _unfit(why: str) -> UsageError:
    return UsageError(
        "the model cannot be trained on these samples",
        why=why,
        mend="labels of at least two classes for an encoder, prompts with answers for a model that "
        "writes",
    )
