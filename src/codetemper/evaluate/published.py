# SPDX-License-Identifier: Apache-2.0
"""The published verdicts of Li et al. (arXiv 2408.09078), read by path and counted anew.

Their folder holds one CSV a model, method, granularity and language: by scenario the numbers of
the samples that compile (``compile_val``) and of those of them that CodeQL flagged (``vul``). The
paper's secure ratio divides by the samples that compile, so ``count_anew`` puts beside it what is
secure *and* valid over all samples, with scenario-level intervals that the paper does not have.
What CodeQL flagged among samples that do not compile counts for nothing, as in the paper.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import chi2_contingency

from codetemper.core import stats
from codetemper.core.errors import UsageError
from codetemper.core.records import Difference, Estimate, Record
from codetemper.evaluate import study

#: Samples the study drew of each prompt.
SAMPLES = 30
#: Methods that train few parameters; the paper's 32 settings are of two of them.
PEFT = frozenset({"lora", "ia3", "prompt", "prefix"})
#: Level of the tests that the summary counts.
ALPHA = 0.05

_NAME = re.compile(r"(?P<model>[^-]+)-(?:pretrained|fine(?P<grain>[a-z]+))-(?P<language>c|cpp)")
_NUMBERS = re.compile(r"\[(?:'\d+'(?:, '\d+')*)?\]")
_METRICS = (study.VALID, study.RATIO, study.SECURE)


@dataclass(frozen=True)
class Published:
    """One file of verdicts.

    Attributes:
        name: its path in the folder, without the language and the extension.
        model: which model wrote the samples.
        method: how it was tuned; empty for a base.
        granularity: of the data it was tuned on; empty for a base.
        language: ``c`` or ``cpp``.
        counts: (samples that compile, samples of those that were flagged) by scenario.
    """

    name: str
    model: str
    method: str
    granularity: str
    language: str
    counts: Mapping[str, tuple[int, int]]


class PublishedRow(Record):
    """One setting, counted anew."""

    name: str
    """Path in the folder, without the language."""
    model: str
    """Which model wrote the samples."""
    method: str
    """How it was tuned; empty for a base."""
    granularity: str
    """Of the data; empty for a base."""
    language: str
    """``c`` or ``cpp``."""
    generations: int
    """Samples in all."""
    metrics: dict[str, Estimate]
    """``valid@1``, ``secure_of_valid`` (the paper's secure ratio) and ``secure@1`` (over all)."""
    differences: dict[str, Difference]
    """Of the same metrics against the setting's own base, paired by scenario; empty for a base."""
    holm: dict[str, float]
    """Holm's adjusted p-value over the settings of the table, by metric."""
    plain: dict[str, float]
    """p-value of the two-proportion test that takes samples for independent, by metric."""
    flag: str
    """Why a gain of the secure ratio is no gain; empty where it is one."""


def read_published(folder: Path, samples: int = SAMPLES) -> list[Published]:
    """Read all verdict files of a folder.

    Args:
        folder: as published: bases in it, tuned models in one folder a method.
        samples: samples drawn of each prompt.

    Raises:
        UsageError: no such files, a file of another form, a tuned model without its base.
    """
    paths = sorted(folder.rglob("*.csv"))
    if not paths:
        raise UsageError(
            f"there are no verdict files in {folder}",
            why="no file below it ends in .csv",
            mend="give the folder with the study's result files, e.g. codegen-pretrained-c.csv",
        )
    found = [_read(path, folder, samples) for path in paths]
    bases = {(one.model, one.language): set(one.counts) for one in found if not one.method}
    for one in found:
        if bases.get((one.model, one.language)) != set(one.counts):
            raise UsageError(
                f"{one.name} ({one.language}) cannot be compared with its base",
                why="its base is missing, or has other scenarios",
                mend=f"put {one.model}-pretrained-{one.language}.csv beside it",
            )
    return found


def count_anew(found: Sequence[Published], samples: int = SAMPLES) -> list[PublishedRow]:
    """Return one row a file, bases first, with intervals, paired differences and corrections.

    Args:
        found: what was read; every tuned model with its base.
        samples: samples drawn of each prompt.
    """
    bases = {(one.model, one.language): one for one in found if not one.method}
    tuned = [one for one in found if one.method]
    differences: dict[str, dict[str, Difference]] = {}
    tests: dict[tuple[str, ...], float] = {}
    for one in tuned:
        key, base = one.name + one.language, bases[one.model, one.language]
        differences[key] = study.differences(_shares(base, samples), _shares(one, samples))
        family = "peft" if one.method in PEFT else one.method
        tests |= {(family, metric, key): differences[key][metric].p for metric in _METRICS}
    holm = study.corrected(tests, slice(0, 2))
    rows = []
    for one in sorted(found, key=lambda p: (bool(p.method), p.name, p.language)):
        key = one.name + one.language
        rows.append(
            PublishedRow(
                **{k: v for k, v in vars(one).items() if k != "counts"},
                generations=samples * len(one.counts),
                metrics=_estimates(one, samples),
                differences=differences.get(key, {}),
                holm={m: p for (_, m, k), p in holm.items() if k == key},
                plain=_plain(bases[one.model, one.language], one, samples) if one.method else {},
                flag=study.broke(differences.get(key, {})),
            )
        )
    return rows


def summary(rows: Sequence[PublishedRow]) -> dict[str, Any]:
    """Return how many settings with few parameters move, by metric and by way of testing.

    ``plain`` takes every sample for independent and corrects nothing; ``scenario`` asks whether the
    paired interval over scenarios excludes 0; ``holm`` corrects that test for all settings.
    """
    tuned = [row for row in rows if row.method in PEFT]
    counts: dict[str, Any] = {"settings": len(tuned), "flagged": sum(bool(r.flag) for r in tuned)}
    for metric in _METRICS:
        tally: Counter[str] = Counter()
        for row in tuned:
            change = row.differences[metric]
            way = "better" if change.difference > 0 else "worse"
            tally["up"] += change.difference > 0
            tally[f"plain_{way}"] += row.plain[metric] < ALPHA
            tally[f"scenario_{way}"] += change.low > 0 or change.high < 0
            tally[f"holm_{way}"] += row.holm[metric] < ALPHA
        counts[metric] = dict(sorted(tally.items()))
    return counts


def headlines(rows: Sequence[PublishedRow]) -> dict[str, tuple[PublishedRow, PublishedRow]]:
    """Return by language the base and the setting that the paper's abstract names.

    That is the setting with the highest secure ratio among those with few parameters.
    """
    found = {}
    for language in sorted({row.language for row in rows if row.method in PEFT}):
        tuned = [row for row in rows if row.method in PEFT and row.language == language]
        best = max(tuned, key=lambda row: row.metrics[study.RATIO].value)
        same = (row for row in rows if not row.method and row.model == best.model)
        base = next(row for row in same if row.language == language)
        found[language] = (base, best)
    return found


def _read(path: Path, folder: Path, samples: int) -> Published:
    place = path.relative_to(folder)
    name = _NAME.fullmatch(path.stem)
    method = "/".join(place.parts[:-1])
    if name is None or bool(name["grain"]) != bool(method):
        raise UsageError(
            f"{path} does not say what it is of",
            why="names are MODEL-pretrained-LANGUAGE.csv, and METHOD/MODEL-fineGRAIN-LANGUAGE.csv",
            mend="give the study's folder as it was published",
        )
    counts: dict[str, tuple[int, int]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                counts[row["sce_id"]] = _counted(path, row, samples)
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise UsageError(
            f"{path} cannot be read",
            why=f"{type(error).__name__}: {error}",
            mend="its columns are sce_id, compile_val and vul",
        ) from error
    if not counts:
        raise UsageError(f"{path} is empty", why="it has no scenario", mend="get the file anew")
    return Published(
        name=place.with_name(path.stem.removesuffix(f"-{name['language']}")).as_posix(),
        model=name["model"],
        method=method,
        granularity=name["grain"] or "",
        language=name["language"],
        counts=counts,
    )


def _counted(path: Path, row: Mapping[str, str], samples: int) -> tuple[int, int]:
    """Return how many samples compile and how many of those were flagged."""
    sets = []
    for column in ("compile_val", "vul"):
        if not _NUMBERS.fullmatch(row[column] or ""):
            raise _wrong(path, row, f"{column} is no list of sample numbers")
        sets.append(set(re.findall(r"\d+", row[column])))
    valid, flagged = sets
    if len(valid) > samples:
        raise _wrong(path, row, f"{len(valid)} samples compile of {samples}")
    if not flagged <= valid:
        raise _wrong(path, row, "samples were flagged that do not compile")
    return len(valid), len(flagged)


def _wrong(path: Path, row: Mapping[str, str], why: str) -> UsageError:
    return UsageError(
        f"{path}: scenario {row['sce_id']} cannot be counted",
        why=why,
        mend="get the file anew, or say with --samples how many were drawn",
    )


def _shares(one: Published, samples: int) -> dict[str, dict[str, float]]:
    return {
        study.VALID: {case: valid / samples for case, (valid, _) in one.counts.items()},
        study.SECURE: {case: (v - bad) / samples for case, (v, bad) in one.counts.items()},
    }


def _estimates(one: Published, samples: int) -> dict[str, Estimate]:
    shares = _shares(one, samples)
    valid = [count for count, _ in one.counts.values()]
    ratio = [(v - bad) / v if v else 0.0 for v, bad in one.counts.values()]
    return {
        study.VALID: stats.cluster_bootstrap(list(shares[study.VALID].values())),
        study.RATIO: stats.cluster_bootstrap(ratio, valid),
        study.SECURE: stats.cluster_bootstrap(list(shares[study.SECURE].values())),
    }


def _plain(base: Published, one: Published, samples: int) -> dict[str, float]:
    """Return the p-values of the plain two-proportion test (pooled, two-sided), by metric."""
    totals = []
    for side in (base, one):
        drawn = samples * len(side.counts)
        valid = sum(v for v, _ in side.counts.values())
        secure = valid - sum(bad for _, bad in side.counts.values())
        totals.append({study.VALID: (valid, drawn), study.RATIO: (secure, valid),
                       study.SECURE: (secure, drawn)})  # fmt: skip
    return {metric: _proportions(totals[0][metric], totals[1][metric]) for metric in _METRICS}


def _proportions(first: tuple[int, int], second: tuple[int, int]) -> float:
    table = [[good, n - good] for good, n in (first, second)]
    if any(sum(column) == 0 for column in zip(*table, strict=True)):
        return 1.0  # all good, or none, on both sides
    return float(chi2_contingency(table, correction=False).pvalue)
