# SPDX-License-Identifier: Apache-2.0
"""The verb ``demo``: the main job from end to end on the embedded model.

Evaluate the base, mine fix pairs from the example repository's history, tune a patch on them,
evaluate again, gate, report. It uses the other verbs as a user would, and nothing else.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from codetemper.api import evaluation, reporting, treatments
from codetemper.api.models import SEEDLING, load_model
from codetemper.api.runs import Run
from codetemper.core.accounts import CorpusCard, PatchManifest
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Decision, Event, OnEvent, Record, Sampling, ignore_events
from codetemper.core.workspace import Workspace
from codetemper.evaluate.suites import budget
from codetemper.judges import JudgeOptions

SUITES = ("world-security-c", "world-security-python", "world-python")


class DemoConfig(Record):
    """How thorough the demonstration is."""

    samples: int = 4
    """Completions per case."""
    limit: int | None = None
    """Cases per suite; all where None."""
    seed: int = 0
    """Seed of sampling and training."""
    epochs: float = Field(default=6.0, gt=0)
    """Passes over the fix pairs while tuning."""


@dataclass(frozen=True)
class Demonstrated:
    """What the demonstration made.

    Attributes:
        before: runs of the base.
        after: runs of the patched model.
        corpus: the mined fix pairs.
        patch: the tuned patch.
        decision: the gate's answer.
        report: the HTML page.
        seconds: wall seconds of the whole.
    """

    before: tuple[Run, ...]
    after: tuple[Run, ...]
    corpus: CorpusCard
    patch: PatchManifest
    decision: Decision
    report: Path
    seconds: float


def plant_example(folder: Path) -> Path:
    """Write the example git repository by loading its history with ``git fast-import``.

    Args:
        folder: where to put it; an existing repository there is used as it is.

    Raises:
        UsageError: git is missing.
        IntegrityError: git does not accept the packed history.
    """
    if (folder / "refs").is_dir():
        return folder
    stream = gzip.decompress((SEEDLING / "example.fi.gz").read_bytes())
    folder.parent.mkdir(parents=True, exist_ok=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        # Made beside it and renamed: what is found in its place later is whole.
        with tempfile.TemporaryDirectory(prefix=".example-", dir=folder.parent) as beside:
            made = Path(beside, "example.git")
            for command, data in (
                (["git", "init", "--quiet", "--bare", "--initial-branch=main", str(made)], b""),
                (["git", "-C", str(made), "fast-import", "--quiet"], stream),
            ):
                subprocess.run(command, input=data, env=clean, check=True, capture_output=True)
            made.rename(folder)
    except FileNotFoundError as error:
        raise UsageError(
            "the example repository needs git", why="git is not on PATH", mend="apt-get install git"
        ) from error
    except subprocess.CalledProcessError as error:
        raise IntegrityError(
            "the example history could not be loaded",
            why=error.stderr.decode(errors="replace").strip() or str(error),
            mend="install the package again",
        ) from error
    return folder


def demo(
    root: Path,
    config: DemoConfig | None = None,
    *,
    options: JudgeOptions | None = None,
    on_event: OnEvent = ignore_events,
) -> Demonstrated:
    """Harden the embedded model and show what it did.

    Args:
        root: project folder; a workspace is made in it where there is none.
        config: how thorough.
        options: of the judges.
        on_event: progress; ``stage="demo"`` events announce the steps.
    """
    config = config or DemoConfig()
    start = time.monotonic()
    steps = 2 * len(SUITES) + 4
    taken = 0

    def step(note: str) -> None:
        nonlocal taken
        taken += 1
        on_event(Event(stage="demo", done=taken, total=steps, unit="steps", note=note))

    workspace = Workspace.create(root)
    sampling = Sampling(n=config.samples, temperature=0.8, seed=config.seed)

    def measure(model: str) -> tuple[Run, ...]:
        runs = []
        with load_model(workspace, model) as handle:
            for suite in SUITES:
                step(f"evaluate {model} on {suite}")
                runs.append(
                    evaluation.evaluate(
                        workspace,
                        model,
                        suite,
                        sampling.model_copy(update={"max_new_tokens": budget(suite)}),
                        limit=config.limit,
                        options=options,
                        on_event=on_event,
                        loaded=handle,
                    )
                )
        return tuple(runs)

    before = measure("seedling")
    step("mine fix pairs from the example repository's history")
    example = plant_example(workspace.home / "example.git")
    corpus = treatments.mine(workspace, [example], on_event=on_event).card
    step("tune a LoRA patch on the fixed side")
    patch = treatments.tune(
        workspace, "seedling", corpus.id, _tune_config(config), on_event=on_event
    )
    after = measure(f"seedling+{patch.id}")
    step("gate")
    decision = evaluation.gate(workspace, "seedling", f"seedling+{patch.id}")
    step("write the report")
    page = reporting.report(workspace, "seedling", f"seedling+{patch.id}")
    return Demonstrated(before, after, corpus, patch, decision, page.path, time.monotonic() - start)


def _tune_config(config: DemoConfig) -> object:
    # Imported when needed: this is what pulls torch in.
    from codetemper.harden.tune import Config

    return Config(seed=config.seed, epochs=config.epochs)
