# SPDX-License-Identifier: Apache-2.0
"""The cells of a study: one setting with one seed, tuned and evaluated, or found again.

A cell is known by what it is made of: base, data, configuration, seed; suite, sampling, judges.
Patches are found by their manifests and runs by what the ledger and their own configuration say, so
a study that was killed goes on where it was, and two studies share what they have in common. Only
what nothing else keeps (a setting that diverged, the memory that tuning took) lies in a journal of
the cache. ``api.study`` says which cells there are and what they add up to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml

from codetemper.api import evaluation, treatments
from codetemper.api.account import read_manifest
from codetemper.api.evidence import evidence_for
from codetemper.api.models import full_name
from codetemper.api.runs import Run, read_run
from codetemper.api.settling import settle
from codetemper.api.study_parts import StudyConfig, memory, part_of
from codetemper.api.tuning import fix_pairs, recorded
from codetemper.core.accounts import PatchManifest
from codetemper.core.contents import REMOVED
from codetemper.core.digests import digest_file, digest_json
from codetemper.core.disk import mendable
from codetemper.core.errors import UsageError
from codetemper.core.journal import Journal
from codetemper.core.records import FixPair, OnEvent, Sampling
from codetemper.core.settings import resolve_config
from codetemper.core.tables import rows_digest
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import write_corpus
from codetemper.evaluate import suites
from codetemper.evaluate.study_rows import Cell, Setting
from codetemper.judges import JudgeOptions, qualify, signature
from codetemper.models.expression import parse


class Cells:
    """Makes cells, or finds them.

    Args:
        workspace: holds corpus, patches and runs; gets new ones.
        model: expression of the base.
        corpus: id of the corpus, or its beginning, or a folder.
        config: what is compared.
        options: of the judges.
        device: torch device name.
        on_event: progress.

    Raises:
        UsageError: a base with patches, a corpus that is not of pairs, settings that cannot be.
    """

    def __init__(
        self,
        workspace: Workspace,
        model: str,
        corpus: str,
        config: StudyConfig,
        *,
        options: JudgeOptions,
        device: str,
        on_event: OnEvent,
    ) -> None:
        self.workspace, self.config = workspace, config
        self.model = full_name(workspace, model)
        if parse(self.model).patches:
            raise UsageError(
                f"'{model}' already carries a patch",
                why="a study compares patches of one plain base",
                mend=f"codetemper study tune {parse(self.model).bare} ...",
            )
        self._named = corpus
        self.card, self.pairs = fix_pairs(workspace, corpus)
        self._parts: dict[tuple[float, str, int], tuple[list[FixPair], str]] = {}
        self.then = fix_pairs(workspace, config.then) if config.then else None
        self._options, self._device, self.on_event = options, device, on_event
        self.handle: Any = None
        for method in config.methods:
            for granularity in config.granularities:
                self._config(Setting(method, granularity, 1.0), 0)

    @cached_property
    def families(self) -> dict[str, dict[str, list[str]]]:
        """Case ids by family of weaknesses, by suite; families that the data has pairs of."""
        taught = {
            qualify.family(pair.cwe)
            for pair in self.pairs
            if pair.cwe and pair.split == "train" and pair.granularity in self.config.granularities
        }
        found: dict[str, dict[str, list[str]]] = {}
        for name in self.config.suites:
            for seed in self.config.seeds:
                for case in self.suite(name, seed).cases:
                    family = qualify.family(case.cwe) if case.cwe else ""
                    if family in taught:
                        found.setdefault(name, {}).setdefault(family, []).append(case.id)
        return {
            name: {family: list(dict.fromkeys(ids)) for family, ids in by_family.items()}
            for name, by_family in found.items()
        }

    def asked(self, setting: Setting) -> list[str]:
        """Return the suites of a setting: of one without a family, those that have its cases."""
        names = dict.fromkeys(self.config.suites)
        return [
            n for n in names if not setting.without or setting.without in self.families.get(n, {})
        ]

    def suite(self, name: str, seed: int) -> suites.Suite:
        """Return a suite as a seed sees it."""
        return _suite(name, self.config.limit, seed if self.config.limit else 0)

    def settled(self, setting: Setting, seed: int) -> tuple[PatchManifest | None, dict[str, Any]]:
        """Return the patch of a cell, where there is one, and what the journal says of it."""
        noted = self._journal.get(self._key(setting, seed)) or {}
        if self.handle is not None and noted.get("base") not in (None, self.handle.loaded.digest):
            noted = {}
        config, digest = self._recorded(setting, seed), self.learned(setting, seed)[1]
        for manifest in self._manifests():
            if manifest.base != self._base(setting, seed) or manifest.corpus_digest != digest:
                continue
            if self.handle is not None and manifest.base_digest != self.handle.loaded.digest:
                continue
            same = all(manifest.config.get(name) == value for name, value in config.items())
            if same and not manifest.config.get("guards") and manifest.config.get("limit") is None:
                return manifest, noted
        return None, noted

    def make(self, setting: Setting, seed: int) -> Cell:
        """Return a cell, tuning and evaluating what is not there yet.

        Settings that cannot be tuned (diverged, no pairs of that kind) are cells with a reason;
        what concerns the machine (a full disk, no sandbox) ends the study.
        """
        if not setting.method and not setting.then:
            return Cell(setting, seed, self._evaluated(self.model, None, setting, seed))
        before = replace(setting, then=False)
        if setting.then and before.method and self.settled(before, seed)[0] is None:
            return Cell(setting, seed, reason=f"{before.label} could not be tuned")
        manifest, noted = self.settled(setting, seed)
        cell = Cell(setting, seed, reason=str(noted.get("failed", "")))
        if manifest is None and not cell.reason:
            try:
                manifest, noted = self._tuned(setting, seed)
            except UsageError as error:
                if isinstance(error.__cause__, OSError):
                    raise
                cell = replace(cell, reason=f"{error.what}: {error.why}")
                self._note(setting, seed, {"failed": cell.reason})
        if manifest is None:
            return cell
        expression = f"{self._base(setting, seed)}+{manifest.id}"
        return replace(
            cell,
            reason="",
            shares=self._evaluated(expression, manifest, setting, seed),
            patch=manifest.id,
            pairs=self.taught(setting, seed),
            seconds=manifest.seconds,
            peak_bytes=noted.get("peak_bytes"),
            parameters=manifest.parameters_changed,
            bytes=manifest.bytes,
        )

    def learned(self, setting: Setting, seed: int) -> tuple[list[FixPair], str]:
        """Return the pairs a cell learns from and their digest: a share, without a family."""
        if setting.then and self.then is not None:
            return self.then[1], self.then[0].data_digest
        key = (setting.size, setting.without, seed)
        if key not in self._parts:
            pairs = part_of(self.pairs, setting.size, setting.without, seed)
            self._parts[key] = pairs, rows_digest(pairs)
        return self._parts[key]

    def taught(self, setting: Setting, seed: int) -> int:
        """Return how many pairs a cell learns from, or at most: tune may skip some."""
        pairs = [pair for pair in self.learned(setting, seed)[0] if pair.split == "train"]
        return sum(pair.granularity == self._config(setting, seed)["granularity"] for pair in pairs)

    def _base(self, setting: Setting, seed: int) -> str:
        """Return the expression that a cell's tuning starts from."""
        before = replace(setting, then=False)
        if not setting.then or not before.method:
            return self.model
        manifest, _ = self.settled(before, seed)
        if manifest is None:  # only planned yet
            return f"{self.model}+tune-of-{before.label.replace(' ', '-')}"
        return f"{self._base(before, seed)}+{manifest.id}"

    def _config(self, setting: Setting, seed: int) -> dict[str, Any]:
        values = self.config.tune | {"seed": seed}
        if setting.then:
            # Ordinary tuning knows of no vulnerable side, whatever the secure one was taught by.
            values |= {"method": "lora", "unlikelihood": 0.0, "contrast": 0.0}
        else:
            values |= {"method": setting.method, "granularity": setting.granularity}
        return recorded(self._checked(values), guarded=False)

    def _recorded(self, setting: Setting, seed: int) -> dict[str, Any]:
        """Return the configuration as a manifest records it: a mix by its name and digest."""
        config = self._config(setting, seed)
        if config.get("mix"):
            mix = Path(config["mix"])
            config |= {"mix": mix.name, "mix_digest": digest_file(mix)}
        return config

    def _checked(self, values: Mapping[str, Any]) -> Any:
        from codetemper.harden.tune import Config

        # What the user set by file, environment or flag is in the study's configuration already.
        return resolve_config(Config, "tune", flags=values, environment={})

    def _tuned(self, setting: Setting, seed: int) -> tuple[PatchManifest, dict[str, Any]]:
        base = self._base(setting, seed)
        with memory(self._device) as peak:
            manifest = treatments.tune(
                self.workspace,
                base,
                self._corpus(setting, seed),
                self._checked(self._config(setting, seed)),
                device=self._device,
                on_event=self.on_event,
                loaded=self.handle,
            )
        noted = {"peak_bytes": peak.get("bytes")}
        self._note(setting, seed, noted)
        return manifest, noted

    def _corpus(self, setting: Setting, seed: int) -> str:
        """Return the corpus a cell learns from; a part of the study's is settled first."""
        if setting.then:
            return str(self.config.then)
        card, (rows, digest) = self.card, self.learned(setting, seed)
        if digest == card.data_digest:
            return self._named
        if not rows:
            raise UsageError(
                "no pairs are left to learn from",
                why=f"all {len(self.pairs)} of the corpus are of {setting.without}",
                mend="use a corpus of more weaknesses",
            )
        with self.workspace.staged("corpora") as folder:
            facts = {"corpus": card.id, "size": setting.size, "without": setting.without,
                     "seed": seed}  # fmt: skip
            made = write_corpus(folder, rows, verb="part", sources=card.sources, config=facts)
            settle(
                self.workspace, folder, "corpora", made.id, "study",
                inputs={"corpus": card.id, "corpus_digest": card.data_digest},
                note=f"{len(rows)} of {len(self.pairs)} pairs",
            )  # fmt: skip
        return made.id

    def _evaluated(
        self, expression: str, manifest: PatchManifest | None, setting: Setting, seed: int
    ) -> dict[str, Mapping[str, Mapping[str, float]]]:
        """Return the shares of every suite, from runs that are there or new ones."""
        from codetemper.backends.hf import HFModel

        shares: dict[str, Mapping[str, Mapping[str, float]]] = {}
        missing = []
        for name in self.asked(setting):
            run = self._run(expression, name, seed)
            if run is None:
                missing.append(name)
            shares[name] = run.scorecard.per_case if run else {}
        if not missing:
            return shares
        names = parse(expression).patches
        folders = [self.workspace.patches / name for name in names]
        with HFModel(self.handle.loaded, parse(expression), folders) as model:
            for name in missing:
                run = evaluation.evaluate(
                    self.workspace,
                    expression,
                    name,
                    self._sampling(name, seed),
                    limit=self.config.limit,
                    options=self._options,
                    on_event=self.on_event,
                    loaded=model,
                )
                shares[name] = run.scorecard.per_case
        return shares

    def _run(self, expression: str, name: str, seed: int) -> Run | None:
        """Return a run that answered the same cases in the same way, under the same judges."""
        suite = self.suite(name, seed)
        evidence = evidence_for(suite, self._options)
        asked: dict[str, Any] = {
            "suite_digest": suite.digest,
            "sampling": self._sampling(name, seed).model_dump(mode="json"),
            "judges": {judge: signature(judge) for judge in {case.judge for case in suite.cases}},
            "analysers": {"names": list(evidence.analysers), "state": evidence.state},
        }
        if not parse(expression).patches:
            asked["model_digest"] = self.handle.loaded.digest
        options = self._options.model_dump(mode="json", exclude={"workers", "cache"})
        for entry in reversed(self.workspace.ledger.entries()):
            if (entry.verb, entry.inputs.get("model")) != ("eval", expression):
                continue
            folder = self.workspace.runs / next(iter(entry.outputs)).removeprefix("run:")
            if not folder.is_dir():
                continue
            made = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
            same = all(made["options"].get(key) == value for key, value in options.items())
            if same and all(made.get(key) == value for key, value in asked.items()):
                return read_run(folder)
        return None

    def _sampling(self, name: str, seed: int) -> Sampling:
        return Sampling(
            n=self.config.samples,
            temperature=self.config.temperature,
            seed=seed,
            max_new_tokens=suites.budget(name),
        )

    def _manifests(self) -> Iterator[PatchManifest]:
        """Yield the manifests of all tuned patches that the ledger knows, newest first."""
        for name, digest in reversed(self.workspace.ledger.outputs().items()):
            folder = self.workspace.patches / name.removeprefix("patch:")
            if name.startswith("patch:") and digest != REMOVED and folder.is_dir():
                manifest = read_manifest(folder)
                if manifest.verb == "tune":
                    yield manifest

    @cached_property
    def _journal(self) -> Journal:
        folder = self.workspace.cache / "journals"
        with mendable(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return Journal(folder / "study.sqlite")

    def _key(self, setting: Setting, seed: int) -> str:
        return digest_json(
            {"model": self._base(setting, seed), "config": self._recorded(setting, seed),
             "data": self.learned(setting, seed)[1]}
        )  # fmt: skip

    def _note(self, setting: Setting, seed: int, facts: dict[str, Any]) -> None:
        key = self._key(setting, seed)
        self._journal.put([(key, facts | {"base": self.handle.loaded.digest})])


@lru_cache(maxsize=64)
def _suite(name: str, limit: int | None, seed: int) -> suites.Suite:
    return suites.load(name, limit=limit, seed=seed)
