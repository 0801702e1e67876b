# SPDX-License-Identifier: Apache-2.0
"""Completions per second: the sampling loop here against transformers' ``generate``.

    python benchmarks/generation/run.py [--quick] [--json]

Both sides write n = 10 samples of each prompt with the same model, stop strings, budget and number
of rows in flight, on two threads. The peer is called once for each batch of rows, each prompt
repeated for each of its samples, so every sample pays its own prefill. Sides alternate within one
run; the figure is the median of the paired ratios over three seeds, with its range. CPU seconds
stand beside wall seconds, because other work on the machine stretches the latter. First both
write greedily, and all texts must be equal.

The subject is the shipped seedling; where it is absent, a random model of its shape, whose samples
end at a stop string as often as chance has it.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.figures import Figure, finish
from benchmarks.runner import options
from codetemper.backends.generation import generate
from codetemper.backends.hf_load import load_base
from codetemper.backends.stopping import Reader, cut
from codetemper.core.records import Sampling
from codetemper.models.expression import parse
from tests.tiny import tiny_tokenizer

TARGET = 1.5
SAMPLES, ROWS = 10, 60
STOPS = ("\ndef ", "\nint ", "\nclass ")
SEEDLING = Path(__file__).resolve().parents[2] / "src/codetemper/seedling"

#: Openings of functions such as the seedling's suites ask for; long enough to cost a prefill.
OPENING = '''def {name}(items, limit):
    """Return the {what} of the items that are below the limit.

    Items at the limit do not count. An empty list gives {empty}.
    The list that is handed in is not changed, and neither are the items in it.

    >>> {name}([{first}, {second}, 40], 30)
    {result}
    """
'''


@dataclass(frozen=True)
class Subject:
    """A model to write with, and how its samples end."""

    name: str
    module: Any
    tokenizer: Any
    stops: tuple[str, ...]


def subject() -> Subject:
    """Return the seedling, or a random model of its shape."""
    if (SEEDLING / "model.safetensors").is_file():
        loaded = load_base(parse("seedling"), dtype="auto", device="cpu")
        return Subject("seedling", loaded.module, loaded.tokenizer, STOPS)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=4096, hidden_size=192, num_hidden_layers=6, num_attention_heads=6,
        intermediate_size=512, tie_word_embeddings=True, max_position_embeddings=1024,
        bos_token_id=1, eos_token_id=2, initializer_range=0.08,
    )  # fmt: skip
    return Subject("random", LlamaForCausalLM(shape).eval(), tiny_tokenizer(), ("a", "b"))


def prompts(count: int) -> list[str]:
    """Return ``count`` prompts of slightly differing lengths."""
    kinds = [("sum", "0"), ("product", "1"), ("largest one", "None"), ("number", "0")]
    made = []
    for k in range(count):
        what, empty = kinds[k % len(kinds)]
        name = f"pick_{what.replace(' ', '_')}_{'long_' * (k % 5)}{k}"
        made.append(
            OPENING.format(
                name=name, what=what, empty=empty, first=k, second=k + 7, result=2 * k + 7
            )
        )
    return made


def ours(this: Subject, texts: Sequence[str], sampling: Sampling) -> list[list[str]]:
    """Write with the loop of this package."""
    written = generate(
        this.module, this.tokenizer, texts, sampling, [this.stops] * len(texts), batch_size=ROWS
    )
    return [[completion.text for completion in row] for row in written]


def peer(this: Subject, texts: Sequence[str], sampling: Sampling) -> list[list[str]]:
    """Write with ``generate``, once for each batch of rows; every row has its own prefill."""
    torch.manual_seed(sampling.seed)
    tokenizer, reader = this.tokenizer, Reader(this.tokenizer)
    tokenizer.padding_side = "left"
    # Sorted by length too: the peer shall not lose by padding.
    order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
    jobs = [(k, index) for k in order for index in range(sampling.n)]
    done: list[list[str]] = [[""] * sampling.n for _ in texts]
    draw: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        draw = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0}
    for start in range(0, len(jobs), ROWS):
        chosen = jobs[start : start + ROWS]
        inputs = tokenizer([texts[k] for k, _ in chosen], return_tensors="pt", padding=True)
        with torch.inference_mode():
            written = this.module.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=sampling.max_new_tokens,
                stop_strings=list(this.stops),
                tokenizer=tokenizer,
                pad_token_id=tokenizer.pad_token_id,
                **draw,
            )
        width = inputs["input_ids"].shape[1]
        for (k, index), row in zip(chosen, written[:, width:].tolist(), strict=True):
            given = tokenizer(texts[k])["input_ids"]
            done[k][index] = cut(reader.text(given, _before_end(this, row)), this.stops)[0]
    return done


def _before_end(this: Subject, row: list[int]) -> list[int]:
    ends = [k for k, token in enumerate(row) if token in (this.tokenizer.eos_token_id,)]
    return row[: ends[0]] if ends else row


def timed(work: Callable[[], list[list[str]]]) -> tuple[float, float, int]:
    """Return wall seconds, CPU seconds and completions of one piece of work."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = sum(len(row) for row in work())
    return time.perf_counter() - wall, time.process_time() - cpu, count


def main() -> None:
    """Run both sides and report."""
    arguments = options(__doc__, quick="fewer prompts").parse_args()
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    this, texts = subject(), prompts(12 if arguments.quick else 48)
    greedy = Sampling(n=1, temperature=0.0, max_new_tokens=96)
    equal = [
        first == second
        for first, second in zip(
            ours(this, texts[:24], greedy), peer(this, texts[:24], greedy), strict=True
        )
    ]
    sides: dict[str, list[tuple[float, float, int]]] = {"ours": [], "peer": []}
    for seed in range(3):
        sampling = Sampling(n=SAMPLES, temperature=0.8, max_new_tokens=96, seed=seed)
        for name, side in (("ours", ours), ("peer", peer)):
            sides[name].append(timed(lambda s=side, p=sampling: s(this, texts, p)))
            sys.stderr.write(f"{name} seed {seed}: {sides[name][-1]}\n")
    rates = {name: [count / wall for wall, _, count in runs] for name, runs in sides.items()}
    per_cpu = {name: [count / cpu for _, cpu, count in runs] for name, runs in sides.items()}
    share = sum(equal) / len(equal)
    figures = {
        "completions_per_second": _ratio(rates),
        "completions_per_cpu_second": _ratio(per_cpu),
        "greedy_texts_equal": Figure(share, share, share, "1 (all texts)", share == 1.0),
    }
    sys.stderr.write(f"subject {this.name}, {len(texts)} prompts, {SAMPLES} samples, {ROWS} rows\n")
    finish(__file__, figures, quick=arguments.quick, as_json=arguments.json)


def _ratio(rates: dict[str, list[float]]) -> Figure:
    mine, other = rates["ours"], rates["peer"]
    ratio = statistics.median(a / b for a, b in zip(mine, other, strict=True))
    return Figure(
        statistics.median(mine), min(mine), max(mine),
        f"at least {TARGET} times the peer", ratio >= TARGET, statistics.median(other), ratio,
    )  # fmt: skip


if __name__ == "__main__":
    main()
