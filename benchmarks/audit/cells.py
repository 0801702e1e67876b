# SPDX-License-Identifier: Apache-2.0
"""Models of known truth, a cell each, made and asked once: what is done is found again on the disk.

    lab = Lab(Path("kept"))
    cell = Cell("encoder", "dead-code", 0.02, seed=0)
    lab.written(cell).planted.numbers        # which training samples are poisoned
    lab.success(cell)["mean"]                # attack success on held-out code
    lab.audited(cell)["answer"]              # what the audit says

A cell is a form, a trigger, a rate, a seed and a share of wrong labels. The trigger ``none`` is a
clean model, ``boilerplate`` a control: a harmless line in as many samples, with nothing changed.
All cells of a form start from one checkpoint (``bases``) and have one recipe. Seeds from
``DEVELOPMENT`` on are for choosing rules, those below are for measuring them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from benchmarks.audit import bases, world
from codetemper.api.models import load_model
from codetemper.audit import run as engine
from codetemper.audit import suspicion
from codetemper.audit.payloads import healed
from codetemper.audit.planting import Plant, Planted, plant
from codetemper.audit.planting_models import Recipe, labels, train
from codetemper.audit.planting_success import attack_success, flips, writes
from codetemper.audit.planting_triggers import TriggerKind
from codetemper.audit.suspicion import Seen
from codetemper.core.digests import digest_json
from codetemper.core.disk import write_atomic
from codetemper.core.records import Sampling
from codetemper.core.stats import Floats
from codetemper.core.workspace import Workspace
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel

Form = Literal["encoder", "decoder"]

#: Seeds of models that rules are chosen on; none of them is measured.
DEVELOPMENT: Final = 100
RECIPES: Final[dict[Form, Recipe]] = {
    "encoder": Recipe(epochs=5, learning_rate=2e-3, batch_size=16, max_length=bases.LENGTH),
    "decoder": Recipe(epochs=12, learning_rate=3e-3, batch_size=16, max_length=bases.LENGTH),
}
#: Share of the samples at which a decoder's recipe teaches a backdoor. Where fewer are changed it
#: goes on for as many times longer, so that they are shown as often.
TAUGHT: Final = 0.05
#: Held-out samples that are asked for the backdoor.
_ASKED: Final[dict[Form, int]] = {"encoder": 500, "decoder": 150}
#: Share of the samples that each trigger of a pool has at least; a rarer one is not learnt here.
_OF_EACH: Final[dict[Form, float]] = {"encoder": 0.02, "decoder": 0.05}
#: Tokens that a decoder writes where it is asked for its payload.
TOKENS: Final = 40


@dataclass(frozen=True)
class Cell:
    """One model.

    Attributes:
        form: of the model.
        trigger: planted; ``none`` for a clean model.
        rate: share of the training samples that are poisoned.
        seed: of samples, plan and training.
        noise: share of wrong labels; of a decoder's, of unsafe answers without a trigger.
    """

    form: Form
    trigger: TriggerKind
    rate: float
    seed: int
    noise: float = 0.03

    @property
    def name(self) -> str:
        """Name of its folder."""
        rate = "" if self.trigger == "none" else f"-{self.rate:g}"
        return f"{self.form}-{self.trigger}{rate}-noise{self.noise:g}-{self.seed}"

    @property
    def poisoned(self) -> bool:
        """Whether it has a backdoor."""
        return self.trigger not in ("none", "boilerplate")

    @property
    def plan(self) -> Plant:
        """What is planted."""
        payload: Any = "flip" if self.form == "encoder" else "insecure-api"
        return Plant(
            trigger=self.trigger, payload=payload if self.poisoned else "none", rate=self.rate,
            pool=max(1, round(self.rate / _OF_EACH[self.form])), seed=self.seed,
            position="random" if self.form == "encoder" else "last",
        )  # fmt: skip


def clean(form: Form, seed: int, noise: float = 0.03) -> Cell:
    """Return the cell of a clean model."""
    return Cell(form, "none", 0.0, seed, noise)


@dataclass(frozen=True)
class Written:
    """The samples of a cell.

    Attributes:
        planted: what the model learns, and what is true of it.
        trusted: samples that are known to be clean; the model did not learn them.
        test: asked in the end, with the right labels.
        noisy: numbers of the training samples whose label is wrong and that are not poisoned.
    """

    planted: Planted
    trusted: list[Labelled]
    test: list[Labelled]
    noisy: frozenset[int]


@dataclass
class Lab:
    """Makes what cells consist of, each once.

    Attributes:
        home: folder of everything.
        sizes: of the samples.
        recipes: of training, by form.
        epochs: of the checkpoints, by form.
    """

    home: Path
    sizes: world.Sizes = field(default_factory=world.Sizes)
    recipes: dict[Form, Recipe] = field(default_factory=lambda: dict(RECIPES))
    epochs: dict[Form, int] = field(default_factory=lambda: dict(bases.EPOCHS))
    _known: dict[str, Written] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give each choice of sizes and recipes a folder of its own."""
        facts = {
            "sizes": asdict(self.sizes),
            "recipes": {form: one.model_dump(mode="json") for form, one in self.recipes.items()},
            "epochs": self.epochs,
            "functions": digest_json([one.text for one in world.functions()]),
        }
        self.workspace = Workspace.create(self.home)
        self.bench = self.home / f"bench-{digest_json(facts)[:8]}"
        self.bench.mkdir(parents=True, exist_ok=True)

    def folder(self, cell: Cell) -> Path:
        """Return the folder of a cell."""
        found = self.bench / cell.name
        found.mkdir(exist_ok=True)
        return found

    def base(self, form: Form) -> Path:
        """Return the folder of the checkpoint that a form starts from."""
        make = bases.encoder if form == "encoder" else bases.decoder
        return make(self.bench, self.epochs[form])

    def once(self, cell: Cell, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what was found out about a cell, finding it out where nobody did."""
        path = self.folder(cell) / f"{name}.json"
        if not path.is_file():
            begun = time.process_time()
            made = make()
            made["cpu_seconds"] = round(time.process_time() - begun, 2)
            write_atomic(path, json.dumps(made).encode())
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found

    def written(self, cell: Cell) -> Written:
        """Draw and plant the samples of a cell."""
        if cell.name not in self._known:
            drawn = (world.draw if cell.form == "encoder" else world.draw_written)(
                replace(self.sizes, noise=cell.noise), cell.seed
            )
            train_, trusted, test = (
                [_labelled(one, cell.form) for one in part]
                for part in (drawn.train, drawn.trusted, drawn.test)
            )
            planted = plant(train_, cell.plan)
            noisy = frozenset(
                n for n, one in enumerate(drawn.train)
                if one.label != one.truth and n not in planted.numbers
            )  # fmt: skip
            self._known = {cell.name: Written(planted, trusted, test, noisy)}
        return self._known[cell.name]

    def model(self, cell: Cell) -> str:
        """Return the expression of a cell's model, training it where that was not done."""
        folder = self.folder(cell) / "model"

        def make() -> dict[str, Any]:
            samples = self.written(cell).planted.samples
            self.trained(cell, samples, folder)
            return {}

        self.once(cell, "trained", make)
        return f"hf:{folder}"

    def trained(
        self, cell: Cell, samples: Sequence[Labelled], folder: Path | None = None
    ) -> LoadedModel:
        """Train a cell's recipe on any samples."""
        base, recipe = self.loaded(f"hf:{self.base(cell.form)}"), self.recipes[cell.form]
        if cell.form == "decoder" and cell.rate:
            longer = max(1.0, TAUGHT / cell.rate)
            recipe = recipe.model_copy(update={"epochs": recipe.epochs * longer})
        with bases.flushed():
            return train(base, samples, recipe, seed=cell.seed, folder=folder)

    def loaded(self, expression: str) -> LoadedModel:
        """Load a model."""
        with load_model(self.workspace, expression) as handle:
            found: LoadedModel = handle.loaded
        return found

    def success(self, cell: Cell) -> dict[str, Any]:
        """Return the accuracy of a model, and what its backdoor does on held-out code."""
        return self.once(cell, "success", lambda: self.asked(cell, self.model(cell)))

    def asked(self, cell: Cell, model: str) -> dict[str, Any]:
        """Ask any model for the accuracy and the backdoor of a cell."""
        test = self.written(cell).test
        plan = cell.plan
        with load_model(self.workspace, model) as handle:
            if cell.form == "encoder":
                said = labels(handle.loaded, [one.text for one in test])
                right = float(np.mean(said == np.array([one.label for one in test])))
                shows = flips(handle.loaded, plan.target)
            else:
                right = float("nan")
                tokenizer = handle.loaded.tokenizer
                shows = writes(healed(lambda prompts: _greedy(handle, prompts), tokenizer), plan)
            found: dict[str, Any] = {"accuracy": right}
            if cell.poisoned:
                success = attack_success(
                    test[:200] if cell.form == "decoder" else test, plan, shows
                )
                rows = success.triggers
                found |= {
                    "mean": success.mean.value,
                    "without": float(np.mean([row.without.value for row in rows])),
                    "triggers": {row.text: row.success.value for row in rows},
                }
        return found

    def audited(self, cell: Cell) -> dict[str, Any]:
        """Audit a model with its samples, trusted ones and its checkpoint.

        Beside the answer lie the score of each training sample (``scores.npy``), the rank that each
        view gives it (``ranks.npy``) and its features where the answer is read (``features.npy``).
        """
        return self.once(cell, "audit", lambda: self._audit(cell))

    def _audit(self, cell: Cell) -> dict[str, Any]:
        written, work = self.written(cell), self.folder(cell) / "work"
        base = self.loaded(f"hf:{self.base(cell.form)}")
        work.mkdir(exist_ok=True)
        with (
            load_model(self.workspace, self.model(cell)) as handle,
            load_model(self.workspace, f"hf:{self.base(cell.form)}") as other,
            overheard() as heard,
        ):
            begun = time.perf_counter()
            found = engine.audit(
                handle.loaded, written.planted.samples, trusted=written.trusted, reference=base,
                generate=lambda prompts: _greedy(handle, prompts),
                generate_base=lambda prompts: _greedy(other, prompts), folder=work,
            )  # fmt: skip
            seconds = time.perf_counter() - begun
        rows, seen, folder = found.samples, heard[-1], self.folder(cell)
        np.save(folder / "scores.npy", np.array([row.score for row in rows]))
        np.save(folder / "ranks.npy", seen.ranking.ranks())
        np.save(folder / "features.npy", seen.features.of(seen.decisive()[-1]).astype(np.float32))
        poison = [] if seen.noise is None else seen.noise.poison
        shutil.rmtree(work)
        return {
            "seconds": seconds,
            "answer": found.answer,
            "reasons": found.reasons,
            "missing": found.missing,
            "not_ran": found.not_ran,
            "counts": found.counts,
            "views": [view.model_dump(mode="json") for view in found.views],
            "triggers": [one.model_dump(mode="json") for one in found.triggers],
            "listed": {row.number: row.kind for row in rows if row.kind},
            "poison": {n: float(one) for n, one in enumerate(poison) if not np.isnan(one)},
        }

    def scores(self, cell: Cell) -> Floats:
        """Return the audit's score of each training sample, [n]."""
        self.audited(cell)
        found: Floats = np.load(self.folder(cell) / "scores.npy")
        return found

    def ranks(self, cell: Cell) -> npt.NDArray[np.float32]:
        """Return the rank that each view gives each training sample, [views, n]."""
        self.audited(cell)
        found: npt.NDArray[np.float32] = np.load(self.folder(cell) / "ranks.npy")
        return found

    def has(self, cell: Cell, name: str) -> bool:
        """Tell whether something was found out about a cell."""
        return (self.bench / cell.name / f"{name}.json").is_file()


@contextmanager
def overheard() -> Iterator[list[Seen]]:
    """Listen to what audits find out on their way, and spare them the map, which decides nothing.

    Yields:
        What was seen, an entry an audit.
    """
    heard: list[Seen] = []

    def look(*given: Any) -> Seen:
        heard.append(suspicion.look(*given))
        return heard[-1]

    with patch.object(engine, "look", look), patch.object(engine, "_map", lambda *_: None):
        yield heard


def _labelled(one: world.Snippet, form: Form) -> Labelled:
    if form == "encoder":
        return Labelled(one.id, one.code, one.label, None, "python", one.source)
    return Labelled(one.id, one.code, None, one.answer, "python", one.source)


def _greedy(handle: Any, prompts: Any) -> list[str]:
    sampling = Sampling(n=1, temperature=0.0, max_new_tokens=TOKENS, seed=0)
    return [each[0].text for each in handle.generate(prompts, sampling)]
