# SPDX-License-Identifier: Apache-2.0
"""Attach and detach of adapters: is the digest of all weights the same, and what does it cost?

    python benchmarks/attach/run.py [--quick] [--json]

For each architecture and seed, a LoRA with random tensors on every linear layer goes on and comes
off: quietly, with an exception raised inside, and after training steps. Counted is how often the
digest is equal afterwards (it must be always). The peer is what merging and subtracting again
leaves: the share of trials after which the digest is the old one. Not measured: quality.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.figures import Figure, finish
from benchmarks.runner import options
from codetemper.models.attach import training_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from tests.tiny import DECODERS, tiny_model, tiny_tokenizer

TOKENS = torch.tensor([[5, 9, 11, 40, 7]])


def lora() -> LoraConfig:
    """Return a LoRA on every linear layer."""
    return LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")


def randomise(wrapped: Any, seed: int) -> None:
    """Give the trainable tensors values that are not zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


def attach(module: Any, digest: str, seed: int, way: str) -> tuple[bool, float]:
    """Put an adapter on and take it off; return whether the digest is equal, and the seconds."""
    model = LoadedModel("hf:tiny", module, tiny_tokenizer(), digest, torch.device("cpu"))
    start = time.perf_counter()
    try:
        with training_adapter(model, lora()) as wrapped:
            randomise(wrapped, seed)
            if way == "trained":
                optimiser = torch.optim.AdamW(wrapped.parameters(), lr=0.01)
                wrapped(input_ids=TOKENS, labels=TOKENS).loss.backward()
                optimiser.step()
            if way == "exception":
                raise InterruptedError
    except InterruptedError:
        pass
    return weights_digest(module) == digest, time.perf_counter() - start


def subtract(module: Any, digest: str, seed: int) -> bool:
    """Merge an adapter into the weights and subtract it again, as peft's unmerge does."""
    wrapped = get_peft_model(module, lora())
    randomise(wrapped, seed)
    wrapped.merge_adapter()
    wrapped.unmerge_adapter()
    return weights_digest(wrapped.unload()) == digest


def main() -> None:
    """Run all trials and report."""
    arguments = options(__doc__, quick="one seed").parse_args()
    torch.set_num_threads(2)
    equal: dict[str, list[bool]] = {"quiet": [], "exception": [], "trained": []}
    subtracted, seconds = [], []
    for kind in DECODERS:
        module = tiny_model(kind)
        digest = weights_digest(module)
        for seed in range(1 if arguments.quick else 3):
            for way, seen in equal.items():
                same, took = attach(module, digest, seed, way)
                seen.append(same)
                seconds.append(took)
            subtracted.append(subtract(tiny_model(kind), digest, seed))
    rival = sum(subtracted) / len(subtracted)
    figures = {}
    for way, seen in equal.items():
        share = sum(seen) / len(seen)
        words = f"1 in {len(seen)} trials"
        figures[f"digest_equal_{way}"] = Figure(share, share, share, words, share == 1.0, rival)
    middle = sorted(seconds)[len(seconds) // 2]
    sys.stderr.write(f"{len(DECODERS)} architectures, {middle:.3f} s a trial in the median\n")
    finish(__file__, figures, quick=arguments.quick, as_json=arguments.json)


if __name__ == "__main__":
    main()
