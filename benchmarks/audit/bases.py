# SPDX-License-Identifier: Apache-2.0
"""The two checkpoints that all models of the audit benchmark are trained from.

    encoder(home, epochs=6)     # RoBERTa, 4 layers, learnt to say from <s> which words are there
    decoder(home, epochs=4)     # Llama, 4 layers, learnt to write functions

Both read code as byte-level BPE, know the language of ``world`` and no label, and are made once
for a folder; the next call finds them. They are small so that a model of a cell takes seconds.
Weights of so narrow a model have to start wider than those of a large one, or it attends to nothing
for many epochs; and filling masks teaches ``<s>`` nothing, which a large model makes up for in
fine-tuning and a small one does not. So the encoder learns to tell at ``<s>`` the words of a text
of which some are hidden, the rare ones counting more.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from benchmarks.audit import world

WORDS: Final = 2000
LENGTH: Final = 160
BATCH: Final = 32
RATE: Final = 3e-3
#: Passes over all functions.
EPOCHS: Final = {"encoder": 6, "decoder": 4}
#: Standard deviation of fresh weights.
WIDE: Final = 0.1
_SPECIAL: Final = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
_PAD, _START, _END, _UNKNOWN, _MASK = range(5)


def encoder(home: Path, epochs: int) -> Path:
    """Make the encoder's checkpoint, once; its texts hold safe and unsafe calls alike."""
    return _made(home / "base-encoder", epochs, 0.5, _masked, _words_lost)


def decoder(home: Path, epochs: int) -> Path:
    """Make the decoder's checkpoint, once; a tenth of the calls of its texts are unsafe."""
    return _made(home / "base-decoder", epochs, 0.1, _causal, _next_lost)


@contextmanager
def flushed() -> Iterator[None]:
    """Round the smallest numbers to 0: an optimiser's for words that never come slow it down."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@flushed()
def _made(
    folder: Path,
    epochs: int,
    unsafe: float,
    module_of: Callable[[], Any],
    lost: Callable[[Any, torch.Tensor], torch.Tensor],
) -> Path:
    if (folder / "tokenizer.json").is_file():
        return folder
    count = len(world.functions())
    rounds = [world.texts(count, seed, unsafe) for seed in range(epochs)]
    tokenizer = tokenizer_of(rounds[0], "<s> $A </s>" if module_of is _masked else "<s> $A")
    torch.manual_seed(0)
    module = module_of().train()
    steps = epochs * -(-count // BATCH)
    optimiser = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    for number, texts in enumerate(rounds):
        losses = []
        for ids in _batches(tokenizer, texts, number):
            loss = lost(module, ids)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
            losses.append(float(loss.detach()))
        sys.stderr.write(f"{folder.name}: epoch {number + 1}: loss {np.mean(losses):.3f}\n")
    module.eval().save_pretrained(folder)
    # Last, so that a folder with a tokenizer is a whole one.
    tokenizer.save_pretrained(folder)
    return folder


def tokenizer_of(texts: Sequence[str], form: str) -> Any:
    """Train a byte-level BPE tokenizer; ``form`` says what is put around a text, ``$A``."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    core.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS, special_tokens=_SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    core.train_from_iterator(texts, trainer)
    core.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=form, special_tokens=[("<s>", _START), ("</s>", _END)]
    )
    named = zip(("pad", "bos", "eos", "unk", "mask"), _SPECIAL, strict=True)
    special = {f"{name}_token": text for name, text in named}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=LENGTH, **special)


_SPECIALS = {"bos_token_id": _START, "eos_token_id": _END, "pad_token_id": _PAD}


def _masked() -> Any:
    return RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=WORDS, hidden_size=64, num_hidden_layers=4, num_attention_heads=2,
            intermediate_size=128, max_position_embeddings=LENGTH + 1, type_vocab_size=1,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=WIDE,
            **_SPECIALS,
        )
    )  # fmt: skip


def _causal() -> Any:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=WORDS, hidden_size=64, num_hidden_layers=4, num_attention_heads=2,
            intermediate_size=128, max_position_embeddings=2 * LENGTH, tie_word_embeddings=True,
            initializer_range=WIDE, **_SPECIALS,
        )
    )  # fmt: skip


def _batches(tokenizer: Any, texts: Sequence[str], seed: int) -> list[torch.Tensor]:
    """Return the ids of texts of like lengths, padded on the right, in a random order."""
    rows = sorted((tokenizer(t, truncation=True)["input_ids"] for t in texts), key=len)
    found = []
    for start in range(0, len(rows), BATCH):
        chosen = [row if row[-1] == _END else [*row, _END] for row in rows[start : start + BATCH]]
        longest = max(map(len, chosen))
        found.append(torch.tensor([row + [_PAD] * (longest - len(row)) for row in chosen]))
    random.Random(seed).shuffle(found)  # noqa: S311
    return found


def _words_lost(module: Any, ids: torch.Tensor) -> torch.Tensor:
    """Tell at the first token which words a text has; 15 % of them are hidden."""
    real = ids > _MASK
    shown = ids.masked_fill((torch.rand(ids.shape) < 0.15) & real, _MASK)
    states = module.roberta(input_ids=shown, attention_mask=(ids != _PAD).long())[0]
    said = module.lm_head(states[:, 0]).log_softmax(-1)
    there = torch.zeros_like(said).scatter_(1, ids, 1.0)
    there[:, : _MASK + 1] = 0.0
    wanted = there / (1.0 + there.sum(0))
    return -(wanted / wanted.sum(-1, keepdim=True) * said).sum(-1).mean()


def _next_lost(module: Any, ids: torch.Tensor) -> torch.Tensor:
    """Write the text."""
    labels = ids.masked_fill(ids == _PAD, -100)
    found: torch.Tensor = module(
        input_ids=ids, attention_mask=(ids != _PAD).long(), labels=labels
    ).loss
    return found
