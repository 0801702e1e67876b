# SPDX-License-Identifier: Apache-2.0
"""Scan many programs: batches for each analyser, a cache by content, and halving on failure.

A program that makes an analyser crash or run on costs its batch a few more processes and is then
reported as unread; the others of its batch lose nothing. Results depend on the text, the language,
the analyser's version and its settings, and the cache is keyed by just these.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from codetemper.core.digests import digest_bytes, digest_json, short
from codetemper.core.disk import mendable
from codetemper.core.journal import Journal
from codetemper.core.records import Event, Language, OnEvent, ignore_events
from codetemper.judges._static.form import SUFFIX, Analyser, Limits, Look, ScanFailedError


@dataclass(frozen=True)
class Source:
    """One program to look at.

    Attributes:
        text: all of it.
        language: of the text.
    """

    text: str
    language: Language


def scan(
    sources: Sequence[Source],
    analysers: Sequence[Analyser],
    *,
    limits: Limits,
    cache: Path | None = None,
    on_event: OnEvent = ignore_events,
) -> list[dict[str, Look]]:
    """Let analysers look at programs.

    Args:
        sources: programs; equal ones are looked at once.
        analysers: those that are installed; each sees the languages it reads.
        limits: workers, size of a batch, deadline.
        cache: folder for results; None keeps none. Several processes may share it.
        on_event: progress, in programs times analysers.

    Returns:
        For every program its looks by analyser name.
    """
    looks: list[dict[str, Look]] = [{} for _ in sources]
    total = sum(s.language in a.languages for s in sources for a in analysers)
    done = 0
    for analyser in analysers:
        memory = _Memory(analyser, cache)
        for language in analyser.languages:
            places: dict[str, list[int]] = {}
            for place, source in enumerate(sources):
                if source.language == language:
                    places.setdefault(source.text, []).append(place)
            for text, look in _looks(list(places), language, analyser, memory, limits):
                for place in places[text]:
                    looks[place][analyser.name] = look
                done += len(places[text])
                on_event(Event(stage="scan", done=done, total=total, unit="programs"))
    return looks


class _Memory:
    """What an analyser in its present version and settings said before."""

    def __init__(self, analyser: Analyser, cache: Path | None) -> None:
        self._journal: Journal | None = None
        if cache is not None:
            folder = cache / "static"
            with mendable(folder):
                folder.mkdir(parents=True, exist_ok=True)
            state = digest_json([analyser.name, analyser.version(), analyser.settings()])
            self._journal = Journal(folder / f"{analyser.name}-{short(state)}.sqlite")

    @staticmethod
    def _key(language: Language, text: str) -> str:
        return digest_json([language, digest_bytes(text.encode("utf-8", "surrogatepass"))])

    def get(self, language: Language, text: str) -> Look | None:
        if self._journal is None:
            return None
        value = self._journal.get(self._key(language, text))
        return Look.model_validate(value) if value is not None else None

    def put(self, language: Language, looks: dict[str, Look]) -> None:
        if self._journal is not None:
            self._journal.put(
                (self._key(language, text), look.model_dump(mode="json"))
                for text, look in looks.items()
            )


def _looks(
    texts: list[str], language: Language, analyser: Analyser, memory: _Memory, limits: Limits
) -> Iterator[tuple[str, Look]]:
    """Yield every text with its look, those in memory first."""
    missing = []
    for text in texts:
        look = memory.get(language, text)
        if look is None:
            missing.append(text)
        else:
            yield text, look
    for group in _groups(missing, analyser, limits):
        with ThreadPoolExecutor(limits.workers) as pool:
            for found in pool.map(_batch_of(analyser, language, limits), group):
                memory.put(language, found)
                yield from found.items()


def _groups(texts: list[str], analyser: Analyser, limits: Limits) -> Iterator[list[list[str]]]:
    """Yield groups of batches that run side by side; one batch where the analyser divides."""
    side = 1 if analyser.divides else limits.workers
    for start in range(0, len(texts), limits.batch * side):
        part = texts[start : start + limits.batch * side]
        size = -(-len(part) // side)
        yield [part[i : i + size] for i in range(0, len(part), size)]


def _batch_of(
    analyser: Analyser, language: Language, limits: Limits
) -> Callable[[list[str]], dict[str, Look]]:
    def batch(texts: list[str]) -> dict[str, Look]:
        folder = Path(tempfile.mkdtemp(prefix="codetemper-scan-"))
        try:
            names = [f"f{number:05d}{SUFFIX[language]}" for number in range(len(texts))]
            with mendable(folder):
                for name, text in zip(names, texts, strict=True):
                    (folder / name).write_bytes(text.encode("utf-8", "replace"))
            looks = analyser.scan(folder, names, language, limits)
            return {text: looks[name] for name, text in zip(names, texts, strict=True)}
        except ScanFailedError:
            if len(texts) == 1:
                return {texts[0]: Look(read=False)}
            half = len(texts) // 2
            return batch(texts[:half]) | batch(texts[half:])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return batch
