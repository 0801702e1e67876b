# SPDX-License-Identifier: Apache-2.0
"""Static scan: a thousand files in batches against one process a file; our rules on real fixes.

Every analyser is compared with itself: the same command, a process for every file, on a sample of
the files, scaled up with a bootstrap interval over the sample. A scan is that of all analysers of a
language; wall time on two workers against one process after another, and processor time of both.
Nothing is cached. Files are real functions where they
are at hand (before and after fixes, SVEN), else the shipped pairs; each is made unique by a comment
so that nothing is scanned once for all. Batch and sample alternate in one run.

Also figures: a second scan from the cache; precision of our own rules on SVEN's Python pairs.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from codetemper.core.records import Language
from codetemper.core.stats import wilson
from codetemper.evaluate import suites
from codetemper.judges import _static, qualify
from codetemper.judges._static import batch
from codetemper.judges._static.batch import Source
from codetemper.judges._static.families import agree
from codetemper.judges._static.form import Analyser, Limits
from codetemper.judges._static.programs import program

SVEN = Path(__file__).resolve().parents[3] / "shared" / "data" / "sven"
TARGET = "at least 20 times one process a file"
PART = "known, a part of all analysers of the language"
LIMITS = Limits(workers=2, file_s=600)
#: Wall and processor seconds.
Times = tuple[float, float]


def figures(quick: bool) -> dict[str, Figure]:
    """Return the figures of this section; quick takes a tenth of the files."""
    found: dict[str, Figure] = {}
    count, sample = (100, 4) if quick else (1000, 30)
    whole: dict[Language, list[tuple[Times, list[Times]]]] = {}
    for language, analyser in _pairs_of_tools():
        sides = _race(analyser, _files(language, count), sample)
        found |= _figures(f"static.{language}.{analyser.name}", [sides], count, PART)
        whole.setdefault(language, []).append(sides)
    for language, all_sides in whole.items():
        found |= _figures(f"static.{language}.all", all_sides, count, TARGET)
    found |= _again(count)
    if SVEN.is_dir():
        found |= _real_fixes(quick)
    return found


def _pairs_of_tools() -> list[tuple[Language, Analyser]]:
    languages: tuple[Language, ...] = ("python", "c")
    return [(language, one) for language in languages for one in _static.installed()
            if language in one.languages]  # fmt: skip


def _files(language: Language, count: int) -> list[Source]:
    """Return so many different programs of real size."""
    texts = [program(case, text or "")[0].text for case in _cases(language)
             for text in (case.reference, case.vulnerable)]  # fmt: skip
    if language == "python" and SVEN.is_dir():
        texts += [side for pair in _sven() for side in pair[1:]]
    mark = "#" if language == "python" else "//"
    return [Source(f"{texts[i % len(texts)]}\n{mark} {i}\n", language) for i in range(count)]


def _cases(language: Language) -> list[qualify.Case]:
    name = {"python": "secure-python", "c": "secure-c", "cpp": "secure-cpp"}[language]
    return qualify.pairs_of(suites.load(name).cases)


def _race(analyser: Analyser, files: Sequence[Source], sample: int) -> tuple[Times, list[Times]]:
    """Return the times of all files in batches, and of a process for each of a sample."""
    chosen = random.Random(0).sample(list(files), sample)  # noqa: S311
    alone = Limits(workers=1, file_s=600)
    seconds = [_timed([file], analyser, alone) for file in chosen[: sample // 2]]
    batched = _timed(files, analyser, LIMITS)
    seconds += [_timed([file], analyser, alone) for file in chosen[sample // 2 :]]
    return batched, seconds


def _figures(
    name: str, sides: Sequence[tuple[Times, list[Times]]], count: int, target: str
) -> dict[str, Figure]:
    """Return how many times faster batches are, all tools of ``sides`` together."""
    found = {}
    for clock, word in enumerate(("times_faster", "times_less_processor_time")):
        draw = random.Random(1)  # noqa: S311
        batched = sum(side[clock] for side, _ in sides)
        samples = [[times[clock] for times in sample] for _, sample in sides]
        single = sum(statistics.fmean(sample) for sample in samples) * count
        drawn = sorted(
            sum(statistics.fmean(draw.choices(sample, k=len(sample))) for sample in samples) * count
            for _ in range(2000)
        )
        ratio = single / batched
        asked = target == TARGET and clock == 0
        found[f"{name}.{word}"] = Figure(
            value=ratio, low=drawn[50] / batched, high=drawn[1949] / batched,
            target=TARGET if asked else PART if target == PART else "known, not asked for",
            holds=ratio >= 20 or not asked, peer=single, ratio=ratio,
        )  # fmt: skip
    return found


def _timed(files: Sequence[Source], analyser: Analyser, limits: Limits) -> Times:
    start, used = time.perf_counter(), _processor()
    batch.scan(files, [analyser], limits=limits)
    return time.perf_counter() - start, _processor() - used


def _processor() -> float:
    """Return the processor seconds of this process and of all it waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def _again(count: int) -> dict[str, Figure]:
    """Return how long a scan takes of which everything is known."""
    files = _files("python", count)
    bandit = _static.installed(("bandit",))
    if not bandit:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        batch.scan(files, bandit, limits=LIMITS, cache=Path(folder))
        times = []
        for _ in range(5):
            start = time.perf_counter()
            batch.scan(files, bandit, limits=LIMITS, cache=Path(folder))
            times.append(time.perf_counter() - start)
    middle = statistics.median(times)
    return {
        "static.python.cached_seconds": Figure(
            value=middle, low=min(times), high=max(times), target="below 2 s for 1,000 files",
            holds=middle < 2,
        )
    }  # fmt: skip


def _sven() -> list[tuple[str, str, str]]:
    """Return weakness, text before and after the fix of SVEN's Python functions."""
    pairs = []
    for path in sorted(SVEN.glob("cwe-*.jsonl")):
        cwe = f"CWE-{int(path.stem.removeprefix('cwe-'))}"
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if row["file_name"].endswith(".py"):
                pairs.append((cwe, row["func_src_before"], row["func_src_after"]))
    return pairs


def _real_fixes(quick: bool) -> dict[str, Figure]:
    """Return precision of our own rules, and of bandit, on functions before and after real fixes.

    A finding of the pair's family before the fix is right, one after it is false. Our rules were
    not made from these functions.
    """
    pairs = _sven()[:: 10 if quick else 1]
    found: dict[str, Figure] = {}
    for analyser in _static.installed(("semgrep", "bandit")):
        sources = [Source(text, "python") for _, *sides in pairs for text in sides]
        looks = batch.scan(sources, [analyser], limits=LIMITS)
        said = [
            any(agree(f.cwe, pairs[i // 2][0]) and f.severity != "note"
                for f in look[analyser.name].findings)
            for i, look in enumerate(looks)
        ]  # fmt: skip
        hits, false = sum(said[0::2]), sum(said[1::2])
        low, high = wilson(hits, hits + false)
        found[f"static.sven_python.{analyser.name}.precision"] = Figure(
            value=hits / max(1, hits + false), low=low, high=high,
            target="above 0.83, bandit's there", holds=hits / max(1, hits + false) > 0.83,
        )  # fmt: skip
        low, high = wilson(hits, len(pairs))
        found[f"static.sven_python.{analyser.name}.recall"] = Figure(
            value=hits / max(1, len(pairs)), low=low, high=high, target="known, not asked for",
            holds=True,
        )  # fmt: skip
    return found
