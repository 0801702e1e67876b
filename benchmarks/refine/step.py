# SPDX-License-Identifier: Apache-2.0
"""How fast is a step of ``refine``, and how much memory does it take, against TRL's DPOTrainer?

A random model of the seedling's shape with 8,192 words learns random pairs of equal lengths, so
that the losses of both sides are the same but for rounding, and the curves are held against each
other. Each training runs in a process of its own on one thread; sides alternate. Figures are the
tokens of both answers with their prompts, by seconds of CPU and of clock, the median over steps
and then over repeats; and the most that the process ever held. What comes before the first step
(reference log-probabilities, loading of data) is a figure of its own.

    python -m benchmarks.refine.step JOB.json        # one training; prints one JSON line
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figure
from benchmarks.refine.peers import Job, Pair

#: As much apart as float32 sums in another order may bring the losses of a few steps, in nats.
CLOSE: Final = 2e-3
WORDS: Final = 8192
#: Steps in front that are not counted.
WARM: Final = 2
SIDES: Final = ("ours", "trl", "trl, reference cached")


@dataclass(frozen=True)
class Layout:
    """Lengths in tokens, the end token included, and what is asked for.

    Attributes:
        name: in words.
        prompt: tokens of a prompt.
        answer: tokens of an answer.
        batch: pairs a step.
        live: ratio asked for against TRL.
        cached: ratio asked for against TRL with its reference cache.
    """

    name: str
    prompt: int
    answer: int
    batch: int
    live: float
    cached: float

    @property
    def tokens(self) -> int:
        """Tokens of a step, as two rows a pair have them."""
        return 2 * self.batch * (self.prompt + self.answer)


LAYOUTS: Final = (
    Layout("short prompts (48+48, batch 4)", 48, 48, 4, 1.8, 1.5),
    Layout("long prompts (256+48, batch 2)", 256, 48, 2, 3.5, 2.5),
)


def figures(*, quick: bool) -> dict[str, Figure]:
    """Measure all layouts; full training is held against the targets, LoRA is shown."""
    found: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        write_model(folder)
        for layout in LAYOUTS:
            for method in ("full", "lora"):
                repeats = 1 if quick else 5 if method == "full" else 3
                steps = 8 if quick else 16
                job = Job(str(folder), method, layout.batch, epochs=1.0, rate=1e-4)
                runs = _alternate(job, layout, steps, repeats, Path(scratch))
                found |= _figures_of(runs, layout, method)
    return found


def _alternate(
    job: Job, layout: Layout, steps: int, repeats: int, scratch: Path
) -> dict[str, list[dict[str, Any]]]:
    path = scratch / "job.json"
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for repeat in range(repeats):
        pairs = random_pairs(layout, layout.batch * steps, repeat)
        for side in SIDES:
            asked = replace(job, cached=side == SIDES[2])
            path.write_text(json.dumps({"side": side, "job": asdict(asked), "pairs": pairs}))
            runs[side].append(_in_a_process(path))
            sys.stderr.write(f"{layout.name}, {job.method}, {repeat}: {side}\n")
    return runs


def _in_a_process(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.refine.step", str(path)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1",
                          "HF_DATASETS_CACHE": str(path.parent / "datasets")},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{path}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _figures_of(
    runs: dict[str, list[dict[str, Any]]], layout: Layout, method: str
) -> dict[str, Figure]:
    at, asked = f"{layout.name}, {method}", method == "full"
    found: dict[str, Figure] = {}
    for kind in ("cpu", "wall"):
        rates = {
            side: [layout.tokens / statistics.median(run[kind][WARM:]) for run in made]
            for side, made in runs.items()
        }
        mine = statistics.median(rates["ours"])
        for side, wanted in zip(SIDES[1:], (layout.live, layout.cached), strict=True):
            other = statistics.median(rates[side])
            counts = asked and kind == "cpu"
            found[f"{at}: tokens per {kind} second against {side}"] = Figure(
                mine, min(rates["ours"]), max(rates["ours"]),
                f"ratio at least {wanted:g}" if counts else "shown",
                not counts or mine / other >= wanted, other, mine / other,
            )  # fmt: skip
    for key, words, unit in (
        ("peak_mb", "most memory of the process", "MB"),
        ("grown_mb", "memory beyond model and libraries", "MB"),
        ("before", "CPU before the first step", "s"),
    ):
        mine_all = [run[key] for run in runs["ours"]]
        for side in SIDES[1:]:
            other = statistics.median(run[key] for run in runs[side])
            value = statistics.median(mine_all)
            counts = key != "before"
            found[f"{at}: {words} against {side}, {unit}"] = Figure(
                value, min(mine_all), max(mine_all), "below" if counts else "shown",
                not counts or value < other, other, value / other if other else None,
            )  # fmt: skip
    first, second = runs["ours"][0]["losses"], runs["trl"][0]["losses"]
    apart = max((abs(a - b) for a, b in zip(first, second, strict=False)), default=0.0)
    if method == "full":
        # LoRA starts from random numbers, which the sides draw at different places.
        found[f"{at}: largest difference of the loss curves, nats"] = Figure(
            apart, apart, apart, f"below {CLOSE}", apart < CLOSE and len(first) == len(second) > 0
        )
    return found


def random_pairs(layout: Layout, count: int, seed: int) -> list[Pair]:
    """Draw pairs of random words with exactly so many tokens."""
    rng = random.Random(seed)  # noqa: S311

    def words(number: int) -> str:
        return " ".join(f"w{rng.randrange(WORDS - 4)}" for _ in range(number))

    return [
        (words(layout.prompt), f" {words(layout.answer - 1)}", f" {words(layout.answer - 1)}")
        for _ in range(count)
    ]


def write_model(folder: Path) -> None:
    """Write a random model of the shape, and a tokenizer to which each word is a token."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>"]
    vocabulary = {word: n for n, word in enumerate(special)}
    vocabulary |= {f"w{n}": n + len(special) for n in range(WORDS - len(special))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=special[0], bos_token=special[1],
        eos_token=special[2], unk_token=special[3],
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=WORDS, hidden_size=256, num_hidden_layers=4, num_attention_heads=8,
        intermediate_size=688, tie_word_embeddings=True, max_position_embeddings=512,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(shape).save_pretrained(folder)


class Clock:
    """Reads the clocks after every step."""

    def __init__(self) -> None:
        self.cpu = [time.process_time()]
        self.wall = [time.perf_counter()]

    def tick(self) -> None:
        """A step has ended."""
        self.cpu.append(time.process_time())
        self.wall.append(time.perf_counter())

    def told(self) -> dict[str, Any]:
        """Return seconds of the steps but the first, and what the first took beyond a step."""
        steps = [b - a for a, b in zip(self.cpu[1:], self.cpu[2:], strict=False)]
        walls = [b - a for a, b in zip(self.wall[1:], self.wall[2:], strict=False)]
        before = self.cpu[1] - self.cpu[0] - statistics.median(steps)
        return {"cpu": steps, "wall": walls, "before": before}


def _ours(job: Job, pairs: list[Pair], clock: Clock) -> list[float]:
    from codetemper.backends.hf_load import load_base
    from codetemper.core.records import Event, PreferencePair
    from codetemper.harden.refine import Config, refine
    from codetemper.models.expression import parse

    model = load_base(parse(f"hf:{job.folder}"), dtype="float32", device="cpu")
    rows = [
        PreferencePair(
            id=f"{n:012x}", case=f"case-{n}", prompt=prompt, chosen=good, rejected=bad,
            language="text", because="execution",
        )
        for n, (prompt, good, bad) in enumerate(pairs)
    ]  # fmt: skip
    config = Config(
        method=job.method, rank=job.rank, alpha=2 * job.rank, batch_size=job.batch,
        epochs=job.epochs, learning_rate=job.rate, scheduler="constant_with_warmup",
        warmup_ratio=0.0, seed=job.seed, nll=1.0, beta=0.1,
    )  # fmt: skip

    def on_event(event: Event) -> None:
        if event.stage == "train" and event.unit == "steps":
            clock.tick()

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "patch")
        folder.mkdir()
        result = refine(model, rows, config, folder, on_event=on_event)
    return [loss for _, loss in result.losses]


def _theirs(job: Job, pairs: list[Pair], clock: Clock) -> list[float]:
    from benchmarks.refine import peers

    return peers.train(job, pairs, clock.tick)[0]


def main() -> None:
    """Run one training and print what it took."""
    import torch

    given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    job, pairs = Job(**given["job"]), [tuple(pair) for pair in given["pairs"]]
    side = _ours if given["side"] == "ours" else _theirs
    torch.set_num_threads(1)
    if side is _ours:
        import codetemper.harden.refine  # noqa: F401
    else:
        import trl.trainer.dpo_trainer  # noqa: F401
    held = _peak_mb()
    clock = Clock()
    losses = side(job, pairs, clock)
    peak = _peak_mb()
    told = clock.told() | {"losses": losses, "peak_mb": peak, "grown_mb": peak - held}
    sys.stdout.write(json.dumps(told) + "\n")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
