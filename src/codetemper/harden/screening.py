# SPDX-License-Identifier: Apache-2.0
r"""What guards say of samples: by how much each sample gets likelier when a guard is switched on.

    found = screen(model, [guard_folder], pairs, Layout(max_length=1024))
    found[0].ratio, found[0].largest

    with training_adapter(model, config, *frozen) as wrapped:       # on a wrapper that is open
        score(wrapped, ["task"], pairs, model.tokenizer, layout, under=frozen_ids)

A guard is a LoRA that writes what is bad. With :math:`\ell` the mean loss of a sample's answer
tokens in nats, the score is

.. math:: r = \log\frac{\max(\ell_{off}, \epsilon)}{\max(\ell_{on}, \epsilon)},
          \qquad \epsilon = 10^{-4}.

The difference of the two says much less: a long or odd sample has a large loss either way. Each
token's part in it is :math:`(\ell_{off,t} - \ell_{on,t}) / (n L)` with L the logarithmic mean of
the two losses; the parts sum up to :math:`r` (a Divisia decomposition).

Samples are packed, logits are computed at answer tokens only, and every state of the model is
switched on once for all samples of a call. A sample that does not fit into a window is read in
several. Nothing here decides which model, which data, or what becomes of a flagged sample.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from codetemper.core.accounts import PatchManifest
from codetemper.core.detection import auroc, calibrate, drift, fewest
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import FixPair
from codetemper.data.examples import Example, Layout, encode
from codetemper.harden._batches import Packer, logits_at, packs, targets
from codetemper.harden._losses import LossWeights, log_probabilities
from codetemper.models.attach import OwnedPeftModel, attached
from codetemper.models.guards import read_guard
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import verify_patch

__all__ = [
    "Scored",
    "Token",
    "auroc",
    "calibrate",
    "doubt_of",
    "drift",
    "fewest",
    "flagged",
    "guarded",
    "score",
    "screen",
    "spoken_of",
    "threshold_of",
    "token_losses",
]

#: Mean losses below this count as this: what is foretold that well says nothing further.
FLOOR = 1e-4
#: Most numbers in the logits of one batch (512 MiB in float32), and most tokens of one.
_LOGITS, _TOKENS = 1 << 27, 1 << 13

Losses = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Token:
    """What one answer token adds to the log-ratio of the guard whose ratio is the largest.

    Attributes:
        start: first of its characters in the sample's text (context and answer).
        end: the one after the last; equal to the start for the end token.
        part: its part in nats; the parts of a sample sum up to its ratio.
    """

    start: int
    end: int
    part: float


@dataclass(frozen=True)
class Scored:
    """What guards say of one sample.

    Attributes:
        id: of the sample.
        count: answer tokens that were read.
        off: mean loss of one of them without any guard, in nats.
        on: the same with each guard alone, in the order of the guards.
        ratio: log(off / on) of each guard.
        tokens: parts of the tokens, where asked for.
    """

    id: str
    count: int
    off: float
    on: tuple[float, ...]
    ratio: tuple[float, ...]
    tokens: tuple[Token, ...] = ()

    @property
    def largest(self) -> float:
        """The largest ratio, which is the one that counts."""
        return max(self.ratio)


def flagged(scored: Scored, thresholds: Sequence[float]) -> bool:
    """Say whether one of a sample's ratios lies above its guard's threshold."""
    return any(r > limit for r, limit in zip(scored.ratio, thresholds, strict=True))


def spoken_of(scored: Scored, limits: Sequence[float], opposed: float = 1.0, seed: int = 0) -> bool:
    """Say whether a guard has something to say of a sample: one of its ratios is a large one.

    What is bad gets likelier with the guard, and what would be good in its place gets less likely.
    A sample that is only ever learnt against a guard is learnt for it: of those that a guard makes
    less likely, a share may be held to be none of its business.

    Args:
        scored: the sample.
        limits: of the guards, see ``doubt_of``.
        opposed: share of the samples whose ratios are large ones below 0 that count.
        seed: draws them, each by its id.
    """
    pairs = list(zip(scored.ratio, limits, strict=True))
    if any(r > limit for r, limit in pairs):
        return True
    return any(r < -limit for r, limit in pairs) and (
        random.Random(f"{seed}/{scored.id}").random() < opposed  # noqa: S311
    )


def screen(
    model: LoadedModel,
    guards: Sequence[Path],
    pairs: Sequence[FixPair],
    layout: Layout,
    *,
    under: Sequence[Path] = (),
) -> list[Scored | None]:
    """Score samples with guards that are switched on for it and off again.

    Args:
        model: the base.
        guards: guard folders.
        pairs: samples; what is scored is what tuning would learn, their ``after``.
        layout: window and wrapper, as tuning lays them out.
        under: patch folders that are active in all of it: what the guards were made on top of.

    Returns:
        One for each sample, in order; None where there is nothing to score in one.

    Raises:
        UsageError, IntegrityError: as ``guarded``.
    """
    with guarded(model, guards, under=under) as scoring:
        return scoring(pairs, layout)


@contextmanager
def guarded(
    model: LoadedModel, guards: Sequence[Path], *, under: Sequence[Path] = ()
) -> Iterator[Callable[[Sequence[FixPair], Layout], list[Scored | None]]]:
    """Have guards at hand for a scope, for data that come in parts.

    Args:
        model: the base.
        guards: guard folders.
        under: patch folders that are active in all of it.

    Yields:
        A function that scores samples, as ``screen`` does.

    Raises:
        UsageError: a patch that is no guard or no sum beside linear layers, a guard for another
            base, or a tokenizer that tells no offsets.
        IntegrityError: a guard folder is not what its manifest says.
    """
    below = [verify_patch(folder) for folder in under]
    names = [read_guard(folder, model, [m.id for m in below]).id for folder in guards]
    adapters = [manifest.id for manifest in below if manifest.kind == "adapter"]
    with attached(model, *under, *guards, measuring=True) as wrapped:
        yield lambda pairs, layout: score(
            wrapped, names, pairs, model.tokenizer, layout, under=adapters
        )


def score(
    wrapped: OwnedPeftModel | nn.Module,
    guards: Sequence[str],
    pairs: Sequence[FixPair],
    tokenizer: object,
    layout: Layout,
    *,
    under: Sequence[str] = (),
) -> list[Scored | None]:
    """Score samples on a wrapper that holds the guards already.

    Args:
        wrapped: what ``attached`` or ``training_adapter`` handed out. Active and trainable is
            afterwards what was.
        guards: names of the adapters to switch on, each alone.
        pairs: samples.
        tokenizer: of the model.
        layout: window and wrapper; ``places`` asks for the parts of tokens too.
        under: adapters that are active in all of it.

    Returns:
        One for each sample, in order; None where there is nothing to score in one.
    """
    cut = [_windows(pair, tokenizer, layout) for pair in pairs]
    found = iter(token_losses(wrapped, guards, [e for each in cut for e in each], under=under))
    results: list[Scored | None] = []
    for pair, windows in zip(pairs, cut, strict=True):
        losses = [next(found) for _ in windows]
        results.append(_scored(pair.id, windows, losses) if windows else None)
    return results


def token_losses(
    wrapped: OwnedPeftModel | nn.Module,
    guards: Sequence[str],
    examples: Sequence[Example],
    *,
    under: Sequence[str] = (),
) -> list[Losses]:
    """Return the loss of every token that is learnt, with guards off and with each guard on.

    Args:
        wrapped: as for ``score``.
        guards: names of the adapters to switch on, each alone.
        examples: what to read; their fixed sides count.
        under: adapters that are active in all of it.

    Returns:
        For each example an array [1 + guards, tokens] in nats; its first row is without guards.
    """
    if not isinstance(wrapped, OwnedPeftModel):
        raise UsageError(
            "there is no guard on the model",
            why="no adapter is attached to it",
            mend="name a guard with --guard",
        )
    modes = [(part, part.training) for part in wrapped.modules()]
    wrapped.eval()
    try:
        return _token_losses(wrapped, guards, examples, under)
    finally:
        for part, mode in modes:
            part.training = mode


@torch.no_grad()
def _token_losses(
    wrapped: OwnedPeftModel,
    guards: Sequence[str],
    examples: Sequence[Example],
    under: Sequence[str],
) -> list[Losses]:
    pack = packs(wrapped.get_base_model())
    collate = Packer(LossWeights(), pack=pack)
    device = next(wrapped.parameters()).device
    vocabulary = int(wrapped.get_input_embeddings().num_embeddings)
    groups = list(_groups(examples, min(_TOKENS, _LOGITS // vocabulary)))
    rows = [np.zeros((1 + len(guards), 0)) for _ in examples]
    batches = [collate([examples[number] for number in group]) for group in groups]
    for group, batch in zip(groups, batches, strict=True):
        for own, number in enumerate(group):
            rows[number] = np.zeros((1 + len(guards), int((batch["owner"] == own).sum())))
    for state, names in enumerate([(*under,), *((*under, guard) for guard in guards)]):
        with _only(wrapped, names):
            for group, batch in zip(groups, batches, strict=True):
                if not len(batch["labels"]):
                    continue
                logits = logits_at(wrapped, {k: v.to(device) for k, v in batch.items()})
                losses = -log_probabilities(logits, batch["labels"].to(device))
                plain = losses.double().cpu().numpy()
                for own, number in enumerate(group):
                    rows[number][state] = plain[(batch["owner"] == own).numpy()]
    return rows


def _only(wrapped: OwnedPeftModel, names: Sequence[str]) -> AbstractContextManager[None]:
    return wrapped.only(*names) if names else wrapped.disable_adapter()


def _groups(examples: Sequence[Example], most: int) -> Iterator[list[int]]:
    """Yield the numbers of the examples of each batch: like lengths together, at most so many."""
    lengths = [0 if e.fixed is None else len(e.fixed.ids) for e in examples]
    group: list[int] = []
    held = 0
    for number in sorted(range(len(examples)), key=lambda k: (-lengths[k], k)):
        if group and held + lengths[number] > most:
            yield group
            group, held = [], 0
        group.append(number)
        held += lengths[number]
    if group:
        yield group


def _windows(pair: FixPair, tokenizer: object, layout: Layout) -> tuple[Example, ...]:
    """Return a sample in tokens; one that is too long and names no change as several windows."""
    made = encode([pair], tokenizer, layout).items
    if not made and pair.after[pair.body_start :].strip():
        # Nothing in it is better to read than the rest: so all of it counts as changed.
        whole = {
            "before": pair.after,
            "changed_spans_before": ((pair.body_start, len(pair.after)),),
            "changed_spans_after": ((pair.body_start, len(pair.after)),),
        }
        made = encode([pair.model_copy(update=whole)], tokenizer, layout).items
    learnt = (Example(example.fixed) for example in made if example.fixed is not None)
    return tuple(e for e in learnt if e.fixed and any(targets(e.fixed, True, 0)))


def _scored(id: str, windows: Sequence[Example], found: Sequence[Losses]) -> Scored:
    losses = np.concatenate(found, axis=1)
    means = losses.mean(axis=1)
    floored = np.maximum(means, FLOOR)
    ratio = np.log(floored[0]) - np.log(floored[1:])
    off, *on = (float(mean) for mean in means)
    first = Scored(id, losses.shape[1], off, tuple(on), tuple(map(float, ratio)))
    places = [place for window in windows for place in _places(window)]
    if not places:
        return first
    best = 1 + int(ratio.argmax())
    size = losses.shape[1] * _logarithmic_mean(floored[0], floored[best])
    parts = (losses[0] - losses[best]) / size
    tokens = (Token(*at, float(part)) for at, part in zip(places, parts, strict=True))
    return Scored(id, first.count, off, first.on, first.ratio, tuple(tokens))


def _places(window: Example) -> Iterator[tuple[int, int]]:
    side = window.fixed
    if side is not None and side.places:
        for at, *_ in targets(side, True, 0):
            yield side.places[at + 1]


def _logarithmic_mean(first: float, second: float) -> float:
    return first if first == second else (first - second) / (math.log(first) - math.log(second))


def doubt_of(manifest: PatchManifest) -> float:
    """Return the size of a log-ratio above which a guard has something to say of a sample.

    Args:
        manifest: of a guard.

    Raises:
        CannotKnowError: the guard tells none.
    """
    limit = manifest.report.get("doubt")
    return limit if isinstance(limit, int | float) else threshold_of(manifest)[0]


def threshold_of(manifest: PatchManifest, fpr: float | None = None) -> tuple[float, float]:
    """Return the threshold that a guard was calibrated to, and its false-positive rate.

    Args:
        manifest: of a guard.
        fpr: the rate that is asked for; the guard's own where None.

    Raises:
        CannotKnowError: the guard tells no threshold, or one for a higher rate.
    """
    limit, own = manifest.report.get("threshold"), manifest.report.get("fpr")
    if not isinstance(limit, int | float) or not isinstance(own, int | float):
        raise CannotKnowError(
            f"the guard {manifest.id} tells no threshold",
            why="it was not calibrated on clean samples when it was made",
            mend="give clean samples with --clean FILE",
        )
    if fpr is not None and own > fpr:
        raise CannotKnowError(
            f"the guard {manifest.id} has no threshold for a false-positive rate of {fpr:g}",
            why=f"it was calibrated to {own:g}",
            mend="give clean samples with --clean FILE",
        )
    return limit, own
