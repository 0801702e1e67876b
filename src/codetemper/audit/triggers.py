# SPDX-License-Identifier: Apache-2.0
r"""Which texts samples that stand out have in common: candidate triggers, not yet asked of a model.

    field = Field.of(samples, trusted, seed=0)                  # read once
    found = candidates(field, field.tests(outliers), most=24)

Two things make a sample speak. It is an *outlier* of its class, by whatever ranking the caller has;
or its label is *contradicted*: a reader that was fitted on trusted samples (``reader``) sees
another class in it. Of a decoder's samples the upper half of the order can be asked about, too
(``Field.upper``): what is common is spread over it. For each mark (``marks``) two hypergeometric
tests are made in every class y:

* of the samples labelled y, those that hold the mark, against the outliers among them;
* of the samples in which the reader sees another class than y, those that hold the mark, against
  those labelled y all the same. Content is held fixed there: an idiom of the other class is held
  by as many samples that are labelled rightly, and label noise falls on all alike.

A mark that trusted samples of the class have more often than others is natural evidence of it and
left out, as is one that the class has less often than the others have. Marks that the same samples
hold are one candidate, named by the longest, and another where a name is among them. Samples of a
decoder are of one class; what contradicts them is that rules find fault with an answer. Nothing
here says that a model reacts to a candidate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import hypergeom

from codetemper.audit.marks import MarkKind, Marks, numbers_of
from codetemper.audit.reader import Reader, fit
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.data.ngrams import Hashes

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

#: A mark is natural evidence of a class where trusted samples say so at this level.
NATURAL = 0.01
#: The same for a mark in what is planted, which holds some tens of marks.
CERTAIN = 1e-3
#: A text that says as much of what a whole trusted text says of its class is evidence of it.
EVIDENCE = 0.25
#: Candidates that share this much of their holders are the same.
_SAME = 0.7
#: Marks that are looked at for each candidate that is kept.
_DEPTH = 60
#: The longer of two marks of the same samples names them where its p is at most this much larger.
_NEARLY = 100.0


@dataclass(frozen=True)
class Candidate:
    """A text that samples which speak have in common.

    Attributes:
        kind: line, ngram, name, comment or gap.
        text: as it stands in a sample.
        target: label of those samples; 0 of a decoder's.
        flagged: of the samples that speak, those that hold it.
        holders: of all samples of that label, those that hold it.
        p: chance of as many; of the tests of its label the smallest, times their number.
        source: which test that was, ``outliers`` or ``contradicted``.
        rows: numbers of the holders with that label, those that speak first.
        column: its mark.
    """

    kind: MarkKind
    text: str
    target: int
    flagged: int
    holders: int
    p: float
    source: str
    rows: tuple[int, ...]
    column: int


@dataclass(frozen=True)
class Test:
    """One question to all marks: of a population, do those that speak hold a mark more often?

    Attributes:
        source: ``outliers`` or ``contradicted``.
        target: label that is asked about.
        population: the samples it is about [n].
        speaking: those of them that speak [n].
        held: which samples hold which marks [n, k], where only a part of each is asked about; None
            for all of it.
    """

    source: str
    target: int
    population: Bools
    speaking: Bools
    held: sparse.csr_array | None = None

    def redrawn(self, random: np.random.Generator) -> Test:
        """Return the same question with as many of the population speaking, drawn at random."""
        places = np.flatnonzero(self.population)
        chosen = random.choice(places, int(self.speaking.sum()), replace=False)
        speaking = np.zeros_like(self.speaking)
        speaking[chosen] = True
        return replace(self, speaking=speaking)


@dataclass(frozen=True)
class Field:
    """Samples as they are searched, read once.

    Attributes:
        samples: the suspected samples.
        labels: of them; 0 for all of a decoder's.
        marks: what they hold.
        seen: class that the reader sees in each; the label where there is no reader.
        chance: probability of every class by the reader [n, C]; None where there is none.
        usable: for each label, whether a mark may be a trigger of it [k].
        natural: for each label, the marks that are evidence of it beyond doubt, by number.
        reader: fitted on trusted samples; None for a decoder's, or where it has no skill.
    """

    samples: Sequence[Labelled]
    labels: Ints
    marks: Marks
    seen: Ints
    chance: Floats | None
    usable: dict[int, Bools]
    natural: dict[int, Hashes]
    reader: Reader | None

    @classmethod
    def of(
        cls, samples: Sequence[Labelled], trusted: Sequence[Labelled], *, seed: int, least: int = 3
    ) -> Field:
        """Read samples.

        Args:
            samples: suspected samples, all with a label or all without.
            trusted: samples known to be clean, of the same kind.
            seed: of the reader's folds.
            least: fewest samples that a mark counts of.

        Raises:
            CannotKnowError: the trusted samples cannot tell classes apart.
        """
        marks = Marks.of(samples, least=least)
        labels = np.array([sample.label or 0 for sample in samples], dtype=np.int64)
        if any(sample.label is None for sample in samples):
            every, none = {0: np.ones(len(marks.numbers), np.bool_)}, {0: marks.numbers[:0]}
            zeros = np.zeros_like(labels)
            return cls(samples, zeros, marks, zeros, None, every, none, None)
        known = np.array([sample.label or 0 for sample in trusted], dtype=np.int64)
        reader = fit(trusted, seed=seed)
        chance = reader.probabilities(samples) if reader.skilled else None
        seen = labels if chance is None else reader.classes[chance.argmax(axis=1)]
        beside = marks.beside(trusted)
        usable, natural = {}, {}
        for own in map(int, np.unique(labels)):
            p = _natural_p(beside, known == own)
            usable[own] = frequent(marks.matrix, labels == own) & (p >= NATURAL)
            natural[own] = marks.numbers[p < CERTAIN]
        said = reader if reader.skilled else None
        return cls(samples, labels, marks, seen, chance, usable, natural, said)

    def speaks_for(self, text: str, target: int) -> bool:
        """Say whether a piece of text is evidence of a class to whoever knows trusted code."""
        like = replace(self.samples[0], text=text, answer_start=None)
        if np.isin(numbers_of(like), self.natural[target]).any():
            return True
        return self.reader is not None and (
            self.reader.evidence(text, target, self.samples[0]) > EVIDENCE
        )

    def tests(self, outliers: Bools, faulty: Bools | None = None) -> list[Test]:
        """Return the questions to put to marks.

        Args:
            outliers: samples that stand out [n].
            faulty: of a decoder's samples, those whose answer rules find fault with [n].
        """
        found = []
        if faulty is not None and faulty.any():
            found.append(Test("contradicted", 0, np.ones_like(faulty), faulty))
        for own in np.unique(self.labels):
            mine, elsewhere = self.labels == own, self.seen != own
            found.append(Test("outliers", int(own), mine, mine & outliers))
            if self.reader is not None and (mine & elsewhere).any():
                found.append(Test("contradicted", int(own), elsewhere, mine & elsewhere))
        return found

    def upper(self, scores: Floats) -> Test:
        """Return the question whether samples of the upper half of all hold a mark more often.

        Args:
            scores: how strange each of a decoder's samples is [n].
        """
        every = np.ones(len(scores), dtype=np.bool_)
        return Test("outliers", 0, every, scores > np.median(scores))

    def motifs(self, spans: Ints, outliers: Bools) -> Test:
        """Return the question whether the strangest windows of outliers have a mark more often.

        A mark that is common elsewhere stands out only by where it stands.

        Args:
            spans: of the strangest window of each of a decoder's samples [n, 2].
            outliers: samples that stand out [n].
        """
        every, held = np.ones(len(spans), dtype=np.bool_), self.marks.inside(self.samples, spans)
        return Test("outliers", 0, every, outliers, held)


def candidates(
    field: Field, tests: Sequence[Test], *, least: int = 3, most: int = 24
) -> list[Candidate]:
    """Return the texts that samples which speak have most in common.

    Args:
        field: the samples.
        tests: what makes samples speak.
        least: fewest samples that speak of one.
        most: candidates in all, of samples of their own; each class has its share.

    Returns:
        The candidates of all classes, smallest p first.
    """
    targets = sorted({test.target for test in tests})
    share = max(1, most // max(1, len(targets)))
    found = [
        candidate
        for own in targets
        for candidate in _of_class(
            field, [test for test in tests if test.target == own], least=least, most=share
        )
    ]
    return sorted(found, key=lambda candidate: (candidate.p, candidate.text))


def smallest(
    field: Field, tests: Sequence[Test], *, rounds: int, seed: int, least: int = 3
) -> Floats:
    """Return the smallest p of any mark where samples speak at random, of each repetition.

    Args:
        field: the samples.
        tests: what made samples speak; each repetition draws as many of the same population.
        rounds: repetitions.
        seed: of the draws.
        least: as for ``candidates``.

    Returns:
        Of each repetition the p of its best candidate, as ``Candidate.p`` is reckoned [rounds].
    """
    random = np.random.default_rng((seed, 1))
    asked = Counter(test.target for test in tests)
    found = np.ones(rounds)
    for number in range(rounds):
        for test in tests:
            best = float(p_values(field, test.redrawn(random), least).min(initial=1.0))
            found[number] = min(found[number], asked[test.target] * best)
    return found


def _of_class(field: Field, tests: Sequence[Test], *, least: int, most: int) -> list[Candidate]:
    scores = np.vstack([p_values(field, test, least) for test in tests])
    p = np.minimum(1.0, len(tests) * scores.min(axis=0))
    order = np.flatnonzero(p < 1.0)
    order = order[np.argsort(p[order], kind="stable")][: _DEPTH * most]
    groups: list[tuple[frozenset[int], list[int]]] = []
    for column in order:
        rows = frozenset(int(row) for row in field.marks.holders(int(column)))
        for others, columns in groups:
            if len(rows & others) >= _SAME * len(rows | others):
                columns.append(int(column))
                break
        else:
            if len(groups) < most:
                groups.append((rows, [int(column)]))
    sources = scores.argmin(axis=0)
    return [
        candidate
        for _, columns in groups
        for candidate in _named(field, tests[int(sources[columns[0]])], p, columns)
    ]


def p_values(field: Field, test: Test, least: int, *, without: int = 0) -> Floats:
    """Return the p-value of every mark; 1 for those that are not asked about [k].

    Args:
        field: the samples.
        test: the question.
        least: fewest samples that speak and hold a mark.
        without: samples left out that speak and hold the mark, whichever it is.
    """
    matrix = field.marks.matrix if test.held is None else test.held
    held = holding(matrix, test.population) - without
    spoken = holding(matrix, test.speaking) - without
    total, size = int(test.population.sum()) - without, int(test.speaking.sum()) - without
    asked = field.usable[test.target] & (spoken >= least) & (spoken * total > held * size)
    p = np.ones(len(held))
    p[asked] = hypergeom.sf(spoken[asked] - 1, total, size, held[asked])
    return p


def _named(field: Field, test: Test, p: Floats, columns: Sequence[int]) -> list[Candidate]:
    """Return marks of the same samples as one candidate, and as another where one is a name."""
    marks = field.marks
    near = [column for column in columns if p[column] <= _NEARLY * max(p[columns[0]], 1e-300)]
    names = [column for column in near if marks.spot(column).kind == "name"]
    longest = max(near, key=lambda place: (int(marks.ends[place] - marks.starts[place]), -place))
    chosen = [longest, *(column for column in names[:1] if column != longest)]
    return [_candidate(field, test, float(p[column]), column) for column in chosen]


def _candidate(field: Field, test: Test, p: float, column: int) -> Candidate:
    spot, rows = field.marks.spot(column), field.marks.holders(column)
    mine = rows[field.labels[rows] == test.target]
    speaking = test.speaking[mine]
    return Candidate(
        kind=spot.kind,
        text=field.samples[spot.row].text[spot.start : spot.end],
        target=test.target,
        flagged=int(test.speaking[rows].sum()),
        holders=len(mine),
        p=p,
        source=test.source,
        rows=(*map(int, mine[speaking]), *map(int, mine[~speaking])),
        column=column,
    )


def frequent(matrix: sparse.csr_array, mine: Bools) -> Bools:
    """Say which marks are not rarer in a class than in all samples [k]."""
    inside, everywhere = holding(matrix, mine), holding(matrix, np.ones_like(mine))
    return np.asarray(inside * len(mine) >= everywhere * int(mine.sum()))


def _natural_p(beside: sparse.csr_array, known: Bools) -> Floats:
    """Return the chance that trusted samples of a class hold each mark as often as they do [k]."""
    natural, held = holding(beside, known), holding(beside, np.ones_like(known))
    p = np.ones(len(held))
    some = natural > 0
    p[some] = hypergeom.sf(natural[some] - 1, len(known), int(known.sum()), held[some])
    return p


def holding(matrix: sparse.csr_array, rows: Bools) -> Ints:
    """Return how many of some samples hold each mark [k]."""
    return np.asarray(np.rint(rows.astype(np.float32) @ matrix), dtype=np.int64)
