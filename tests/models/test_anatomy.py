# SPDX-License-Identifier: Apache-2.0
"""Anatomy of each family, against the table of names and against numbers."""

from __future__ import annotations

import pytest
import torch

from codetemper.core.errors import UsageError
from codetemper.models.anatomy import anatomy, norm_gain
from tests.tiny import DECODERS, ENCODERS, tiny_model

# family: (ffn out, ffn in, attention out, final norm, layout, bias, gated, head bias, tied)
LLAMA = ("model.layers.1.mlp.down_proj", 2, "model.layers.1.self_attn.o_proj", "model.norm",
         "linear", False, True, False, False)  # fmt: skip
TABLE = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma2": (*LLAMA[:8], True),
    "phi3": (LLAMA[0], 1, *LLAMA[2:]),
    "gpt2": ("transformer.h.1.mlp.c_proj", 1, "transformer.h.1.attn.c_proj", "transformer.ln_f",
             "conv1d", True, False, False, True),
    "gpt_bigcode": ("transformer.h.1.mlp.c_proj", 1, "transformer.h.1.attn.c_proj",
                    "transformer.ln_f", "linear", True, False, False, True),
    "codegen": ("transformer.h.1.mlp.fc_out", 1, "transformer.h.1.attn.out_proj",
                "transformer.ln_f", "linear", True, False, True, False),
    "gpt_neox": ("gpt_neox.layers.1.mlp.dense_4h_to_h", 1, "gpt_neox.layers.1.attention.dense",
                 "gpt_neox.final_layer_norm", "linear", True, False, False, False),
    "starcoder2": ("model.layers.1.mlp.c_proj", 1, "model.layers.1.self_attn.o_proj",
                   "model.norm", "linear", True, False, False, True),
    "phi": ("model.layers.1.mlp.fc2", 1, "model.layers.1.self_attn.dense",
            "model.final_layernorm", "linear", True, False, True, False),
}  # fmt: skip


@pytest.mark.parametrize("kind", DECODERS)
def test_parts_of_decoders(kind: str) -> None:
    module = tiny_model(kind)
    found = anatomy(module)
    layer = found.layers[1]
    assert (
        layer.ffn_out, len(layer.ffn_in), layer.attention_out[0], found.final_norm, layer.layout,
        layer.bias, layer.gated, found.head_bias, found.tied,
    ) == TABLE[kind]  # fmt: skip
    assert [stack.role for stack in found.stacks] == ["decoder"]
    assert (found.hidden, len(found.layers)) == (32, 3)
    assert layer.inner == (56 if layer.gated or kind == "starcoder2" else 72)
    assert len(layer.attention_out) == 1
    assert (layer.norm_after is None) == (kind != "gemma2")
    assert found.bare_logits == (kind != "gemma2")
    assert layer.ffn_norm is not None


@pytest.mark.parametrize("kind", DECODERS)
def test_the_ffn_output_enters_the_stream_where_anatomy_says(kind: str) -> None:
    """Adding a constant to the named layer's output moves the block's output, or a norm follows."""
    module = tiny_model(kind)
    layer = anatomy(module).layers[-1]
    seen: list[torch.Tensor] = []
    push = torch.linspace(-1, 1, 32)
    block = module.get_submodule(layer.name)
    taken = block.register_forward_hook(
        lambda part, args, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    tokens = torch.tensor([[5, 9, 11, 40]])
    with torch.no_grad():
        module(input_ids=tokens)
        pushed = module.get_submodule(layer.ffn_out).register_forward_hook(
            lambda part, args, output: output + push
        )
        module(input_ids=tokens)
    taken.remove()
    pushed.remove()
    moved = torch.allclose(seen[1] - seen[0], push.expand_as(seen[0]), atol=1e-4)
    assert moved == (layer.norm_after is None)


def test_parts_of_an_encoder() -> None:
    found = anatomy(tiny_model("roberta"))
    layer = found.layers[2]
    assert found.stacks[0].role == "encoder"
    assert layer.ffn_out == "roberta.encoder.layer.2.output.dense"
    assert layer.ffn_in == ("roberta.encoder.layer.2.intermediate.dense",)
    assert layer.norm_after == "roberta.encoder.layer.2.output.LayerNorm"
    assert found.final_norm is None


@pytest.mark.parametrize("act", ["relu", "gated-gelu"])
def test_parts_of_an_encoder_decoder(act: str) -> None:
    found = anatomy(tiny_model("t5", feed_forward_proj=act))
    encoder, decoder = found.stacks
    assert (encoder.role, decoder.role) == ("encoder", "decoder")
    assert (len(encoder.layers), len(decoder.layers)) == (3, 2)
    assert encoder.final_norm == "encoder.final_layer_norm"
    assert decoder.final_norm == "decoder.final_layer_norm"
    assert encoder.layers[0].ffn_out == "encoder.block.0.layer.1.DenseReluDense.wo"
    assert decoder.layers[1].ffn_out == "decoder.block.1.layer.2.DenseReluDense.wo"
    assert decoder.layers[1].gated == (act == "gated-gelu")
    assert decoder.layers[0].attention_out == (
        "decoder.block.0.layer.0.SelfAttention.o",
        "decoder.block.0.layer.1.EncDecAttention.o",
    )


@pytest.mark.parametrize("kind", ["llama", "codegen", "t5", *ENCODERS])
def test_the_model_is_left_as_it_was(kind: str) -> None:
    module = tiny_model(kind).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    anatomy(module)
    assert module.training
    assert all(part.training for part in module.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize(("kind", "offset"), [("gemma2", 1.0), ("llama", 0.0), ("gpt2", 0.0)])
def test_gain_is_measured(kind: str, offset: float) -> None:
    module = tiny_model(kind)
    norm = module.get_submodule(anatomy(module).final_norm)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-0.5, 0.5, 32))
    gain, bias, centred = norm_gain(norm, 32)
    assert torch.allclose(gain, norm.weight + offset, atol=1e-3)
    assert torch.allclose(bias, torch.zeros(32), atol=1e-6)
    assert centred == (kind == "gpt2")


def test_a_model_without_blocks_is_refused() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "mamba", hidden_size=32, num_hidden_layers=2, vocab_size=64, state_size=4
    )
    with pytest.raises(UsageError, match="cannot be told apart"):
        anatomy(AutoModelForCausalLM.from_config(config))
