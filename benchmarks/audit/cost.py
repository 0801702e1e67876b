# SPDX-License-Identifier: Apache-2.0
"""What the views cost: time against one plain forward pass, memory against the number of samples.

    python -m benchmarks.audit.cost FORM SAMPLES      # one reading; prints its greatest memory

Models are random and of a middle size (256 wide, 6 layers), on one thread; what is compared reads
the same samples in batches of the same size, longest first. Sides alternate, and the median of the
ratios counts. Memory is the greatest of a process of its own, beyond what it held before.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.audit import bases, world
from benchmarks.figures import Figure
from codetemper.data.labelled import Labelled

BATCH: Final = 16
SAMPLES: Final = 192
REPEATS: Final = 3
#: Numbers of samples whose memory is compared.
FEW, MANY = 200, 1600


def figures(home: Path) -> dict[str, Figure]:
    """Return ratios of time, and memory of few and of many samples."""
    tokenizer_folder = home / "cost-tokenizer"
    found: dict[str, Figure] = {}
    samples = samples_of(SAMPLES)
    for form, words in (("encoder", "activation views"), ("decoder", "likelihood views")):
        ratios = _ratios(_loaded(form, tokenizer_folder), samples, form)
        value = statistics.median(ratios)
        found[f"cost of {words} against a forward pass"] = Figure(
            value, min(ratios), max(ratios), "at most 1.3", value <= 1.3
        )
        held = [_measured(form, count, tokenizer_folder) for count in (FEW, MANY)]
        grown = held[1] - held[0]
        found[f"memory of {words}: {MANY} samples beyond {FEW}, MB"] = Figure(
            grown, held[0], held[1], f"below 20, where {MANY - FEW} more texts are read",
            grown < 20,
        )  # fmt: skip
    return found


def samples_of(count: int) -> list[Labelled]:
    """Return so many real samples, over and over where there are not as many."""
    texts = world.texts(min(count, 1000), 0, 0.5)
    return [Labelled(str(n), texts[n % len(texts)], n % 2, None, "python") for n in range(count)]


def _ratios(loaded: Any, samples: Sequence[Labelled], form: str) -> list[float]:
    import torch

    torch.set_num_threads(1)
    ordered = sorted(samples, key=lambda one: -len(one.text))
    ratios = []
    for repeat in range(REPEATS + 1):
        plain = _seconds(lambda: _plain(loaded, ordered))
        whole = _seconds(lambda: _read(loaded, samples, form))
        if repeat:
            ratios.append(whole / plain)
    return ratios


def _seconds(act: Callable[[], None]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


def _plain(loaded: Any, samples: Sequence[Labelled]) -> None:
    """Read samples and keep nothing."""
    import torch

    with torch.inference_mode():
        for start in range(0, len(samples), BATCH):
            texts = [one.text for one in samples[start : start + BATCH]]
            inputs = loaded.tokenizer(texts, padding=True, return_tensors="pt")
            loaded.module(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])


def _read(loaded: Any, samples: Sequence[Labelled], form: str) -> None:
    from codetemper.audit import likelihood
    from codetemper.audit.activations import extract

    if form == "decoder":
        for begin in range(0, len(samples), 256):
            likelihood.read(loaded, samples[begin : begin + 256], batch_size=BATCH)
        return
    with tempfile.TemporaryDirectory() as scratch:
        extract(loaded, samples, batch_size=BATCH, folder=Path(scratch))


def _loaded(form: str, tokenizer_folder: Path) -> Any:
    """Return a random model of middle size."""
    import torch
    from transformers import (
        AutoTokenizer,
        LlamaConfig,
        LlamaForCausalLM,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    from codetemper.models.loaded import LoadedModel

    folder = tokenizer_folder / form
    if not folder.is_dir():
        around = "<s> $A </s>" if form == "encoder" else "<s> $A"
        bases.tokenizer_of(world.texts(1000, 0, 0.5), around).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": 256, "num_hidden_layers": 6,
        "num_attention_heads": 4, "intermediate_size": 1024, "max_position_embeddings": 258,
        "pad_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(0)
    module: Any
    if form == "encoder":
        module = RobertaForSequenceClassification(RobertaConfig(**shape))
    else:
        module = LlamaForCausalLM(LlamaConfig(**shape))
    return LoadedModel("random", module.eval(), tokenizer, "", torch.device("cpu"))


def _measured(form: str, count: int, tokenizer_folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit.cost", form, str(count), str(tokenizer_folder)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{form}, {count}: {done.stderr[-2000:]}")
    found: float = json.loads(done.stdout.splitlines()[-1])
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Read so many samples and print the greatest memory beyond a few."""
    form, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    loaded, samples = _loaded(form, folder), samples_of(count)
    _read(loaded, samples[:64], form)
    held = _peak()
    _read(loaded, samples, form)
    sys.stdout.write(json.dumps(_peak() - held) + "\n")


if __name__ == "__main__":
    main()
