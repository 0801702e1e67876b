# SPDX-License-Identifier: Apache-2.0
"""One order out of many views: by class, by a fixed rule, with rates that hold on clean draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codetemper.audit import Config
from codetemper.audit.activations import Features, Place, Pool
from codetemper.audit.depth import depth_profile
from codetemper.audit.ranking import Ranking, rank
from codetemper.core.detection import auroc
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Event
from codetemper.core.stats import Floats

WIDTH, LAYERS = 12, 4
#: Detectors that cost least, for draws by the dozen.
CHEAP = ("mahalanobis", "convergence")


def made(folder: Path, states: dict[Place, Floats]) -> Features:
    """Features as ``extract`` writes them."""
    folder.mkdir(parents=True)
    places = tuple(states)
    file = folder / "encoder.npy"
    np.save(file, np.stack([states[place] for place in places]).astype(np.float32))
    return Features(places, len(states[places[0]]), None, {"encoder": file})


def drawn(
    random: np.random.Generator,
    labels: np.ndarray,
    bad: np.ndarray | None = None,
    pools: tuple[Pool, ...] = ("decision", "mean"),
    layers: int = LAYERS,
) -> dict[Place, Floats]:
    """States whose second class lies elsewhere and is wider; bad ones stand out with depth."""
    states = {}
    for pool in pools:
        for layer in range(layers + 1):
            scale = np.where(labels == 1, 5.0, 1.0)[:, None]
            found = random.normal(size=(len(labels), WIDTH)) * scale + 20 * labels[:, None]
            if bad is not None and pool == "decision":
                found[bad, layer % WIDTH] += 3.0 * layer
            states[Place("encoder", layer, pool)] = found
    return states


LABELS = np.arange(600) % 2
BAD = (np.arange(600) < 40) & (LABELS == 0)
KNOWN = np.arange(800) % 2


def ranked(tmp_path: Path, seed: int = 0, **changes: object) -> tuple[Ranking, Features]:
    random = np.random.default_rng(seed)
    features = made(tmp_path / "suspect", drawn(random, LABELS, BAD))
    trusted = made(tmp_path / "trusted", drawn(random, KNOWN))
    options: dict = {"trusted": trusted, "trusted_labels": KNOWN, "folder": tmp_path} | changes
    return rank(features, options.pop("labels", LABELS), Config(), **options), features


def test_planted_samples_come_first_of_their_class(tmp_path: Path) -> None:
    events: list[Event] = []
    found, _ = ranked(tmp_path, on_event=events.append)
    assert auroc(found.scores[BAD], found.scores[~BAD & (LABELS == 0)]).value > 0.97
    assert found.suspected[BAD].all()
    assert [found.suspected[label == LABELS].sum() for label in (0, 1)] == [30, 30]
    assert np.median(found.p[BAD]) < 0.02
    assert found.calibration == 200
    assert len(events) == events[-1].total == 10


def test_a_class_that_lies_elsewhere_or_is_wider_is_not_stranger(tmp_path: Path) -> None:
    found, _ = ranked(tmp_path)
    clean = ~BAD
    gap = found.scores[clean & (LABELS == 0)].mean() - found.scores[clean & (LABELS == 1)].mean()
    assert abs(gap) < 0.06
    # The poisoned share of class 0 takes the ranks that class 1 gives to its own.
    assert 0 < found.scores.min() < found.scores.max() < 1


def test_views_say_where_it_shows(tmp_path: Path) -> None:
    found, features = ranked(tmp_path)
    views = found.views(BAD)
    assert len(views) == len(found.seen) == 10 * 6 + 8
    last = [v for v in views if v.layer == LAYERS and v.pool == "decision"]
    other = [v for v in views if v.layer == LAYERS and v.pool == "mean"]
    worst = {v.name: v for v in last}
    assert worst["mahalanobis"].auroc is not None
    assert worst["mahalanobis"].auroc.value > 0.97
    assert worst["mahalanobis"].p is not None
    assert worst["mahalanobis"].p < 0.05
    assert min(v.p for v in other if v.p is not None) > 0.05
    assert worst["mahalanobis"].score > 0.3 > max(v.score for v in other)
    assert all(v.auroc is None for v in found.views())
    assert all(v.auroc is None for v in found.views(np.zeros(600, dtype=np.bool_)))
    profile = depth_profile(features, LABELS, found.suspected)
    gaps = {line.layer: line.gap for line in profile if line.pool == "decision"}
    assert gaps[4] > gaps[2] > gaps[1]
    even = [line.gap for line in profile if line.pool == "mean"]
    assert max(map(abs, even)) < 0.6


def test_a_clean_file_gives_the_stated_rates(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    labels, known = np.arange(120) % 2, np.arange(200) % 2
    shares, least = [], []
    for draw in range(40):
        states = [drawn(random, each, pools=("decision",), layers=2) for each in (labels, known)]
        suspect, trusted = (made(tmp_path / f"{draw}{k}", own) for k, own in enumerate(states))
        found = rank(
            suspect, labels, Config(least=40), folder=tmp_path, detectors=CHEAP, trusted=trusted,
            trusted_labels=known,
        )  # fmt: skip
        shares.append(float((found.p <= 0.1).mean()))
        assert found.adjusted is not None
        least.append(float(found.adjusted.min()))
    error = 3 * float(np.std(shares)) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.1) <= error + 0.01
    assert np.mean(np.array(least) <= 0.1) <= 0.1 + 3 * np.sqrt(0.09 / 40)


def test_without_trusted_samples_there_are_ranks_and_no_rates(tmp_path: Path) -> None:
    found, _ = ranked(tmp_path, trusted=None, trusted_labels=None)
    assert auroc(found.scores[BAD], found.scores[~BAD & (LABELS == 0)]).value > 0.95
    assert np.isnan(found.p).all()
    assert found.adjusted is None
    assert found.calibration == 0


def test_few_trusted_samples_say_how_strange_and_fit_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    few = np.arange(40) % 2
    trusted = made(tmp_path / "few", drawn(random, few))
    found, _ = ranked(tmp_path, trusted=trusted, trusted_labels=few)
    assert found.calibration == 20
    assert np.nanmin(found.p) == pytest.approx(1 / 21)


def test_the_same_seed_gives_the_same_ranking(tmp_path: Path) -> None:
    first, _ = ranked(tmp_path / "a", detectors=("clustering", "knn"))
    second, _ = ranked(tmp_path / "b", detectors=("clustering", "knn"))
    assert np.array_equal(first.scores, second.scores)
    assert np.array_equal(first.p, second.p)
    assert first.file.read_bytes() == second.file.read_bytes()


def test_what_one_score_from_elsewhere_sees_plainly_counts(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    marked = np.arange(600) >= 590
    ratio = np.concatenate([random.normal(size=600) + 20 * marked, random.normal(size=800)])
    ratio[11] = np.nan
    found, _ = ranked(tmp_path, others={"windowed-llr": ratio}, detectors=CHEAP)
    assert found.suspected[marked].all()
    assert found.suspected[BAD].mean() > 0.7
    view = next(view for view in found.views(marked) if view.name == "windowed-llr")
    assert view.layer == -1
    assert view.auroc is not None
    assert view.auroc.value > 0.99
    number = [view.name for view in found.seen].index("windowed-llr")
    assert found.ranks()[number, 11] == found.ranks()[number, LABELS == 1].min()


def test_samples_without_classes_are_one_group(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    one = np.zeros(200, dtype=np.int64)
    bad = np.arange(200) < 10
    features = made(tmp_path / "one", drawn(random, one, bad))
    found = rank(features, None, Config(), folder=tmp_path, detectors=CHEAP)
    assert found.suspected[bad].all()


def test_ten_samples_and_one_class_say_how_many_are_needed(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    few = made(tmp_path / "few", drawn(random, np.arange(10) % 2))
    with pytest.raises(CannotKnowError) as caught:
        rank(few, np.arange(10) % 2, Config(), folder=tmp_path)
    assert "10 samples" in caught.value.what
    assert "give 40 samples or more" in caught.value.mend
    alike = np.ones(100, dtype=np.int64)
    same = made(tmp_path / "same", drawn(random, alike))
    with pytest.raises(CannotKnowError) as caught:
        rank(same, alike, Config(), folder=tmp_path)
    assert "100 of class 1" in caught.value.why
    assert "at least 10 samples of a second class" in caught.value.mend
    # A few of another class are not enough; a small third class is left out and does no harm.
    mixed = np.array([1] * 95 + [0] * 5)
    with pytest.raises(CannotKnowError, match="a backdoor cannot be told"):
        rank(same, mixed, Config(), folder=tmp_path)
    third = np.array([0] * 48 + [1] * 48 + [2] * 4)
    found = rank(same, third, Config(), folder=tmp_path, detectors=CHEAP)
    assert (found.scores[third == 2] == 0).all()
    assert not found.suspected[third == 2].any()


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(10)
    features = made(tmp_path / "a", drawn(random, LABELS))
    other = made(tmp_path / "b", drawn(random, KNOWN, layers=2))
    with pytest.raises(UsageError, match="labels and scores"):
        rank(features, LABELS[1:], Config(), folder=tmp_path)
    with pytest.raises(UsageError) as caught:
        rank(features, LABELS, Config(), folder=tmp_path, others={"llr": np.zeros(7)})
    assert "7 of llr" in caught.value.why
    with pytest.raises(UsageError, match="trusted samples were not read"):
        rank(features, LABELS, Config(), folder=tmp_path, trusted=other, trusted_labels=KNOWN)
    with pytest.raises(UsageError, match="spectrall"):
        rank(features, LABELS, Config(), folder=tmp_path, detectors=["spectrall"])
    with pytest.raises(CannotKnowError, match="depth profile"):
        depth_profile(features, LABELS, np.arange(600) < 3)


def test_states_without_a_deciding_pool_are_ranked_by_those_there_are(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    bad = np.arange(600) < 20
    states = drawn(random, LABELS, pools=("mean",))
    for place, found in states.items():
        found[bad, 0] += 6 * place.layer * np.where(LABELS[bad] == 1, 5, 1)
    features = made(tmp_path / "mean", states)
    ranking = rank(features, LABELS, Config(), folder=tmp_path, detectors=CHEAP)
    assert ranking.suspected[bad].all()
