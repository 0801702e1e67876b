# SPDX-License-Identifier: Apache-2.0
"""What joint takes by number of failures and by width of the model, each in a process of its own.

    python -m benchmarks.repair.cost JOB.json          # one repair; prints one JSON line

By number: 1 to 1,000 failures of the small model, solved together, with guards from
eight on. By width: random Llamas of four blocks, 64 to 512 wide (FFN three times that), 16 planted
failures, guards too. ``setup`` is what is done once for a model and its reference texts: the head's
Gram factor and key statistics. Memory is what the process grew by at its most while it solved. A
repair need not succeed to be timed; the share right is told beside.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figure
from benchmarks.repair.bench import Bench

VOCABULARY: Final = 1024
#: Growth asked for from the fewest to the most failures: seconds to this power of the number.
LINEAR: Final = 1.2
#: Failures up to which that is asked for.
ASKED: Final = 1000


def figures(bench: Bench) -> dict[str, Figure]:
    """Measure both rows of repairs."""
    found: dict[str, Figure] = {}
    seed = bench.size.seeds[0]
    by_number: dict[int, dict[str, Any]] = {}
    for count in bench.size.counts:
        problems = bench.problems(seed, "failing", count)
        job = {
            "model": str(bench.folder), "cache": str(bench.home / "cache"),
            "guards": bench.size.guards, "references": bench.references(seed),
            "failures": [[p.failure.prompt, p.failure.reference] for p in problems],
        }  # fmt: skip
        by_number[count] = _in_a_process(job)
        bench.say(f"{count} failures: {by_number[count]}")
        found |= _told(f"{len(problems)} failures", by_number[count])
    counts = sorted(by_number)
    # Below ten nothing is guarded, so growth is told from there on.
    for few in [n for n in counts[:-1] if n >= 10] or counts[:1]:
        most = counts[-1]
        for key, word in (("cpu", "CPU seconds"), ("mb", "memory grown")):
            before, after = by_number[few][key], by_number[most][key]
            if not before or not after:
                continue  # it took no more than reading the texts did
            power = math.log(after / before) / math.log(most / few)
            found[f"growth of {word} from {few} to {most} failures, power"] = Figure(
                power, power, power, f"at most {LINEAR}, up to {ASKED:,} failures",
                power <= LINEAR and most >= ASKED,
            )  # fmt: skip
    for width in bench.size.widths:
        told = _in_a_process({"width": width})
        bench.say(f"width {width}: {told}")
        found |= _told(f"width {width}", told)
    return found


def _told(at: str, told: dict[str, Any]) -> dict[str, Figure]:
    words = {
        "cpu": "CPU seconds", "wall": "wall seconds", "setup": "CPU seconds of the setup",
        "mb": "memory grown, MB", "right": "share right", "tokens": "failing tokens",
    }  # fmt: skip
    return {
        f"{at}: {word}": Figure(told[key], told[key], told[key], "shown", True)
        for key, word in words.items()
    }


def _in_a_process(job: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "job.json")
        path.write_text(json.dumps(job), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.repair.cost", str(path)],
            capture_output=True, text=True, check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _given(job: dict[str, Any]) -> dict[str, Any]:
    """Repair the failures of a job."""
    from benchmarks.repair.subject import Problem, Subject
    from codetemper.backends.hf_load import load_base
    from codetemper.core.repairs import Failure
    from codetemper.models.expression import parse

    loaded = load_base(parse(f"hf:{job['model']}"), dtype="float32", device="cpu")
    begun = time.process_time()
    texts = [(prompt, text) for prompt, text in job["references"]]
    subject = Subject(loaded, texts, texts[:1], Path(job["cache"]), guards=job["guards"])
    setup = time.process_time() - begun
    problems = [Problem(Failure(id=p, prompt=p, reference=r)) for p, r in job["failures"]]
    return _solved(subject, subject.passages(problems)) | {"setup": setup}


def _planted(width: int) -> dict[str, Any]:
    """Repair planted failures of a random model."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from benchmarks.repair.subject import Subject
    from codetemper.harden.repair.failures import Passage
    from codetemper.models.loaded import LoadedModel

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=4,
        num_attention_heads=4, tie_word_embeddings=False, initializer_range=0.05,
    )  # fmt: skip
    module = LlamaForCausalLM(config).eval()
    rows = torch.randint(3, VOCABULARY, (416, 24)).tolist()
    texts = [
        Passage(f"text {n}", 0, tuple(row[:12]), tuple(row[12:])) for n, row in enumerate(rows)
    ]

    class Random(Subject):
        def passages_of(self, chosen: Any) -> list[Passage]:
            return list(chosen)

    loaded = LoadedModel("hf:random", module, None, f"random {width}", torch.device("cpu"))
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as cache:
        subject = Random(loaded, texts[16:], texts[:1], Path(cache))  # type: ignore[arg-type]
    setup = time.process_time() - begun
    # An answer of random tokens is wrong throughout; what the model says, but for two, is not.
    seen = subject.engine.observe(texts[:16])
    wanted = seen.predicted.reshape(16, 12).clone()
    wanted[:, 3:5] = torch.tensor([row[15:17] for row in rows[:16]])
    failures = [
        Passage(text.failure, 0, text.prompt, text.answer, tuple(row))
        for text, row in zip(texts[:16], wanted.tolist(), strict=True)
    ]
    return _solved(subject, failures) | {"setup": setup}


def _solved(subject: Any, passages: Any) -> dict[str, Any]:
    wrong = int(subject.engine.observe(passages, margin=0.0).wrong.sum())
    before = _peak_mb()
    edit, wall, cpu = subject.solve("joint", passages)
    right = [max(gaps) < 0 for gaps in edit.gaps_after.values()]
    return {
        "cpu": cpu, "wall": wall, "mb": _peak_mb() - before, "tokens": wrong,
        "right": sum(right) / len(right),
    }  # fmt: skip


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run one job and print what it took."""
    import torch

    torch.set_num_threads(1)
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    told = _planted(job["width"]) if "width" in job else _given(job)
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
