# SPDX-License-Identifier: Apache-2.0
"""Mining and curation in one go: the pairs of a corpus to be, before anything is written.

    result, curated, facts = mined_pairs(sources, CorpusConfig(), folder)

The work itself is ``data.mine`` and ``data.curation``; this file hands them the texts of the
suites, which the layer of data does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codetemper.core.records import Case, OnEvent, ignore_events
from codetemper.data.choice import MineConfig
from codetemper.data.contamination import CaseText
from codetemper.data.curation import Curated, CurationConfig, curate
from codetemper.data.mine import MineResult, Sources, mine
from codetemper.evaluate import suites


class CorpusConfig(MineConfig, CurationConfig):
    """What counts as a fix worth learning from, and how fixes become a corpus."""

    def mining(self) -> MineConfig:
        """Return the settings that the mined pairs depend on."""
        return MineConfig.model_validate(self.model_dump(include=set(MineConfig.model_fields)))


def mined_pairs(
    sources: Sources,
    config: MineConfig | None,
    folder: Path,
    *,
    against: Sequence[str] | None = None,
    processes: int = 1,
    on_event: OnEvent = ignore_events,
) -> tuple[MineResult, Curated, dict[str, Any]]:
    """Mine pairs and curate them.

    Args:
        sources: where to look.
        config: a ``CorpusConfig``; the defaults of what it lacks where it is less.
        folder: an existing folder for the journal, which ``Curated.pairs`` reads from.
        against: suites whose cases no pair may hold; every shipped one where None.
        processes: how many work at a time.
        on_event: progress.

    Returns:
        What was mined, what of it stays, and the configuration with the suites' digests.

    Raises:
        UsageError: a source or a suite is not what it was given as.
        CannotKnowError: a mining process was killed.
    """
    settings = CorpusConfig.model_validate(config.model_dump() if config else {})
    cases, digests = case_texts(against)
    result = mine(sources, settings.mining(), folder, processes=processes, on_event=on_event)
    curated = curate(result.pairs, settings, cases, on_event=on_event)
    return result, curated, settings.model_dump(mode="json") | {"against": digests}


def case_texts(against: Sequence[str] | None = None) -> tuple[list[CaseText], dict[str, str]]:
    """Return the texts that no pair of a corpus may hold.

    Args:
        against: suites by name or ``FORMAT:PATH``; every shipped one where None.

    Returns:
        The texts of every case, and the digest of each suite.

    Raises:
        UsageError: a suite that is not there.
    """
    texts: list[CaseText] = []
    digests: dict[str, str] = {}
    for name in suites.shipped() if against is None else against:
        suite = suites.load(name)
        digests[name] = suite.digest
        texts.extend(CaseText(name, case.id, case.language, _texts(case)) for case in suite.cases)
    return texts, digests


def _texts(case: Case) -> tuple[str, ...]:
    """Return the programs of a case: what the model goes on from, alone and with each answer."""
    answers = [text for text in (case.reference, case.vulnerable) if text]
    if case.answer == "completion":
        answers += [case.prompt + text for text in answers]
    return (case.prompt, *answers)
