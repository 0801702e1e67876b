# SPDX-License-Identifier: Apache-2.0
"""One round of a refinement after another: sample, judge, pair, train, validate.

    rounds = Rounds(workspace, handle, model, material, config, ...)
    start = rounds.validated(None)
    first = rounds.made(1, None, start)

Each phase leaves an ordinary thing of the workspace, so nothing is done twice: samples and verdicts
come back from the journals of ``evaluation``, training from its checkpoints, and a finished round
from the cache, by the digest of all that it was made of. When rounds end and which one is kept is
for ``refining``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from codetemper.api import evaluation
from codetemper.api.evidence import evidence_for
from codetemper.api.models import patch_folders
from codetemper.api.refining_parts import (
    ANSWERS,
    Material,
    judged,
    nothing_to_learn,
    unmixed,
)
from codetemper.api.runs import Run
from codetemper.api.settling import settle
from codetemper.api.tuning import checkpoints, settle_patch
from codetemper.core.accounts import CorpusCard
from codetemper.core.digests import digest_json
from codetemper.core.records import OnEvent, PreferencePair, Sampling
from codetemper.core.refinement import Round
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import write_corpus
from codetemper.data.pairs import make_pairs
from codetemper.evaluate import rounds
from codetemper.evaluate.gate import Cluster
from codetemper.evaluate.suites import Suite
from codetemper.judges import JudgeOptions, signature
from codetemper.models.expression import parse

if TYPE_CHECKING:
    from codetemper.models.guards import Guard

#: Settings that say how many rounds there are, and nothing of any one.
_OF_THE_WHOLE = {"rounds", "epsilon"}
#: Seeds of the draws of one refinement lie this far from those of the next seed.
_STRIDE = 1000


class Rounds:
    """Makes rounds, or finds them.

    Args:
        workspace: gets runs, corpora and patches.
        handle: the bare base, loaded.
        model: full expression of what is refined; its patches are on and frozen all the time.
        material: the cases.
        config: ``harden.refine.Config``.
        guards: on while training, off otherwise.
        choices: pairs that somebody chose; they go before what execution says.
        options: of the judges.
        cluster: what intervals resample.
        on_event: progress.
    """

    def __init__(
        self,
        workspace: Workspace,
        handle: Any,
        model: str,
        material: Material,
        config: Any,
        *,
        guards: Sequence[Guard],
        choices: Sequence[PreferencePair],
        options: JudgeOptions,
        cluster: Cluster,
        on_event: OnEvent,
    ) -> None:
        self._workspace, self._handle, self._model = workspace, handle, model
        self._material, self._config = material, config
        self._guards, self._choices = guards, choices
        self._options, self._cluster, self._on_event = options, cluster, on_event
        self._frozen = patch_folders(workspace, model)
        self.inputs = {"model": model, "model_digest": handle.loaded.digest} | {
            f"guard:{number}": guard.id for number, guard in enumerate(guards)
        }
        self.facts = config.model_dump(mode="json", exclude=_OF_THE_WHOLE) | {
            "train": material.train.digest,
            "guards": [guard.id for guard in guards],
            "choices": digest_json([pair.id for pair in choices]),
        }
        #: Names everything that a round is made of.
        self.key = digest_json(
            {
                "inputs": self.inputs,
                "facts": self.facts,
                "validation": [material.validation.digest, material.metric, cluster],
                "judging": [self._judging(material.train), self._judging(material.validation)],
                "options": options.model_dump(mode="json", exclude={"workers", "cache"}),
            }
        )

    def expression(self, patch: str | None) -> str:
        """Return the expression of the model after a round; of the base where there is none."""
        return self._model if patch is None else f"{self._model}+{patch}"

    def run_folder(self, run: str) -> Path:
        """Return where a run lies."""
        return self._workspace.runs / run

    def validated(self, patch: str | None) -> Run:
        """Return the run of the validation suite with the patch of a round, or without any."""
        return self.answered(patch, self._material.validation)

    def answered(self, patch: str | None, suite: Suite) -> Run:
        """Return the run of a suite that is not learnt from."""
        return self._evaluated(patch, suite, ANSWERS, self._config.seed)

    def made(self, number: int, patch: str | None, before: Run) -> Round | str:
        """Make a round, or find it.

        Args:
            number: which, from 1.
            patch: id of the patch of the round before; None: there was none.
            before: validation run of the model that the round begins with.

        Returns:
            The round, or in words why it has nothing to learn from.
        """
        place = digest_json([self.key, number, patch])
        found = self._remembered(place)
        if found is not None:
            return found
        seconds: dict[str, float] = {}
        begin = time.monotonic()
        runs = self._sampled(number, patch)
        seconds["sample"] = _since(begin)
        begin = time.monotonic()
        rows = judged(runs)
        paired = make_pairs(
            rows, self._config, round=number, seed=self._config.seed, choices=self._choices
        )
        unpaired = paired.leftovers if self._config.loss == "kto" else ()
        if not paired.pairs and not unpaired:
            return nothing_to_learn(rows, paired.counts)
        corpus = self._settled(number, paired, [run.id for run in runs])
        seconds["pair"] = _since(begin)
        manifest, result = self._trained(number, patch, corpus, paired.pairs, unpaired)
        seconds["train"] = round(result.seconds, 3)
        begin = time.monotonic()
        run = self.validated(manifest.id)
        seconds["validate"] = _since(begin)
        metric, cluster = self._material.metric, self._cluster
        made = Round(
            round=number,
            patch=manifest.id,
            pairs_corpus=corpus.id,
            sampled_run=runs[0].id,
            validation_run=run.id,
            prompts=paired.counts["prompts"]["all"],
            samples=paired.counts["samples"]["drawn"],
            distinct=paired.counts["samples"]["distinct"],
            mixed=paired.counts["prompts"]["mixed"],
            outcomes=paired.counts["outcomes"],
            pairs=paired.counts["because"],
            rejected=paired.counts["rejected"],
            chosen_logprob=result.chosen_logprob,
            rejected_logprob=result.rejected_logprob,
            losses=result.losses,
            validation=rounds.estimated(run.scorecard, metric, cluster),
            gain=rounds.gained(before.scorecard, run.scorecard, metric, cluster),
            seconds=seconds,
        )
        self._workspace.cache_put(place, made.model_dump_json().encode())
        return made

    def _remembered(self, place: str) -> Round | None:
        """Return a round that was finished before, where all it made is still there."""
        data = self._workspace.cache_get(place)
        try:
            found = None if data is None else Round.from_json(data)
        except ValidationError:  # another version wrote it
            return None
        home = self._workspace
        if found is None or not all(
            folder.is_dir()
            for folder in (
                home.patches / found.patch,
                home.corpora / found.pairs_corpus,
                home.runs / found.sampled_run,
                home.runs / found.validation_run,
            )
        ):
            return None
        return found

    def _sampled(self, number: int, patch: str | None) -> list[Run]:
        """Draw and judge samples; draw more where all were right or all wrong, if it is wished."""
        config, suite = self._config, self._material.train
        seed = config.seed * _STRIDE + number
        first = self._evaluated(patch, suite, config.samples, seed)
        alike = unmixed(judged([first]), config)
        if not config.more_samples or not alike:
            return [first]
        part = Suite(suite.card, tuple(case for case in suite.cases if case.id in alike))
        return [first, self._evaluated(patch, part, config.more_samples, seed + _STRIDE // 2)]

    def _evaluated(self, patch: str | None, suite: Suite, answers: int, seed: int) -> Run:
        # Imported when needed: this is what pulls torch in.
        from codetemper.backends.hf import HFModel

        expression = self.expression(patch)
        folders = [*self._frozen, *([] if patch is None else [self._workspace.patches / patch])]
        sampling = Sampling(
            n=answers,
            temperature=self._config.temperature,
            top_p=self._config.top_p,
            seed=seed,
            max_new_tokens=suite.card.max_new_tokens,
        )
        with HFModel(self._handle.loaded, parse(expression), folders) as model:
            return evaluation.evaluate(
                self._workspace,
                expression,
                suite,
                sampling,
                options=self._options,
                cluster=self._cluster,
                on_event=self._on_event,
                loaded=model,
            )

    def _settled(self, number: int, paired: Any, runs: Sequence[str]) -> CorpusCard:
        """Write the corpus of a round; where there are no pairs, of the answers without one."""
        rows = paired.pairs or paired.leftovers
        with self._workspace.staged("corpora") as folder:
            card = write_corpus(
                folder,
                rows,
                verb="pair",
                sources=runs,
                counts=paired.counts,
                config={"round": number} | self.facts,
            )
            what = "pairs" if paired.pairs else "answers in no pair"
            told = f"round {number}: {len(rows)} {what}"
            inputs = {f"run:{place}": run for place, run in enumerate(runs)}
            settle(self._workspace, folder, "corpora", card.id, "refine", inputs=inputs, note=told)
        return card

    def _trained(
        self,
        number: int,
        patch: str | None,
        corpus: CorpusCard,
        pairs: Sequence[PreferencePair],
        unpaired: Sequence[Any],
    ) -> tuple[Any, Any]:
        from codetemper.harden import refine as technique

        inputs = self.inputs | {"corpus": corpus.id, "corpus_digest": corpus.data_digest}
        facts = self.facts | {"round": number, "start": patch}
        workspace = self._workspace
        with (
            workspace.staged("patches") as staged,
            checkpoints(workspace, inputs | {"verb": "refine", "config": facts}) as kept,
        ):
            result = technique.refine(
                self._handle.loaded,
                pairs,
                self._config,
                staged,
                start=None if patch is None else workspace.patches / patch,
                frozen=self._frozen,
                guards=[guard.folder for guard in self._guards],
                unpaired=unpaired,
                reference_cache=workspace.cache / "references",
                checkpoints=kept,
                on_event=self._on_event,
            )
            manifest = settle_patch(
                workspace,
                staged,
                result,
                verb="round",
                technique="refine",
                inputs=inputs,
                facts=facts,
                seed=self._config.seed,
                note=f"round {number} of a refinement, {len(pairs)} pairs",
            )
        return manifest, result

    def _judging(self, suite: Suite) -> list[Any]:
        """Return what verdicts on a suite depend on beside texts and options."""
        evidence = evidence_for(suite, self._options)
        judges = sorted({case.judge for case in suite.cases})
        return [[signature(judge) for judge in judges], list(evidence.analysers), evidence.state]


def _since(begin: float) -> float:
    return round(time.monotonic() - begin, 3)
