# SPDX-License-Identifier: Apache-2.0
"""From what the cells of a study measured to its table: one ``StudyRow`` a number.

A cell is one setting with one seed. Every question of the study is a paired comparison of two
settings, or of one with the base, on the seeds that both have; p-values of like comparisons are
corrected together (see ``_holm``). A setting without a result is a row that says why. The
arithmetic is ``evaluate.study``'s; nothing here tunes or judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from codetemper.core.accounts import StudyRow
from codetemper.core.records import Difference
from codetemper.evaluate import study
from codetemper.evaluate.study import Shares

Question = Literal["settings", "granularities", "sizes", "transfer", "lasting"]
#: Metrics that settings are compared by among themselves, where a suite has them.
MAIN = ("secure@1", "secure_pass@1", *study.FUNCTION)
#: Name of all families of weaknesses together, each answered by a model that never saw it.
POOLED = "all held-out families"


@dataclass(frozen=True, order=True)
class Setting:
    """How a model was tuned, but for the seed.

    Attributes:
        method: ``lora``, ``ia3``, ``prompt``, ``full``, ...; empty for the base.
        granularity: of the pairs.
        size: share of the fixes.
        without: family of weaknesses left out of the data; empty for none.
        then: whether the second, ordinary corpus was tuned on afterwards.
    """

    method: str
    granularity: str
    size: float
    without: str = ""
    then: bool = False

    @property
    def label(self) -> str:
        """Name for people."""
        words = [self.method, self.granularity, f"{self.size:g}" if self.method else ""]
        if self.without:
            words += ["without", self.without]
        if self.then:
            words.append("then ordinary")
        return " ".join(filter(None, words)) or "base"


@dataclass(frozen=True)
class Cell:
    """One setting with one seed: what it measured and cost, or why it did not.

    Attributes:
        setting: of the cell.
        seed: of data, training and sampling.
        shares: shares by metric and case, by suite.
        patch: id of the patch; empty where there is none.
        pairs: fix pairs learned from.
        seconds: of tuning.
        peak_bytes: most memory held while tuning, where it was measured.
        parameters: numbers that were trained.
        bytes: of the patch.
        reason: why there is no result.
    """

    setting: Setting
    seed: int
    shares: Mapping[str, Shares] = field(default_factory=dict)
    patch: str = ""
    pairs: int = 0
    seconds: float | None = None
    peak_bytes: int | None = None
    parameters: int | None = None
    bytes: int | None = None
    reason: str = ""


class Table:
    """The cells of a study, and the rows they make.

    Args:
        cells: all of them, those of the base included (``Setting("", "", 0)``).
        families: by suite, case ids by family of weaknesses.
        margin: the largest loss of a functional metric that is tolerated, as a share.
    """

    def __init__(
        self,
        cells: Iterable[Cell],
        families: Mapping[str, Mapping[str, Sequence[str]]],
        margin: float,
    ) -> None:
        self._cells: dict[Setting, dict[int, Cell]] = {}
        for cell in cells:
            self._cells.setdefault(cell.setting, {})[cell.seed] = cell
        self._families, self._margin = families, margin
        self._base = Setting("", "", 0)

    def rows(self) -> list[StudyRow]:
        """Return the rows of all questions that the cells can answer."""
        plain = [s for s in self._cells if s.method and not s.without and not s.then]
        rows = self._settings(plain)
        rows += self._granularities(plain)
        rows += self._sizes(plain)
        return rows + self._transfer() + self._lasting()

    def enough(self) -> dict[str, float]:
        """Return the least share of the data that is not worse than the most, by what was tuned."""
        groups: dict[tuple[str, str], dict[float, Setting]] = {}
        for s in self._cells:
            if s.method and not s.without and not s.then and self._measured(s):
                groups.setdefault((s.method, s.granularity), {})[s.size] = s
        found = {}
        for (method, granularity), sizes in groups.items():
            for suite, metric in self._decided():
                shares = {size: [c.shares[suite] for c in self._measured(s)]
                          for size, s in sizes.items()}  # fmt: skip
                least = study.enough(shares, metric, self._margin)
                if least is not None:
                    found[f"{method} {granularity} {suite} {metric}"] = least
        return found

    def _settings(self, settings: Sequence[Setting]) -> list[StudyRow]:
        rows = []
        for setting in settings:
            if self._measured(setting):
                rows += _flagged(self._compared("settings", self._base, setting))
            else:
                rows.append(self._empty("settings", setting))
        return _holm(rows)

    def _granularities(self, settings: Sequence[Setting]) -> list[StudyRow]:
        rows = []
        for one, other in combinations(settings, 2):
            if (one.method, one.size) == (other.method, other.size):
                rows += self._compared("granularities", other, one, MAIN)
        return _holm(rows)

    def _sizes(self, settings: Sequence[Setting]) -> list[StudyRow]:
        rows = []
        for setting in settings:
            kind = (setting.method, setting.granularity)
            like = [other for other in settings if (other.method, other.granularity) == kind]
            most = max(like, key=lambda other: other.size)
            if setting != most:
                rows += self._compared("sizes", most, setting, MAIN)
        return _holm(rows)

    def _transfer(self) -> list[StudyRow]:
        """Compare models that never saw a family with the base, and with the whole data, on it."""
        rows: list[StudyRow] = []
        pooled: dict[Setting, list[Setting]] = {}
        for setting in (s for s in self._cells if s.without):
            whole = Setting(setting.method, setting.granularity, setting.size)
            if not self._measured(setting):
                rows.append(self._empty("transfer", setting))
            for against in (self._base, whole):
                rows += self._compared("transfer", against, setting, MAIN, family=setting.without)
            pooled.setdefault(whole, []).append(setting)
        for whole, parts in pooled.items():
            rows += self._pooled(whole, parts)
        return _holm(rows)

    def _pooled(self, whole: Setting, parts: Sequence[Setting]) -> list[StudyRow]:
        """Compare with the base, each case answered by a model that never saw its family."""
        seeds = set.intersection(
            *({c.seed for c in self._measured(s)} for s in (self._base, *parts))
        )
        rows = []
        for suite, families in self._families.items():
            known = [s for s in parts if s.without in families]
            before, after = [], []
            for seed in sorted(seeds if known else ()):
                joined: dict[str, dict[str, float]] = {}
                for s in known:
                    shares = study.part(self._cells[s][seed].shares[suite], families[s.without])
                    for metric, found in shares.items():
                        joined.setdefault(metric, {}).update(found)
                after.append(joined)
                before.append(self._cells[self._base][seed].shares[suite])
            if after:
                facts = self._facts("transfer", whole, "base") | {
                    "setting": f"{whole.label} without the family asked",
                    "cases": POOLED, "seeds": tuple(sorted(seeds)),
                }  # fmt: skip
                rows += self._rows(facts, suite, before, after, MAIN)
        return rows

    def _lasting(self) -> list[StudyRow]:
        """Compare secure and then ordinary tuning with ordinary tuning alone, and with secure."""
        alone = Setting("", "", 0, then=True)
        rows = []
        for setting in (s for s in self._cells if s.then):
            before = [self._base] if setting == alone else [
                alone, Setting(setting.method, setting.granularity, setting.size), self._base
            ]  # fmt: skip
            if not self._measured(setting):
                rows.append(self._empty("lasting", setting))
            for against in before:
                rows += self._compared("lasting", against, setting, MAIN)
        return _holm(rows)

    def _compared(
        self,
        question: Question,
        against: Setting,
        setting: Setting,
        metrics: Sequence[str] = (),
        family: str = "",
    ) -> list[StudyRow]:
        """Return a row for every suite and metric that both settings have."""
        both = {c.seed for c in self._measured(against)} & {c.seed for c in self._measured(setting)}
        rows: list[StudyRow] = []
        seeds = sorted(both)
        for suite in self._suites(setting) if seeds else ():
            if family and family not in self._families.get(suite, {}):
                continue
            sides = [[self._cells[s][seed].shares[suite] for seed in seeds]
                     for s in (against, setting)]  # fmt: skip
            if family:
                cases = self._families[suite][family]
                sides = [[study.part(shares, cases) for shares in side] for side in sides]
            facts = self._facts(question, setting, against.label)
            facts |= {"cases": family, "seeds": tuple(seeds)}
            rows += self._rows(facts, suite, sides[0], sides[1], metrics)
        return rows

    def _rows(
        self,
        facts: Mapping[str, Any],
        suite: str,
        before: Sequence[Shares],
        after: Sequence[Shares],
        metrics: Sequence[str],
    ) -> list[StudyRow]:
        found = study.changes(before, after)
        flag = study.broke({name: change.whole for name, change in found.items()})
        able = study.function_metric(found)
        return [
            StudyRow(
                **facts, suite=suite, metric=name, flag=flag,
                kept=study.kept(change.whole, self._margin) if name == able else "",
                by_seed=tuple(round(value, 6) for value in change.by_seed),
                **_numbers(change.whole),
            )
            for name, change in found.items()
            if not metrics or name in metrics
        ]  # fmt: skip

    def _empty(self, question: Question, setting: Setting) -> StudyRow:
        return StudyRow(**self._facts(question, setting, "base"))

    def _facts(self, question: Question, setting: Setting, against: str) -> dict[str, Any]:
        """Return what a row says of its setting: name, cost, patches, what went wrong."""
        cells = [self._cells[setting][seed] for seed in sorted(self._cells.get(setting, {}))]
        good = [c for c in cells if not c.reason]
        wrong = {
            c.reason: [d.seed for d in cells if d.reason == c.reason] for c in cells if c.reason
        }
        return {
            "question": question, "setting": setting.label, "method": setting.method,
            "granularity": setting.granularity, "size": setting.size, "against": against,
            "reason": "; ".join(
                f"seed {', '.join(map(str, seeds))}: {why}" for why, seeds in wrong.items()
            ),
            "pairs": round(_mean([c.pairs for c in good]) or 0),
            "seconds": _mean([c.seconds for c in good if c.seconds is not None]),
            "peak_bytes": max((c.peak_bytes for c in good if c.peak_bytes), default=None),
            "parameters": max((c.parameters for c in good if c.parameters), default=None),
            "bytes": _rounded(_mean([c.bytes for c in good if c.bytes is not None])),
            "patches": tuple(c.patch for c in good if c.patch),
        }  # fmt: skip

    def _measured(self, setting: Setting) -> list[Cell]:
        cells = self._cells.get(setting, {})
        return [cells[seed] for seed in sorted(cells) if not cells[seed].reason]

    def _suites(self, setting: Setting) -> list[str]:
        return list(dict.fromkeys(s for cell in self._measured(setting) for s in cell.shares))

    def _decided(self) -> list[tuple[str, str]]:
        """Return each suite with the metric that decides whether data is enough."""
        found = []
        for suite in self._suites(self._base):
            names = self._measured(self._base)[0].shares[suite]
            metric = next((name for name in MAIN if name in names), None)
            if metric:
                found.append((suite, metric))
        return found


def _flagged(rows: Sequence[StudyRow]) -> list[StudyRow]:
    """Flag gains of security where a suite of function alone shows that function was lost."""
    ratios = {row.suite: row.difference or 0.0 for row in rows if row.metric == study.RATIO}
    lost = next((row for row in rows if row.kept == "lost" and row.suite not in ratios), None)
    if lost is None:
        return list(rows)
    fell = f"{lost.metric} of {lost.suite} fell by {-100 * (lost.difference or 0.0):.1f}"
    flags = {suite: f"{100 * gain:+.1f} points among the valid, but {fell}"
             for suite, gain in ratios.items() if gain > 0}  # fmt: skip
    return [row.model_copy(update={"flag": row.flag or flags.get(row.suite, "")}) for row in rows]


def _holm(rows: Sequence[StudyRow]) -> list[StudyRow]:
    """Fill in the corrected p-values of one question.

    A family of tests is one suite, metric and kind of comparison (with the base, or among
    settings); what is pooled over families of weaknesses is corrected by itself.
    """
    tests: dict[tuple[str, ...], float] = {
        (r.suite, r.metric, _side(r), r.cases if r.cases == POOLED else "", str(number)): r.p
        for number, r in enumerate(rows)
        if r.p is not None
    }
    adjusted = {key[-1]: p for key, p in study.corrected(tests, slice(0, 4)).items()}
    return [
        row if row.p is None else row.model_copy(update={"holm": adjusted[str(number)]})
        for number, row in enumerate(rows)
    ]


def _side(row: StudyRow) -> str:
    """Return what a family of tests compares with: the base, or other settings."""
    return row.against if row.against == "base" else "settings"


def _numbers(found: Difference) -> dict[str, Any]:
    names = ("before", "after", "difference", "low", "high", "p", "n")
    return {name: getattr(found, name) for name in names}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)
