# SPDX-License-Identifier: Apache-2.0
"""The trainer: kills, accumulation, processes and early stopping change what they should only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from codetemper.core.records import Event
from codetemper.data.corpus import write_corpus
from codetemper.harden._trainer import seconds_until
from codetemper.harden.tune import Config, TuneResult, tune
from tests.harden.material import FAST, PAIRS, killed, loaded, pair, run
from tests.tiny import save_tiny

TENSORS = "adapter_model.safetensors"
#: All that a resumed run has to restore matters here: dropout, moments, schedule, order.
RICH = FAST.model_copy(
    update={"dropout": 0.2, "unlikelihood": 0.5, "contrast": 0.5, "kl": 0.1, "weight_decay": 0.01}
)


def train(folder: Path, checkpoints: Path, kill_at: int | None = None) -> TuneResult:
    def on_event(event: Event) -> None:
        if event.done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    folder.mkdir()
    return tune(loaded(), PAIRS, RICH, folder, checkpoints=checkpoints, checkpoint_seconds=0.0,
                on_event=on_event)  # fmt: skip


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", tmp_path / "a")
    newest = killed(train, tmp_path / "b", tmp_path / "killed", tmp_path / "b", 8)
    assert newest.name == "checkpoint-7"
    # A day of training lies behind that checkpoint, as far as anyone can tell.
    assert 0 < seconds_until(newest) < 300
    (newest / "seconds").write_text("86400\n", "ascii")
    # What was being written when the kill came is passed over.
    (tmp_path / "b" / "checkpoint-9").mkdir()
    seen: list[int] = []
    (tmp_path / "again").mkdir()
    again = tune(loaded(), PAIRS, RICH, tmp_path / "again", checkpoints=tmp_path / "b",
                 on_event=lambda event: seen.append(event.done))  # fmt: skip
    assert seen == [8, 9, 10, 11, 12]
    assert 0 < again.seconds - 86400 < 300
    assert again.losses == whole.losses
    assert (tmp_path / "again" / TENSORS).read_bytes() == (
        tmp_path / "whole" / TENSORS
    ).read_bytes()


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    """Terms are divided by the tokens of the step, however it is cut into batches."""
    rich = RICH.model_copy(update={"dropout": 0.0, "epochs": 2.0})
    run(loaded(), tmp_path / "one", rich.model_copy(update={"batch_size": 8}))
    cut = {"batch_size": 2, "gradient_accumulation": 4}
    run(loaded(), tmp_path / "cut", rich.model_copy(update=cut))
    assert_close(tmp_path / "one", tmp_path / "cut")


def assert_close(first: Path, second: Path) -> None:
    one, other = load_file(first / TENSORS), load_file(second / TENSORS)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=2e-4), name


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "model")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, PAIRS)
    settings: dict[str, Any] = {"rank": 4, "epochs": 2, "learning_rate": 0.01, "max_length": 64,
                                "contrast": 0.5, "kl": 0.1}  # fmt: skip
    options = [f"-o{key}={value}" for key, value in settings.items()]
    subprocess.run([sys.executable, "-m", "codetemper", "init", str(tmp_path / "two")], check=True,
                   capture_output=True)  # fmt: skip
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2",
              "--num_machines=1",
              "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, *launch, "-m", "codetemper", "tune", f"hf:{model}", "--data", str(corpus),
         *options, "-obatch_size=4", "-w", str(tmp_path / "two"), "--json"],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    patch = json.loads(done.stdout)["patch"]
    (made,) = (tmp_path / "two" / ".codetemper" / "patches").iterdir()
    assert made.name == patch
    run(loaded(), tmp_path / "one", Config(**settings, batch_size=8))
    assert_close(tmp_path / "one", made)


HELD_OUT = [pair(number, split="validation") for number in (20, 21)]


def test_the_validation_loss_chooses_the_weights(tmp_path: Path) -> None:
    """Trained on one half of the numbers only, others get worse after a while."""
    (tmp_path / "patch").mkdir()
    config = FAST.model_copy(
        update={"early_stop": "loss", "epochs": 40.0, "learning_rate": 3e-2, "evaluate_every": 2}
    )
    result = tune(loaded(), [*PAIRS, *HELD_OUT], config, tmp_path / "patch")
    losses = dict(result.validations)
    assert result.steps < 80
    assert result.best_step is not None
    assert losses[result.best_step] == min(losses.values())
    assert result.best_step == result.steps - 2 * config.patience
    # The weights are those of that step: a run that ends there... ends in the same loss.
    kept = load_file(tmp_path / "patch" / TENSORS)
    assert all(bool(tensor.isfinite().all()) for tensor in kept.values())


def test_a_score_chooses_the_weights(tmp_path: Path) -> None:
    scores = iter([0.2, 0.9, 0.5, 0.9, 0.1, 0.1])
    seen: list[dict[str, torch.Tensor]] = []

    def score(module: torch.nn.Module) -> float:
        assert not module.training
        seen.append({n: p.detach().clone() for n, p in module.named_parameters()
                     if p.requires_grad})  # fmt: skip
        return next(scores)

    (tmp_path / "patch").mkdir()
    config = FAST.model_copy(update={"early_stop": "score", "epochs": 30.0})
    result = tune(loaded(), PAIRS, config, tmp_path / "patch", score=score)
    assert result.validations == ((2, 0.2), (4, 0.9), (6, 0.5), (8, 0.9))
    assert (result.best_step, result.steps) == (4, 8)
    kept = load_file(tmp_path / "patch" / TENSORS)
    best = {name.replace(".task.", "."): tensor for name, tensor in seen[1].items()}
    assert best.keys() == kept.keys()
    assert all(torch.equal(best[name], kept[name]) for name in kept)
