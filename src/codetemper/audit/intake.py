# SPDX-License-Identifier: Apache-2.0
"""What an audit can do with what it was given: wrong files are refused, too little is said.

    given = sift(loaded, samples, trusted, config)
    given.trusted          # without those that are in the suspected data too
    given.lacking          # why samples cannot be compared; empty where they can

What is wrong with a request is an error; what is merely not enough leaves the audit inconclusive,
with what would have to be given. Nothing of the model is run here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from codetemper.audit import Config, Form
from codetemper.audit._stacks import form_of
from codetemper.core.errors import UsageError
from codetemper.data.labelled import Labelled, without_texts_of
from codetemper.models.loaded import LoadedModel

#: Share of unknown tokens above which a tokenizer is not the model's own.
_UNKNOWN = 0.2
#: Texts that are looked at for it.
_LOOKED_AT = 50
#: Share of the trusted samples that may be among the suspected ones.
_SHARED = 0.5


@dataclass(frozen=True)
class Given:
    """What there is to work with.

    Attributes:
        form: what the model does with a text.
        samples: the suspected samples.
        trusted: those of the trusted samples that are not among them.
        shared: trusted samples that were left out.
        lacking: why nothing can be said of the samples, one sentence each.
    """

    form: Form
    samples: Sequence[Labelled]
    trusted: Sequence[Labelled]
    shared: int
    lacking: tuple[str, ...]

    @property
    def labelled(self) -> bool:
        """Whether samples have classes."""
        return self.form == "classifier"

    @property
    def answers(self) -> bool:
        """Whether samples are answered apart from the prompt, which an encoder reads."""
        return self.form == "seq2seq"

    @property
    def writes(self) -> bool:
        """Whether the model writes text, so that there is a likelihood of it."""
        return self.form in ("decoder", "seq2seq")


def sift(
    loaded: LoadedModel,
    samples: Sequence[Labelled],
    trusted: Sequence[Labelled],
    config: Config,
    *,
    reference: LoadedModel | None = None,
) -> Given:
    """Refuse what does not belong together, and say what is too little.

    Args:
        loaded: the model.
        samples: suspected samples; empty without data.
        trusted: samples known to be clean.
        config: ``least`` and ``least_class`` are read.
        reference: the checkpoint that a model which writes was trained from.

    Raises:
        UsageError: samples of another form than the model reads, labels that it does not know, a
            tokenizer that does not know the text or gives a token another number than that of the
            reference, or trusted samples that are the suspected ones.
    """
    form = form_of(loaded.module)
    if reference is not None and form in ("decoder", "seq2seq"):
        _refuse_other_numbers(loaded, reference)
    for name, part in (("--data", samples), ("--trusted", trusted)):
        _refuse_form(form, part, name)
        _refuse_tokenizer(loaded, part, name)
        if form == "classifier":
            _refuse_labels(loaded, part, name)
    rest = _apart(samples, trusted)
    lacking = tuple(_lacking(form, samples, config))
    return Given(form, samples, rest, len(trusted) - len(rest), lacking)


def _refuse_form(form: Form, samples: Sequence[Labelled], name: str) -> None:
    written = [sample for sample in samples if sample.label is None]
    if form == "classifier" and written:
        raise UsageError(
            f"the samples of {name} are not what the model reads",
            why="it is a classifier, and they are prompts with answers",
            mend='give lines such as {"code": "...", "label": 0}, or a model that writes',
        )
    if form in ("decoder", "seq2seq") and len(written) < len(samples):
        raise UsageError(
            f"the samples of {name} are not what the model reads",
            why="it writes text, and they are code with a label",
            mend='give lines such as {"prompt": "...", "completion": "..."}, or a classifier',
        )
    if form == "seq2seq" and any(sample.answer_start is None for sample in samples):
        raise UsageError(
            f"the samples of {name} are not what the model reads",
            why="its encoder reads a prompt and its decoder writes the answer, and there are "
            "samples without an answer",
            mend='give lines such as {"prompt": "...", "completion": "..."}',
        )


def _refuse_tokenizer(loaded: LoadedModel, samples: Sequence[Labelled], name: str) -> None:
    unknown = loaded.tokenizer.unk_token_id
    if unknown is None:
        return
    seen = Counter[bool]()
    for sample in samples[:_LOOKED_AT]:
        ids = loaded.tokenizer(sample.text, add_special_tokens=False, verbose=False)["input_ids"]
        seen.update(own == unknown for own in ids)
    share = seen[True] / max(1, seen.total())
    if share > _UNKNOWN:
        raise UsageError(
            "the tokenizer does not belong to these samples",
            why=f"{100 * share:.0f} % of the tokens of {name} are unknown to it",
            mend="put the tokenizer that the model was trained with into its folder",
        )


def _refuse_other_numbers(loaded: LoadedModel, reference: LoadedModel) -> None:
    """Refuse tokenizers that number a token differently: one model reads what is not there.

    Tokens that were added, such as those of a chat, are a model's own.
    """
    own, other = loaded.tokenizer, reference.tokenizer
    added = {*own.get_added_vocab(), *other.get_added_vocab()}
    base = other.get_vocab()
    moved = sorted(
        (number, token)
        for token, number in own.get_vocab().items()
        if token not in added and base.get(token, number) != number
    )
    if moved:
        number, token = moved[0]
        raise UsageError(
            "the tokenizer of the model is not that of its base checkpoint",
            why=f"{len(moved)} tokens have other numbers: {token!r} is {number} to the model and "
            f"{base[token]} to its base",
            mend="put the tokenizer that the model was trained with into its folder, or give the "
            "checkpoint that it was trained from",
        )


def _refuse_labels(loaded: LoadedModel, samples: Sequence[Labelled], name: str) -> None:
    classes = int(loaded.module.config.num_labels)  # type: ignore[union-attr, arg-type]
    largest = max((sample.label or 0 for sample in samples), default=0)
    if largest >= classes:
        raise UsageError(
            f"the labels of {name} are not the model's",
            why=f"there is a label {largest}, and the model knows {classes} classes, from 0",
            mend="number the labels as they were when the model was trained",
        )


def _apart(samples: Sequence[Labelled], trusted: Sequence[Labelled]) -> list[Labelled]:
    """Return the trusted samples that are not among the suspected."""
    rest = without_texts_of(trusted, samples)
    shared = len(trusted) - len(rest)
    if shared > _SHARED * len(trusted):
        raise UsageError(
            "the trusted samples are the suspected ones",
            why=f"{shared} of {len(trusted)} of them are in the data too, and speak for nothing",
            mend="give samples that were looked through and that the data do not hold",
        )
    return rest


def _lacking(form: Form, samples: Sequence[Labelled], config: Config) -> list[str]:
    if not samples:
        return ["what the model was trained on (--data)"]
    if len(samples) < config.least:
        return [f"more data: {len(samples)} samples, and {config.least} are the fewest"]
    if form == "masked":
        return ["a model with a head: this one fills gaps, and a backdoor shows in answers"]
    if form != "classifier":
        return []
    classes = Counter(sample.label for sample in samples)
    if len(classes) < 2:
        return [f"data of two classes or more: all samples have the label {next(iter(classes))}"]
    small = {label: n for label, n in classes.items() if n < config.least_class}
    if small:
        label, count = min(small.items(), key=lambda item: item[1])
        return [f"more data of class {label}: {count} samples, and {config.least_class} are the "
                "fewest"]  # fmt: skip
    return []
