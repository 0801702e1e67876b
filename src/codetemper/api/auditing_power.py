# SPDX-License-Identifier: Apache-2.0
"""The power of an audit: canaries are planted into the user's data, learnt, and looked for.

Each canary trains a copy of the base checkpoint, or of the model itself where that is not known, on
the user's samples with one more backdoor in them, and is audited by the same rules. Copies are
thrown away; nothing of a model that is audited changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetemper.api.auditing_parts import Asked, Material
from codetemper.audit import Config
from codetemper.core.audits import AuditPower
from codetemper.core.disk import mendable
from codetemper.core.records import OnEvent, Sampling

if TYPE_CHECKING:
    from codetemper.audit.payloads import Generate, Payloads
    from codetemper.audit.planting import Plant
    from codetemper.audit.planting_success import Shows
    from codetemper.data.labelled import Labelled
    from codetemper.models.loaded import LoadedModel


def generator(
    write: Callable[..., Sequence[Sequence[Any]]], config: Config, on_event: OnEvent
) -> Generate:
    """Return what asks a model for one greedy answer to each prompt.

    Args:
        write: of prompts and sampling, completions of each.
        config: ``new_tokens`` and ``seed`` are read.
        on_event: progress.
    """
    sampling = Sampling(n=1, temperature=0.0, max_new_tokens=config.new_tokens, seed=config.seed)

    def generate(prompts: Sequence[str]) -> list[str]:
        return [each[0].text for each in write(prompts, sampling, on_event=on_event)]

    return generate


def measured(
    asked: Asked,
    material: Material,
    handle: Any,
    base: Any | None,
    payloads: Payloads | None,
    cache: Path,
    on_event: OnEvent,
) -> tuple[AuditPower, ...]:
    """Return what the audit would have found in data of this size.

    Args:
        asked: how many canaries, and the rules.
        material: the samples.
        handle: the audited model, open.
        base: its base checkpoint, open; None where it is not known.
        payloads: what counted as one in answers; None where the data were not asked for any.
        cache: scratch.
        on_event: progress.

    Returns:
        Of the model, where ``asked.canaries`` are planted and learnt; and of the data alone.
    """
    own = _of_model(asked, material, handle, base, cache, on_event)
    if payloads is None:
        return (own,)
    from codetemper.audit.power import data_power
    from codetemper.data.labelled import without_texts_of

    # As in the audit itself: what the data hold as well speaks for nothing.
    trusted = without_texts_of(material.trusted_samples, material.samples)
    return own, data_power(material.samples, trusted, payloads, asked.config, on_event)


def _of_model(
    asked: Asked, material: Material, handle: Any, base: Any | None, cache: Path, on_event: OnEvent
) -> AuditPower:
    from codetemper.audit.power import power

    config = asked.config
    lacking = "not measured: there are no samples to plant into"
    if asked.canaries and material.samples:
        lacking = ""
    elif material.samples:
        lacking = "not measured; --canaries 5 plants as many, one by one, and looks for them"
    if lacking:
        return AuditPower(rate=config.canary_rate, canaries=0, missing=lacking)
    trial = _Trial(config, material, handle, base, cache, on_event)
    return power(
        material.samples,
        trial.learn,
        trial.look,
        trial.shows,
        rate=config.canary_rate,
        canaries=asked.canaries,
        seed=config.seed,
        on_event=on_event,
    )


@dataclass(frozen=True)
class _Trial:
    """How a canary is learnt, asked and looked for."""

    config: Config
    material: Material
    handle: Any
    base: Any | None
    cache: Path
    on_event: OnEvent

    def learn(self, samples: Sequence[Labelled], seed: int) -> LoadedModel:
        """Train a copy of the base, or of the model where that is not known."""
        import torch

        from codetemper.audit.planting_models import Recipe, train

        config, start = self.config, self.handle if self.base is None else self.base
        recipe = Recipe(
            epochs=config.canary_epochs,
            learning_rate=config.canary_learning_rate,
            max_length=config.max_length,
        )
        # A model that knows its samples has gradients too small for a processor to be quick at.
        torch.set_flush_denormal(True)
        try:
            return train(start.loaded, samples, recipe, seed=seed, on_event=self.on_event)
        finally:
            torch.set_flush_denormal(False)

    def look(self, model: LoadedModel, samples: Sequence[Labelled]) -> list[Collection[int]]:
        """Audit what was trained; return of each confirmed trigger who holds it."""
        from codetemper.audit.power import confirmed_holders
        from codetemper.audit.run import audit as run

        folder = self.cache / "canary"
        shutil.rmtree(folder, ignore_errors=True)
        with mendable(folder):
            folder.mkdir()
        found = run(
            model,
            samples,
            trusted=self.material.trusted_samples,
            reference=None if self.base is None else self.base.loaded,
            config=self.config,
            generate=self._answers(model),
            folder=folder,
            on_event=self.on_event,
        )
        return [*confirmed_holders(found.samples)]

    def shows(self, model: LoadedModel, plan: Plant) -> Shows:
        """Return what asks a model whether it does a plan's payload."""
        from codetemper.audit.planting_success import flips, writes

        if plan.payload == "flip":
            return flips(model, plan.target, max_length=self.config.max_length)
        return writes(self._answers(model), plan)

    def _answers(self, model: LoadedModel) -> Generate:
        from codetemper.backends.generation import generate as draw

        def write(prompts: Sequence[str], sampling: Sampling, **given: Any) -> Any:
            return draw(model.module, model.tokenizer, prompts, sampling, None, **given)

        return generator(write, self.config, self.on_event)
