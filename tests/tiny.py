# SPDX-License-Identifier: Apache-2.0
"""Tiny random models of each architecture, and tokenizers trained on a few lines, for the tests.

    module = tiny_model("llama")
    tokenizer = tiny_tokenizer()

Nothing is downloaded. The weights are random but seeded, and large enough that the logits differ
clearly between tokens, so that greedy decoding does not hang on rounding.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, PreTrainedTokenizerFast

VOCABULARY = 320
LINES = (
    "def add(a, b):\n    return a + b\n",
    "int main(void) { return 0; }\n",
    "SELECT name FROM users WHERE id = 3;\n",
    "for item in items:\n    print(item)\n",
)
_SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
_GROUPED = {**_SMALL, "num_key_value_heads": 2, "intermediate_size": 56}
_GPT = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 72, "n_positions": 256}

#: Configuration of each decoder the tests know, by ``model_type``.
DECODERS: dict[str, dict[str, Any]] = {
    "llama": _GROUPED,
    "mistral": _GROUPED,
    "qwen2": _GROUPED,
    "qwen3": {**_GROUPED, "head_dim": 16},
    "starcoder2": _GROUPED,
    "phi3": {**_GROUPED, "pad_token_id": 0},
    "gemma2": {**_GROUPED, "head_dim": 12, "query_pre_attn_scalar": 12},
    "phi": {**_SMALL, "intermediate_size": 72, "partial_rotary_factor": 0.5},
    "gpt_neox": {**_SMALL, "intermediate_size": 72},
    "gpt2": _GPT,
    "gpt_bigcode": _GPT,
    "codegen": {**_GPT, "rotary_dim": 4, "n_ctx": 256},
}
ENCODERS: dict[str, dict[str, Any]] = {
    "roberta": {**_SMALL, "intermediate_size": 72, "max_position_embeddings": 130},
    "t5": {"d_model": 32, "d_ff": 72, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 4,
           "d_kv": 8, "decoder_start_token_id": 0},
}  # fmt: skip


def tiny_model(kind: str, **changes: Any) -> Any:
    """Return a seeded random model of an architecture, in evaluation mode, in fp32."""
    shape = {**DECODERS, **ENCODERS}[kind]
    special = {"bos_token_id": 1, "eos_token_id": 2, "vocab_size": VOCABULARY}
    config = AutoConfig.for_model(kind, **{**special, **shape, **changes})
    family = {"roberta": "AutoModelForMaskedLM", "t5": "AutoModelForSeq2SeqLM"}
    torch.manual_seed(7)
    module = getattr(transformers, family.get(kind, "AutoModelForCausalLM")).from_config(config)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    return module.eval()


@functools.cache
def tiny_tokenizer() -> Any:
    """Return a byte-level BPE tokenizer with ``VOCABULARY`` tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    core.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(LINES * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def save_tiny(folder: Path, kind: str = "llama", dtype: torch.dtype = torch.float32) -> Path:
    """Write a tiny model and its tokenizer as a Hugging Face folder."""
    tiny_model(kind).to(dtype).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
