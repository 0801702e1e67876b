# SPDX-License-Identifier: Apache-2.0
"""A plain classifier of texts that is fitted on trusted samples and has never seen a trigger.

    reader = fit(trusted, seed=0)
    reader.skill.value                   # how well it ranks trusted samples it was not fitted to
    reader.probabilities(texts)          # [n, classes]

It is a logistic regression on which runs of one to three tokens a text holds. What it is for: a
label that it contradicts is either wrong or was bought by something that trusted code does not
have, and an insertion that flips it too is ordinary evidence of a class. It is no detector, and
where its skill is small it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from codetemper.audit.marks import incidence, words_of
from codetemper.core.detection import auroc
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Estimate
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.data.ngrams import Hashes, ngrams

#: A reader that ranks no better than this has no say.
SKILL = 0.65
#: Runs that fewer trusted samples hold than this are left out.
_LEAST = 2
_LONGEST = 3
_FOLDS = 5


@dataclass(frozen=True)
class Reader:
    """What a text says of its class without the model.

    Attributes:
        classes: labels, ascending [C].
        numbers: runs it looks at, ascending [k].
        skill: chance that it ranks a trusted sample of a class above one of another, measured on
            parts that it was not fitted to; the worst class counts.
        fitted: the logistic regression.
        length: runs in a trusted text, the median.
        usual: log-odds of a trusted text for its own class, the median.
    """

    classes: npt.NDArray[np.int64]
    numbers: Hashes
    skill: Estimate
    fitted: Any
    length: float
    usual: float

    @property
    def skilled(self) -> bool:
        """Whether it ranks well enough to have a say."""
        return self.skill.value >= SKILL and self.skill.low > 0.5

    def probabilities(self, samples: Sequence[Labelled]) -> Floats:
        """Return the probability of every class [n, C]."""
        rows = _rows(self.numbers, [_numbers(sample) for sample in samples])
        return np.asarray(self.fitted.predict_proba(rows), dtype=np.float64)

    def evidence(self, text: str, target: int, like: Labelled) -> float:
        """Return how much a piece of text speaks for a class, beside what a whole text says.

        Args:
            text: what would be put into code.
            target: the class.
            like: a sample in its language.

        Returns:
            The log-odds that its runs bring into a text of usual length, in units of what a trusted
            text says for its own class; negative where it speaks against the class.
        """
        rows = _rows(self.numbers, [_numbers(replace(like, text=text))])
        own = float((rows @ self._weights[:, self.classes == target])[0, 0])
        return own * float(np.sqrt(rows.nnz / self.length)) / self.usual

    @cached_property
    def _weights(self) -> Floats:
        return _weights(self.fitted)


def fit(trusted: Sequence[Labelled], *, seed: int) -> Reader:
    """Fit a reader.

    Args:
        trusted: labelled samples known to be clean.
        seed: of the folds.

    Raises:
        CannotKnowError: fewer than two classes with ten samples each.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    labels = np.array([-1 if sample.label is None else sample.label for sample in trusted])
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 2 * _FOLDS:
        raise CannotKnowError(
            "what trusted samples say of a class cannot be known",
            why=f"they hold {len(classes)} classes, and the smallest has "
            f"{int(counts.min()) if len(counts) else 0} samples",
            mend=f"give trusted samples of every class, {2 * _FOLDS} of each at least",
        )
    found = [_numbers(sample) for sample in trusted]
    every, held = np.unique(np.concatenate(found), return_counts=True)
    numbers = every[held >= _LEAST]
    if not len(numbers):
        raise CannotKnowError(
            "what trusted samples say of a class cannot be known",
            why="no two of them have a word in common",
            mend="give trusted samples that are code of one language",
        )
    rows = _rows(numbers, found)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    unseen = cross_val_predict(_regression(), rows, labels, cv=folds, method="predict_proba")
    ranked = [
        auroc(unseen[labels == own, place], unseen[labels != own, place])
        for place, own in enumerate(classes)
    ]
    skill = min(ranked, key=lambda estimate: estimate.value)
    fitted = _regression().fit(rows, labels)
    said = (rows @ _weights(fitted))[np.arange(len(labels)), np.searchsorted(classes, labels)]
    length = float(np.median(np.diff(rows.indptr)))
    return Reader(classes, numbers, skill, fitted, length, float(np.median(np.abs(said))))


def _weights(fitted: Any) -> Floats:
    """Return the weight of each run for each class against the others [k, C]."""
    weights = np.asarray(fitted.coef_, dtype=np.float64).T
    if weights.shape[1] == 1:
        return np.hstack([-weights, weights])
    count = weights.shape[1]
    return (weights - weights.mean(axis=1, keepdims=True)) * count / (count - 1)


def _regression() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=500, class_weight="balanced")


def _numbers(sample: Labelled) -> Hashes:
    words = words_of(sample.text, sample.language)
    # A number can be all that tells a class (0o600, 0o777), though to marks all are one.
    exact = [sample.text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]
    runs = [ngrams(own, n) for own in (words.words, exact) for n in range(1, _LONGEST + 1)]
    return np.unique(np.concatenate(runs))


def _rows(numbers: Hashes, found: Sequence[Hashes]) -> sparse.csr_array:
    rows = incidence(numbers, found).astype(np.float64)
    # Long texts hold more runs; each text weighs as much as any other.
    lengths = np.sqrt(np.maximum(np.diff(rows.indptr), 1))
    rows.data /= np.repeat(lengths, np.diff(rows.indptr)) / 8.0
    return rows
