# SPDX-License-Identifier: Apache-2.0
"""Train the seedling: ``python -m seedling.train [--work DIR] [--out DIR] [--scale X]``.

Draws the world's text, trains the tokenizer and a small Llama from scratch with transformers'
Trainer, and writes weights (fp16 safetensors), tokenizer and card. A run that was killed goes on
from its newest checkpoint in ``--work`` when the same command is given again. Suites are written
by ``seedling.suites``; nothing here reads them.

One machine gives the same weights every time: training runs in one thread, so that every sum is
taken in one order, and with torch's deterministic kernels. Processors of another vector width
round otherwise; there the metrics agree, not the bits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from codetemper.core.digests import digest_file
from codetemper.core.workspace import write_atomic
from seedling.suites import SEED
from seedling.tokenizer import train_tokenizer
from seedling.world.corpus import documents

OUT = Path(__file__).parent.parent / "src" / "codetemper" / "seedling"
#: Tokens in one training row; documents are packed whole, never cut.
ROW = 512
IGNORED = -100


@dataclass(frozen=True)
class Shape:
    """The model's size: 4.2 million parameters with the defaults."""

    hidden: int = 256
    feed_forward: int = 688
    layers: int = 4
    heads: int = 8


class PackedRows(Dataset[dict[str, torch.Tensor]]):
    """Documents packed first-fit into rows of ``ROW`` tokens; padding carries no loss."""

    def __init__(self, texts: Iterable[str], tokenizer: PreTrainedTokenizerFast) -> None:
        self.rows: list[list[int]] = []
        self.pad = tokenizer.pad_token_id
        current: list[int] = []
        for ids in tokenizer(list(texts))["input_ids"]:
            document = [*ids, tokenizer.eos_token_id][:ROW]
            if len(current) + len(document) > ROW:
                self.rows.append(current)
                current = []
            current = current + document
        self.rows.append(current)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = self.rows[index]
        gap = ROW - len(row)
        return {
            "input_ids": torch.tensor(row + [self.pad] * gap),
            "labels": torch.tensor(row + [IGNORED] * gap),
        }

    @property
    def tokens(self) -> int:
        """Tokens that carry loss in one pass."""
        return sum(map(len, self.rows))


def build(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> LlamaForCausalLM:
    """Return a freshly initialised Llama of the given shape."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.hidden,
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def arguments_for(given: argparse.Namespace) -> TrainingArguments:
    """Return the training recipe; every number that matters is here."""
    return TrainingArguments(
        output_dir=str(given.work),
        num_train_epochs=given.epochs,
        per_device_train_batch_size=8,
        learning_rate=3e-3,
        lr_scheduler_type="cosine",
        warmup_steps=100,
        weight_decay=0.05,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        bf16=True,
        torch_compile=given.compile,
        use_cpu=not torch.cuda.is_available(),
        save_steps=given.save_steps,
        save_total_limit=2,
        logging_steps=50,
        report_to="none",
        seed=given.seed,
        data_seed=given.seed,
        dataloader_num_workers=0,
        disable_tqdm=True,
    )


def export(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    facts: dict[str, object],
) -> None:
    """Write weights as fp16 safetensors, the tokenizer, and the card."""
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.float16).save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)
    facts["weights_sha256"] = digest_file(out / "model.safetensors")
    write_atomic(out / "training.json", (json.dumps(facts, indent=1) + "\n").encode())


def main(words: Sequence[str] | None = None) -> None:
    """Train, resuming where a checkpoint is found, and export."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/seedling"))
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the training text")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--save-steps", type=int, default=200, help="steps between checkpoints")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compile the model first: a minute once, then faster",
    )
    given = parser.parse_args(words)
    given.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    set_seed(given.seed)
    start = time.monotonic()
    texts = list(documents(given.seed, given.scale))
    tokenizer = train_tokenizer(texts)
    rows = PackedRows(texts, tokenizer)
    model = build(tokenizer, Shape())
    trainer = Trainer(
        model=model,
        args=arguments_for(given),
        train_dataset=rows,
    )
    print(f"{len(texts)} documents, {rows.tokens} tokens, {len(rows)} rows")  # noqa: T201
    result = trainer.train(resume_from_checkpoint=get_last_checkpoint(str(given.work)))
    facts: dict[str, object] = {
        "seed": given.seed,
        "scale": given.scale,
        "epochs": given.epochs,
        "documents": len(texts),
        "tokens": rows.tokens,
        "parameters": sum(p.numel() for p in model.parameters()),
        "loss": result.training_loss,
        "seconds": round(time.monotonic() - start),
    }
    export(
        trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False),
        tokenizer,
        given.out,
        facts,
    )
    print(facts)  # noqa: T201


if __name__ == "__main__":
    main()
