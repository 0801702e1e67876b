# SPDX-License-Identifier: Apache-2.0
"""How long does a whole round take, against the same round put together from what others use?

Ours is round 1 of ``refine``: its own seconds by phase. The peer's round is TRL's DPOTrainer with
transformers' ``generate`` and one process an execution: as many samples of the same prompts, as
many answers validated, and the training on *our* pairs, so that both learn the same number of
tokens as often. Both have one thread of torch and as many executions side by side. Sides alternate,
each repeat with prompts, draws and training of its own; figures are medians, ratios those of pairs.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

from benchmarks.figures import Figure
from benchmarks.refine import material, peers
from codetemper.api import refining
from codetemper.api.refining_parts import ANSWERS
from codetemper.backends.hf_load import find_folder
from codetemper.core.records import Case, PreferencePair, Sampling
from codetemper.core.refinement import Refinement, Round
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import read_corpus
from codetemper.evaluate import suites
from codetemper.harden.refine import Config
from codetemper.models.expression import parse

TARGET: Final = 3.0
#: Phases of both sides; judging belongs to what is judged.
PHASES: Final = ("sample", "pair", "train", "validate")


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        repeats: rounds of each side.
        train: training prompts.
        validation: cases validated on.
    """

    repeats: int = 3
    train: int = 160
    validation: int = 80


def figures(workspace: Workspace, *, quick: bool) -> dict[str, Figure]:
    """Alternate both sides.

    Args:
        workspace: an empty one; what was made before would not be timed again.
        quick: one small round of each.
    """
    size = Size(1, 24, 12) if quick else Size()
    torch.set_num_threads(1)
    # What is imported when first needed is no part of a round.
    import trl.trainer.dpo_trainer  # noqa: F401

    sides: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for seed in range(size.repeats):
        track = material.Track("world-python", "pass@1", (), size.train, size.validation)
        given = material.write(track, seed, workspace.home / f"round-{seed}")
        config = Config(seed=seed, rounds=1)
        made, pairs = _ours(workspace, given, config)
        sides["ours"].append(made.seconds | {"right": made.outcomes.get("pass", 0) / made.samples})
        sides["peer"].append(_theirs(given, config, pairs))
        sys.stderr.write(f"round {seed}: {sides['ours'][-1]} {sides['peer'][-1]}\n")
    return _figures_of(sides)


def _ours(
    workspace: Workspace, given: material.Material, config: Config
) -> tuple[Round, list[peers.Pair]]:
    manifest = refining.refine(
        workspace, "seedling", [given.train], config,
        validate_on=given.validation, test_on=material.few("world-python", workspace.home),
    )  # fmt: skip
    made = Refinement.model_validate(manifest.report).rounds[0]
    _, rows = read_corpus(workspace.resolve("corpora", made.pairs_corpus))
    pairs = [(r.prompt, r.chosen, r.rejected) for r in rows if isinstance(r, PreferencePair)]
    return made, pairs


def _theirs(given: material.Material, config: Config, pairs: list[peers.Pair]) -> dict[str, float]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = str(find_folder(parse("seedling")))
    train, validation = suites.load(given.train), suites.load(given.validation)
    module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    seconds: dict[str, float] = {}

    def timed(phase: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        found = work()
        seconds[phase] = time.perf_counter() - begin
        return found

    def judged(answering: Any, cases: tuple[Case, ...], count: int, seed: int) -> list[list[bool]]:
        sampling = Sampling(
            n=count, temperature=config.temperature, top_p=config.top_p, seed=seed,
            max_new_tokens=train.card.max_new_tokens,
        )  # fmt: skip
        written = peers.sample(answering, tokenizer, cases, sampling)
        return peers.verdicts(cases, written)

    right = timed("sample", lambda: judged(module, train.cases, config.samples, config.seed))
    job = peers.Job(
        folder, "lora", config.batch_size, config.epochs, 5e-4, seed=config.seed, rank=config.rank
    )
    _, trained = timed("train", lambda: peers.train(job, pairs, lambda: None))
    trained.eval()
    timed("validate", lambda: judged(trained, validation.cases, ANSWERS, config.seed))
    passed = [one for row in right for one in row]
    return seconds | {"pair": 0.0, "right": sum(passed) / len(passed)}


def _figures_of(sides: dict[str, list[dict[str, float]]]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    whole = {
        side: [sum(run[phase] for phase in PHASES) for run in made] for side, made in sides.items()
    }
    ratios = [b / a for a, b in zip(whole["ours"], whole["peer"], strict=True)]
    ratio = statistics.median(ratios)
    found["whole round: how many times faster"] = Figure(
        ratio, min(ratios), max(ratios), f"at least {TARGET:g}", ratio >= TARGET
    )
    shown = {"whole round": whole} | {
        phase: {side: [run[phase] for run in made] for side, made in sides.items()}
        for phase in (*PHASES, "right")
    }
    for words, both in shown.items():
        mine, other = statistics.median(both["ours"]), statistics.median(both["peer"])
        label = "share of samples that are right" if words == "right" else f"{words}, wall seconds"
        found[label] = Figure(
            mine, min(both["ours"]), max(both["ours"]), "shown", True, other,
            other / mine if mine else None,
        )  # fmt: skip
    return found
