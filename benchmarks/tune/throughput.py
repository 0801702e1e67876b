# SPDX-License-Identifier: Apache-2.0
"""How fast does ``tune`` train, against trl's SFTTrainer with its default settings?

    python benchmarks/tune/throughput.py [--quick] [--json]

Both train the same LoRA on the same tokens in the same order, plain language modelling on the same
completions, same batches, rate and schedule; so their loss curves must be equal but for rounding.
trl's defaults are kept (gradient checkpointing, padding, logits everywhere, its extra metrics) but
for two that would change the curve or cannot run: bfloat16 autocast is off, and it is told to use
the CPU. Its speed without gradient checkpointing is shown too. The trainers alternate; figures are
medians of CPU seconds and of wall seconds, in learnt and read tokens without padding per second.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from benchmarks.figures import Figure, finish
from benchmarks.runner import options
from codetemper.api import treatments
from codetemper.api.demo import plant_example
from codetemper.backends.hf_load import load_base
from codetemper.core.records import FixPair
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import read_corpus
from codetemper.data.examples import Example, Layout, Role, encode
from codetemper.harden.tune import Config, tune
from codetemper.models.attach import training_adapter
from codetemper.models.expression import parse

#: As much apart as float32 sums in another order may bring the losses, in nats.
CLOSE = 2e-3


@dataclass(frozen=True)
class Timed:
    """One training run.

    Attributes:
        wall: seconds.
        cpu: seconds of all threads.
        losses: mean loss of each step, in nats a token.
    """

    wall: float
    cpu: float
    losses: tuple[float, ...]


def timed(train: Callable[[], Sequence[float]]) -> Timed:
    """Run a training and time it."""
    wall, cpu = time.perf_counter(), time.process_time()
    losses = train()
    return Timed(time.perf_counter() - wall, time.process_time() - cpu, tuple(losses))


def ours(model: Any, pairs: Sequence[FixPair], config: Config) -> list[float]:
    """Train with codetemper; return the loss of each step."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "patch")
        folder.mkdir()
        result = tune(model, pairs, config, folder)
    return [loss for _, loss in result.losses]


def theirs(
    model: Any, items: Sequence[Example], config: Config, *, checkpointing: bool
) -> list[float]:
    """Train with trl on the same tokens; return the loss of each step."""
    rows = [
        {
            "input_ids": list(item.fixed.ids),
            "labels": [
                token if role != Role.PROMPT else -100
                for token, role in zip(item.fixed.ids, item.fixed.roles, strict=True)
            ],
        }
        for item in items
        if item.fixed is not None
    ]
    steps = -(-len(rows) // config.batch_size)
    torch.manual_seed(config.seed)
    lora = LoraConfig(
        r=config.rank, lora_alpha=config.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with (
        torch.random.fork_rng(),
        tempfile.TemporaryDirectory() as scratch,
        training_adapter(model, lora) as wrapped,
    ):
        trainer = SFTTrainer(
            model=wrapped,
            args=SFTConfig(
                output_dir=scratch,
                num_train_epochs=config.epochs,
                per_device_train_batch_size=config.batch_size,
                learning_rate=5e-4,
                lr_scheduler_type=config.scheduler,
                warmup_steps=-(-int(steps * 100 * config.warmup_ratio) // 100),
                seed=config.seed,
                data_seed=config.seed,
                max_length=config.max_length,
                gradient_checkpointing=checkpointing,
                dataset_kwargs={"skip_prepare_dataset": True},
                use_cpu=True,
                bf16=False,
                dataloader_pin_memory=False,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=model.tokenizer,
            data_collator=DataCollatorForLanguageModeling(pad_token_id=0),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def measure(given: argparse.Namespace) -> dict[str, Figure]:
    """Alternate the trainers and compare them."""
    model = load_base(parse("seedling"), dtype="auto", device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace.create(Path(scratch))
        card = treatments.mine(workspace, [plant_example(workspace.home / "example.git")]).card
        _, rows = read_corpus(workspace.resolve("corpora", card.id))
    pairs = [row for row in rows if isinstance(row, FixPair) and row.granularity == "function"]
    pairs = pairs[: given.pairs]
    # Steps at most 100 are logged one by one.
    config = Config(contrast=0.0, epochs=1.0, scheduler="constant_with_warmup", warmup_ratio=0.0)
    examples = encode(pairs, model.tokenizer, Layout(max_length=config.max_length))
    tokens = sum(len(item.fixed.ids) for item in examples.items if item.fixed is not None)
    sides: dict[str, Callable[[], Sequence[float]]] = {
        "ours": lambda: ours(model, pairs, config),
        "ours, with contrast": lambda: ours(
            model, pairs, config.model_copy(update={"contrast": 1.0})
        ),
        "trl": lambda: theirs(model, examples.items, config, checkpointing=True),
        "trl without checkpointing": lambda: theirs(
            model, examples.items, config, checkpointing=False
        ),
    }
    runs: dict[str, list[Timed]] = {name: [] for name in sides}
    for _ in range(given.repeats):
        for name, train in sides.items():
            runs[name].append(timed(train))
    return figures_of(runs, tokens)


def figures_of(runs: dict[str, list[Timed]], tokens: int) -> dict[str, Figure]:
    """Turn runs into figures: tokens a second by clock and by CPU, ratios, the curves' distance."""
    figures = {}
    for kind in ("wall", "cpu"):
        rates = {name: [tokens / getattr(run, kind) for run in made] for name, made in runs.items()}
        for name in ("ours", "ours, with contrast"):
            for peer in ("trl", "trl without checkpointing"):
                mine, other = statistics.median(rates[name]), statistics.median(rates[peer])
                asked = peer == "trl"
                figures[f"tokens per {kind} second, {name} against {peer}"] = Figure(
                    mine,
                    min(rates[name]),
                    max(rates[name]),
                    "ratio at least 1.5" if asked else "shown",
                    not asked or mine / other >= 1.5,
                    other,
                    mine / other,
                )
    first, second = (np.array(runs[name][0].losses) for name in ("ours", "trl"))
    apart = float(np.abs(first - second).max())
    figures["largest difference of the loss curves, nats"] = Figure(
        apart, apart, apart, f"below {CLOSE}", apart < CLOSE and len(first) == len(second)
    )
    return figures


def main() -> None:
    """Measure and print."""
    given = options(__doc__, quick="one repeat, 80 pairs").parse_args()
    given.repeats, given.pairs = (1, 80) if given.quick else (3, 320)
    torch.set_num_threads(1)
    figures = measure(given)
    finish(__file__, figures, quick=given.quick, as_json=given.json, results="throughput.json")


if __name__ == "__main__":
    main()
