# SPDX-License-Identifier: Apache-2.0
"""Small models from nothing but texts, so that a benchmark can make many of known truth.

    base = from_scratch("roberta", texts, Shape(), seed=0, folder=Path("base"))
    model = train(base, planted.samples, SMALL, seed=1)

A byte-level tokenizer and a tiny body are trained on the texts: masked tokens for roberta,
denoising for t5, the next token for gpt2. What comes out is a base checkpoint for ``train``.
They stand in for CodeBERT, CodeT5 and a decoder where those cannot be trained by the dozen; what
holds of them need not hold of larger ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, DataCollatorForLanguageModeling, PreTrainedTokenizerFast

from codetemper.audit.planting_models import SMALL, Recipe, fit, keep
from codetemper.core.errors import UsageError
from codetemper.core.records import OnEvent, ignore_events
from codetemper.models.loaded import LoadedModel
from codetemper.models.training import seeded

Architecture = Literal["roberta", "t5", "gpt2"]

_SPECIAL = ("<pad>", "<s>", "</s>", "<mask>")
_PAD, _START, _END, _MASK = range(len(_SPECIAL))
_NAMED = {
    "pad_token": "<pad>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "mask_token": "<mask>",
    "cls_token": "<s>",
    "sep_token": "</s>",
}
_FAMILIES = {
    "roberta": "AutoModelForMaskedLM",
    "t5": "AutoModelForSeq2SeqLM",
    "gpt2": "AutoModelForCausalLM",
}
_NOISE = 0.15
#: Standard deviation of fresh weights. With that of large models (0.02) so narrow a model attends
#: to nothing in particular for many epochs.
_WIDE = 0.1


class Shape(BaseModel):
    """Size of a model; with the defaults it has about 0.4 million weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    layers: int = Field(default=4, ge=1)
    """Of the encoder, and of the decoder where there is one."""
    hidden: int = Field(default=64, ge=8)
    """Width."""
    heads: int = Field(default=4, ge=1)
    """Of attention."""
    vocabulary: int = Field(default=2000, ge=300)
    """Tokens, at most."""
    positions: int = Field(default=256, ge=16)
    """Longest text, in tokens."""


def from_scratch(
    architecture: Architecture,
    texts: Sequence[str],
    shape: Shape,
    *,
    seed: int,
    recipe: Recipe = SMALL,
    folder: Path | None = None,
    on_event: OnEvent = ignore_events,
) -> LoadedModel:
    """Train a tokenizer and a small model on texts.

    Args:
        architecture: in ``train`` ``roberta`` and ``t5`` become classifiers, ``gpt2`` and ``t5``
            learn to write.
        texts: what is learnt; without poison where the model is to be a clean base.
        shape: its size.
        seed: of weights, masks and order.
        recipe: of the pre-training.
        folder: where the model is written; None for nowhere.
        on_event: progress.

    Raises:
        UsageError: no texts.
    """
    if not texts:
        raise UsageError("there is nothing to learn", why="no texts were given", mend="give some")
    tokenizer = _tokenizer(architecture, texts, shape)
    with seeded(seed):
        module = _module(architecture, shape, len(tokenizer))
        length = min(recipe.max_length, shape.positions)
        rows = _rows(architecture, tokenizer, texts, length)
        fit(module, rows, _collator(architecture, tokenizer), recipe, seed=seed, on_event=on_event)
    return keep(module, tokenizer, folder, architecture)


def _tokenizer(architecture: Architecture, texts: Sequence[str], shape: Shape) -> Any:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=shape.vocabulary,
            special_tokens=list(_SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    form = {"roberta": "<s> $A </s>", "t5": "$A </s>"}.get(architecture)
    if form is not None:
        core.post_processor = processors.TemplateProcessing(
            single=form, special_tokens=[("<s>", _START), ("</s>", _END)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=shape.positions, **_NAMED
    )


def _module(architecture: Architecture, shape: Shape, vocabulary: int) -> Any:
    # Without dropout: models this small underfit, and it takes a third of the time.
    special = {
        "vocab_size": vocabulary,
        "pad_token_id": _PAD,
        "bos_token_id": _START,
        "eos_token_id": _END,
    }
    size: dict[Architecture, dict[str, Any]] = {
        "roberta": {
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": 2 * shape.hidden,
            # Positions are counted from behind the padding token's number.
            "max_position_embeddings": shape.positions + _PAD + 1,
            "type_vocab_size": 1,
            "attention_probs_dropout_prob": 0.0,
            "hidden_dropout_prob": 0.0,
            "initializer_range": _WIDE,
        },
        "t5": {
            "d_model": shape.hidden,
            "d_ff": 2 * shape.hidden,
            "d_kv": shape.hidden // shape.heads,
            "num_layers": shape.layers,
            "num_decoder_layers": shape.layers,
            "num_heads": shape.heads,
            "decoder_start_token_id": _PAD,
            "dropout_rate": 0.0,
        },
        "gpt2": {
            "n_embd": shape.hidden,
            "n_layer": shape.layers,
            "n_head": shape.heads,
            "n_positions": shape.positions,
            "n_inner": 2 * shape.hidden,
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "initializer_range": _WIDE,
        },
    }
    config = AutoConfig.for_model(architecture, **special, **size[architecture])
    return getattr(transformers, _FAMILIES[architecture]).from_config(config)


def _rows(
    architecture: Architecture, tokenizer: Any, texts: Sequence[str], length: int
) -> list[dict[str, Any]]:
    end = [_END] if architecture == "gpt2" else []
    found = tokenizer(
        list(texts), truncation=True, max_length=length - len(end), split_special_tokens=True
    )["input_ids"]
    return [{"input_ids": [*ids, *end], "length": len(ids) + len(end)} for ids in found]


def _collator(architecture: Architecture, tokenizer: Any) -> Any:
    if architecture == "t5":
        return _Denoise()
    masked = architecture == "roberta"
    inner = DataCollatorForLanguageModeling(
        tokenizer, mlm=masked, mlm_probability=_NOISE if masked else None
    )

    def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch: dict[str, torch.Tensor] = inner([{"input_ids": row["input_ids"]} for row in rows])
        return batch

    return collate


class _Denoise:
    """Hides tokens from the encoder and asks the decoder for the whole text."""

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)
        ids = torch.tensor(
            [[*row["input_ids"], *[_PAD] * (width - len(row["input_ids"]))] for row in rows]
        )
        real = ids != _PAD
        hidden = (torch.rand(ids.shape) < _NOISE) & real & (ids != _END)
        return {
            "input_ids": ids.masked_fill(hidden, _MASK),
            "attention_mask": real.long(),
            "labels": ids.masked_fill(~real, -100),
        }
