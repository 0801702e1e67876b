# SPDX-License-Identifier: Apache-2.0
"""KTO, by TRL: learning from answers that are good or bad each for itself.

    trainer = kto_trainer(model, [(answer, True), (other, False)], asked, course, config)

The loss and the step are those of TRL's ``KTOTrainer`` (Ethayarajh et al. 2024, 2402.01306,
equation 7): an answer's reward is compared with how far the model is from the reference on answers
to other prompts. What it is given is made here: tokens, and the reference's log-probabilities of
each answer after its own prompt and after another one. TRL's own ways to them tokenise anew, ask
for an adapter called "default", and take another model for the reference where all weights are
trained. This is the only file that imports TRL, an optional extra.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, Trainer

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.harden._preference import Asked
from codetemper.harden._preference_batches import Tokens
from codetemper.harden._preference_settings import Config, loop_of
from codetemper.harden._session import arguments
from codetemper.harden._trainer import Course, KeepsTrained, OnlyTheTask, Pace
from codetemper.models.loaded import LoadedModel


def kto_trainer(
    model: LoadedModel,
    labelled: Sequence[tuple[Tokens, bool]],
    asked: Asked,
    course: Course,
    config: Config,
) -> Trainer:
    """Return a trainer for answers and whether they are good.

    Args:
        model: the base.
        labelled: answers; the same one may come several times.
        asked: tells the reference's log-probabilities.
        course: progress and checkpoints.
        config: ``beta``, ``batch_size``, ``seed``.

    Raises:
        CannotKnowError: TRL is not there.
        UsageError: too few answers, or batches of one: other answers of a batch are compared with.
    """
    if config.batch_size < 2 or len(labelled) < 2:
        raise UsageError(
            "kto cannot learn from one answer at a time",
            why=f"there are {len(labelled)} answers in batches of {config.batch_size}, and rewards "
            "are told from the other answers of a batch",
            mend="-o batch_size=8, or more samples",
        )
    try:
        from datasets import Dataset, disable_progress_bars
        from trl.trainer.kto_config import KTOConfig
        from trl.trainer.kto_trainer import KTOTrainer
    except ImportError as error:
        raise CannotKnowError(
            "answers in no pair cannot be learnt from here",
            why=f"loss=kto is computed by TRL, which does not import ({error})",
            mend="pip install 'codetemper[kto]', or -o loss=dpo",
        ) from error

    class Kto(KeepsTrained, KTOTrainer):  # type: ignore[misc]
        """TRL's trainer on a prepared set."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
            return dataset

    disable_progress_bars()
    module, rows = asked.training.module, _rows(labelled, asked, config)
    trainer = Kto(
        # Adapters sit in the layers of what is inside the wrapper, and of a wrapper TRL would ask
        # for names that only its own have.
        model=module.get_base_model() if hasattr(module, "get_base_model") else module,
        args=arguments(
            loop_of(config),
            model.device,
            len(rows),
            Path(asked.settings.output_dir),
            KTOConfig,
            beta=config.beta,
            max_length=None,
            precompute_ref_log_probs=True,
            train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_list(rows),
        # It may be given a padding token.
        processing_class=copy.deepcopy(model.tokenizer),
        callbacks=[OnlyTheTask(module), Pace(course)],
    )
    trainer.course = course
    trainer.remove_callback(PrinterCallback)
    return trainer


def _rows(
    labelled: Sequence[tuple[Tokens, bool]], asked: Asked, config: Config
) -> list[dict[str, Any]]:
    """Return the answers in the order they are learnt in, each with the one before it in its batch.

    The reference's drift is told from prompts with answers to others of the same batch.
    """
    order = random.Random(config.seed).sample(list(labelled), len(labelled))  # noqa: S311
    size = config.batch_size
    if len(order) % size == 1:
        # Alone in a batch it would be compared with itself.
        order.pop()
    batches = [order[begin : begin + size] for begin in range(0, len(order), size)]
    others = [batch[place - 1][0].answer for batch in batches for place in range(len(batch))]
    crossed = [
        Tokens(tokens.prompt, other) for (tokens, _), other in zip(order, others, strict=True)
    ]
    own = asked.anchor([*(tokens for tokens, _ in order), *crossed])
    return [
        {
            "prompt_ids": list(tokens.prompt),
            "completion_ids": list(tokens.answer),
            "KL_completion_ids": list(other),
            "label": good,
            "ref_logps": own[place],
            "ref_KL_logps": own[len(order) + place],
        }
        for place, ((tokens, good), other) in enumerate(zip(order, others, strict=True))
    ]
