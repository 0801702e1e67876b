# SPDX-License-Identifier: Apache-2.0
"""``tune``: teach a model the fixed side of real vulnerability fixes, as a patch.

    result = tune(model, pairs, Config(epochs=3), folder)     # folder becomes a patch's tensors

The model reads ``after[:body_start]`` (comment, signature) and is trained on the body; settings
add terms that weight what the fix changed or set it against the vulnerable side, none of which is
on by default (``_losses``). Batches are packed and the head is computed where there is loss
(``_batches``); the loop is transformers' ``Trainer`` (``_trainer``); what is trained, and the exact
return of the base, are ``_methods``'s. This file writes no manifest and knows no workspace, and it
does not judge: whether the patch helps is for the evaluation to say; a validation score is handed
in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codetemper.core.disk import mendable
from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair, OnEvent, ignore_events
from codetemper.data.examples import Example, Examples, Layout, encode
from codetemper.data.mixing import General, encode_general, sample
from codetemper.harden import TechniqueCard
from codetemper.harden._batches import packs
from codetemper.harden._guarding import Guarded, guarding, set_aside
from codetemper.harden._losses import LossWeights
from codetemper.harden._methods import METHODS, trainable
from codetemper.harden._session import arguments, peak_rate, scratch_beside
from codetemper.harden._settings import GUARDED, IN_TURNS, LIKE_THE_STUDY, STUDY_LAYERS, Config
from codetemper.harden._trainer import PairTrainer, Run, Score, newest_checkpoint, seconds_until
from codetemper.harden._turns import Turns
from codetemper.models.guards import Guard, read_guard
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest
from codetemper.models.silence import quiet
from codetemper.models.training import curve, refuse_divergence, seeded

__all__ = [
    "CARD",
    "GUARDED",
    "IN_TURNS",
    "LIKE_THE_STUDY",
    "Config",
    "TuneResult",
    "layout_of",
    "learnable",
    "tune",
    "weights_of",
]

CARD = TechniqueCard(
    name="tune",
    summary="Trains a patch on the fixed side of mined vulnerability fixes, and where settings say "
    "so against the vulnerable one.",
    paper="2408.09078",
    paper_title="Li et al. 2024, fine-tuning on vulnerability-fixing commits",
    differs="The loss is on the body and the end token (the study's is on all text, its wrapper "
    "included); terms of SafeCoder (2402.09497) and SVEN (2302.05319) can be added. Windows lie "
    "around the changes (the study keeps the first 1,024 tokens). All linear layers get adapters "
    "(the study's: attention only). LIKE_THE_STUDY holds its settings.",
    needs=("weights", "gradients"),
    data="FixPair",
    patch="adapter",
    cost="One pass of forward and backward over the pairs per epoch; gradients and "
    "optimiser state for what is trained only (LoRA of rank 16: about 1 % of a 7B model's "
    "parameters; full: all of them).",
)


@dataclass(frozen=True)
class TuneResult:
    """What a tuning run did.

    Attributes:
        seconds: wall seconds, without loading the model. Of a run in several goes, the sum; what
            a break destroyed, since it came after the last checkpoint, does not count.
        parameters_changed: numbers that were trained.
        steps: optimiser steps in all, those before a resumption included.
        losses: (step, mean loss since the entry before).
        validations: (step, validation loss or score).
        best_step: the step whose weights were kept, where a validation chose it; else None.
        examples: pairs trained on, or windows of them.
        mixed: general examples trained on beside them.
        skipped: pairs without a body to learn.
        truncated: pairs longer than the window.
        learnt_tokens: tokens of fixed sides that carry loss, per epoch.
        fix_tokens: tokens that the fixes changed, on the fixed sides.
        fix_tokens_kept: share of them that the windows show; None where nothing changed.
        fix_tokens_head: share that a cut at the window's length would have shown.
        packed: whether several sequences shared a row.
        guarded: what guards did, where there were any.
    """

    seconds: float
    parameters_changed: int
    steps: int
    losses: tuple[tuple[int, float], ...]
    validations: tuple[tuple[int, float], ...]
    best_step: int | None
    examples: int
    mixed: int
    skipped: int
    truncated: int
    learnt_tokens: int
    fix_tokens: int
    fix_tokens_kept: float | None
    fix_tokens_head: float | None
    packed: bool
    guarded: Guarded | None = None

    def report(self) -> dict[str, Any]:
        """Return it as plain JSON data, for the manifest."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def tune(
    model: LoadedModel,
    pairs: Sequence[FixPair],
    config: Config,
    folder: Path,
    *,
    frozen: Sequence[Path] = (),
    guards: Sequence[Path] = (),
    flagged: Collection[str] | None = None,
    general: Sequence[General] = (),
    turns: Turns | None = None,
    score: Score | None = None,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 300.0,
    on_event: OnEvent = ignore_events,
) -> TuneResult:
    """Train a patch on fix pairs and write its tensors.

    Args:
        model: the base; its weights and structure are the same afterwards, bit for bit.
        pairs: what to learn from; those of ``config.granularity`` whose split is ``train``, and
            for the validation loss those whose split is ``validation``.
        config: settings.
        folder: an existing, empty folder; gets the tensors of the patch.
        frozen: patch folders that are active while training and get no gradient: what the new
            patch goes on top of.
        guards: patch folders of guards, frozen too, and no part of what the patch goes on top of:
            ``config.guard_mode`` says where they are on while training, and they are off after.
        flagged: ids of the pairs that are suspected of what the guards stand for; None where
            nobody looked.
        general: general instructions or texts to mix in, ``config.mix_share`` of all examples.
        turns: secure samples that take turns with all others, and how; the steps over ``pairs`` and
            ``general`` are as many as without them, and those on secure samples come on top.
        score: for ``early_stop="score"``: from the model being trained to a number, higher is
            better. It is called with the module in evaluation mode.
        checkpoints: a folder for checkpoints. Where it holds some, training goes on from the last;
            the caller sees to it that they are of the same model, pairs and configuration.
        checkpoint_seconds: time between them.
        on_event: called with ``Event(stage="train", unit="steps")`` after each step.

    Returns:
        What was done and measured. Same model, pairs, configuration and machine: same patch, also
        where it was made in several goes.

    Raises:
        UsageError: no pairs, none with a body, layers that the model does not have, nothing to
            validate on, a loss that is no longer a number, or guards that cannot be used.
        IntegrityError: a guard is damaged, or something was trained that is not the task.
    """
    begun = time.monotonic()
    _refuse_settings(config, score, guards, flagged)
    known = _guards(model, guards, frozen)
    given = _material(model, pairs, config, general, flagged, turns, metered=bool(known))
    config = _with_layers(config, model)
    with quiet(), seeded(config.seed, config.threads):
        pack = METHODS[config.method].packs and packs(model.module)
        with (
            trainable(model, config, *frozen, *guards) as training,
            scratch_beside(folder, checkpoints) as scratch,
            guarding(training, known, given.benign, config, model.tokenizer,
                     layout_of(config), scratch, on_event) as watch,
        ):  # fmt: skip
            last = newest_checkpoint(scratch)
            if last is not None:
                begun -= seconds_until(last)
            run = Run(
                examples=[*given.learnt.items, *given.mixed],
                held_out=given.held_out.items,
                weights=weights_of(config),
                as_base=training.as_base,
                pack=pack,
                score=score if config.early_stop == "score" else None,
                patience=config.patience,
                checkpoint_seconds=None if checkpoints is None else checkpoint_seconds,
                begun=begun,
                on_event=on_event,
                gate=watch.gate,
                in_use=training.unguarded,
                turns=turns,
                secure=given.secure,
            )
            settings = arguments(config, model.device, len(run.examples), scratch, turns=turns)
            trainer = PairTrainer(training.module, settings, run, watch)
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
            refuse_divergence(curve(trainer, "loss"), rate=peak_rate(config))
            watch.settle(trainer)
            with mendable(folder):
                training.save(folder)
            changed = training.parameters
            guarded = watch.account(folder, given.flagged, len(given.benign))
    seconds = time.monotonic() - begun
    return _result(trainer, given, config, seconds, changed, packed=pack, guarded=guarded)


def _result(
    trainer: PairTrainer,
    given: _Material,
    config: Config,
    seconds: float,
    parameters: int,
    *,
    packed: bool,
    guarded: Guarded | None,
) -> TuneResult:
    learnt, fix = given.learnt, given.learnt.fix
    return TuneResult(
        seconds=seconds,
        parameters_changed=parameters,
        steps=trainer.state.global_step,
        losses=curve(trainer, "loss"),
        validations=curve(trainer, f"eval_{config.early_stop}"),
        best_step=trainer.state.best_global_step if config.early_stop != "never" else None,
        examples=len(learnt.items),
        mixed=len(given.mixed),
        skipped=learnt.skipped,
        truncated=learnt.truncated,
        learnt_tokens=learnt.learnt_tokens,
        fix_tokens=fix.changed,
        fix_tokens_kept=fix.share,
        fix_tokens_head=fix.head / fix.changed if fix.changed else None,
        packed=packed,
        guarded=guarded,
    )


def _refuse_settings(
    config: Config, score: Score | None, guards: Sequence[Path], flagged: Collection[str] | None
) -> None:
    if guards and config.guard_mode == "selective" and flagged is None:
        raise UsageError(
            "guards cannot be on for flagged samples only",
            why="nobody said which are flagged",
            mend="score the samples first (harden.screening), or use guard_mode=always",
        )
    if config.early_stop == "score" and score is None:
        raise UsageError(
            "there is no score to stop by",
            why="early_stop=score needs a suite to evaluate on",
            mend="name one with --validate-on SUITE, or use -o early_stop=loss",
        )
    if config.gradient_checkpointing and not METHODS[config.method].checkpoints:
        raise UsageError(
            f"{config.method} tuning cannot compute activations twice",
            why="what it trains is lost on the way to the second time",
            mend="-o gradient_checkpointing=false, or another method",
        )


def _guards(model: LoadedModel, guards: Sequence[Path], frozen: Sequence[Path]) -> list[Guard]:
    under = [load_manifest(patch).id for patch in frozen]
    return [read_guard(guard, model, under) for guard in guards]


def weights_of(config: Config) -> LossWeights:
    """Return the weights of the loss's terms."""
    return LossWeights(config.changed_weight, config.unlikelihood, config.contrast, config.kl)


def layout_of(config: Config) -> Layout:
    """Return how pairs are laid out in tokens."""
    return Layout(config.max_length, config.wrapper, config.window, config.learn_prompts)


def learnable(pair: FixPair, config: Config) -> bool:
    """Whether a pair is one of those that are learnt from."""
    return pair.granularity == config.granularity and pair.split == "train"


@dataclass(frozen=True)
class _Material:
    """What a run works with, in tokens.

    Attributes:
        learnt: what is learnt.
        held_out: what the validation loss is taken on.
        mixed: general examples beside what is learnt.
        secure: secure examples that have turns of their own.
        benign: not learnt: what the transfer gap is told from.
        flagged: pairs that are flagged, of those that could be learnt; None where nobody looked.
    """

    learnt: Examples
    held_out: Examples
    mixed: list[Example]
    secure: tuple[Example, ...]
    benign: tuple[Example, ...]
    flagged: int | None


@quiet()
def _material(
    model: LoadedModel,
    pairs: Sequence[FixPair],
    config: Config,
    general: Sequence[General],
    flagged: Collection[str] | None,
    turns: Turns | None,
    *,
    metered: bool,
) -> _Material:
    layout, suspects = layout_of(config), frozenset(flagged or ())
    train = [pair for pair in pairs if learnable(pair, config)]
    aside = set_aside(train, suspects, config.meter_share, config.seed) if metered else []
    kept_out = {pair.id for pair in aside}
    left = [pair for pair in train if pair.id not in kept_out]
    learnt = encode(left, model.tokenizer, layout, suspects)
    if not learnt.items:
        raise UsageError(
            "there is nothing to tune on",
            why=f"of {len(left)} fix pairs by {config.granularity} none has a body to learn",
            mend="mine a history with fixes in it: codetemper mine REPOSITORY",
        )
    held: list[FixPair] = []
    if config.early_stop == "loss":
        held = [p for p in pairs if (p.granularity, p.split) == (config.granularity, "validation")]
    held_out = encode(held, model.tokenizer, layout)
    if config.early_stop == "loss" and not held_out.items:
        raise UsageError(
            "there is nothing to validate on",
            why="early_stop=loss needs pairs whose split is 'validation', and there are none",
            mend="mine with a split, or use -o early_stop=never",
        )
    drawn = sample(general, len(learnt.items), share=config.mix_share, seed=config.seed)
    return _Material(
        learnt=learnt,
        held_out=held_out,
        mixed=encode_general(drawn, model.tokenizer, config.max_length),
        secure=_secure(turns, model, config),
        benign=encode(aside, model.tokenizer, layout).items,
        flagged=None if flagged is None else sum(pair.id in suspects for pair in train),
    )


def _secure(turns: Turns | None, model: LoadedModel, config: Config) -> tuple[Example, ...]:
    given = [] if turns is None else [pair for pair in turns.secure if learnable(pair, config)]
    found = encode(given, model.tokenizer, layout_of(config)).items
    if turns is not None and turns.steps[0] and not found:
        raise UsageError(
            "there is nothing secure to take turns with",
            why=f"of {len(turns.secure)} samples none is by {config.granularity}, to be learnt, "
            "and has a body",
            mend="name others with --secure FILE, or the granularity: -o granularity=G",
        )
    return found


def _with_layers(config: Config, model: LoadedModel) -> Config:
    """Put layers in the place of the word ``study``."""
    if config.target_modules != "study":
        return config
    kind = str(getattr(model.module.config, "model_type", "?"))
    layers = STUDY_LAYERS.get(kind, {}).get("ia3" if config.method == "ia3" else "lora")
    if layers is None:
        raise UsageError(
            f"the study says nothing of {kind}",
            why=f"it trained layers of {' and '.join(STUDY_LAYERS)} models",
            mend="name layers: -o target_modules=[q_proj,v_proj], or all-linear",
        )
    return config.model_copy(update={"target_modules": layers})
