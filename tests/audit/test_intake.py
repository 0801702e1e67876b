# SPDX-License-Identifier: Apache-2.0
"""What an audit is given: wrong files are refused, too little is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from codetemper.audit import Config
from codetemper.audit.intake import sift
from codetemper.core.errors import UsageError
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel
from tests.tiny import tiny_tokenizer

CONFIG = Config()


def samples(count: int, *, start: int = 0, classes: int = 2) -> list[Labelled]:
    return [
        Labelled(str(n), f"int f{n}(void) {{ return {n}; }}", n % classes, language="c")
        for n in range(start, start + count)
    ]


def written(count: int) -> list[Labelled]:
    return [Labelled(str(n), f"def f{n}():\n    return {n}\n", None, 10) for n in range(count)]


def model(kind: str, *, unknown: float = 0.0) -> LoadedModel:
    """Return what stands for a model where none is run: its class name, labels and tokenizer."""
    module = type(kind, (), {"config": SimpleNamespace(is_encoder_decoder=False, num_labels=2)})()

    def tokens(text: str, **_: Any) -> dict[str, list[int]]:
        count = len(text)
        return {"input_ids": [3 if n < unknown * count else 9 for n in range(count)]}

    tokenizer = type("T", (), {"unk_token_id": 3, "__call__": lambda _, t, **k: tokens(t, **k)})()
    return cast("LoadedModel", SimpleNamespace(module=module, tokenizer=tokenizer))


ENCODER, DECODER = model("TinyForSequenceClassification"), model("TinyForCausalLM")
STRANGER = model("TinyForSequenceClassification", unknown=0.5)


def test_enough_is_enough() -> None:
    given = sift(ENCODER, samples(60), samples(20, start=100), CONFIG)
    assert (given.form, given.labelled, given.lacking, given.shared) == (
        "classifier", True, (), 0,
    )  # fmt: skip
    assert sift(DECODER, written(60), [], CONFIG).lacking == ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "--data"),
        (samples(10), "10 samples, and 40 are the fewest"),
        (samples(60, classes=1), "all samples have the label 0"),
        ([*samples(60, classes=1), *samples(3, start=61, classes=1000)], "1 samples, and 10"),
    ],
)
def test_too_little_is_no_error(data: list[Labelled], said: str) -> None:
    known = {sample.label for sample in data if sample.label is not None and sample.label > 1}
    fit = [replace(one, label=1) if one.label in known else one for one in data]
    if known:
        fit = fit[: -len(known) + 1]
    assert said in sift(ENCODER, fit, [], CONFIG).lacking[0]


def test_a_body_without_a_head_has_no_answer() -> None:
    assert "head" in sift(model("TinyForMaskedLM"), samples(60), [], CONFIG).lacking[0]


@pytest.mark.parametrize(
    ("loaded", "data", "trusted", "said"),
    [
        (ENCODER, written(60), [], "it is a classifier, and they are prompts"),
        (ENCODER, samples(60), written(60), "it is a classifier, and they are prompts"),
        (DECODER, samples(60), [], "it writes text, and they are code with a label"),
        (ENCODER, samples(60, classes=3), [], "there is a label 2, and the model knows 2"),
        (
            model("TinyForSequenceClassification", unknown=0.5),
            samples(60),
            [],
            "50 % of the tokens",
        ),
        (ENCODER, samples(60), samples(60), "60 of 60 of them are in the data too"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    loaded: LoadedModel, data: list[Labelled], trusted: list[Labelled], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        sift(loaded, data, trusted, CONFIG)
    assert said in refused.value.why


def test_trusted_samples_that_are_suspected_speak_for_nothing() -> None:
    known = [*samples(6), *samples(20, start=100)]
    spaced = [replace(one, text=one.text.replace(" ", "\n")) for one in known]
    given = sift(ENCODER, samples(60), spaced, CONFIG)
    assert given.shared == 6
    assert len(given.trusted) == 20


def numbered(*swapped: int, added: Sequence[str] = ()) -> LoadedModel:
    """Return a decoder whose tokenizer has two tokens change places."""
    known = tiny_tokenizer()
    if swapped:
        told = json.loads(known.backend_tokenizer.to_str())
        numbers = told["model"]["vocab"]
        first, second = (known.convert_ids_to_tokens(number) for number in swapped)
        numbers[first], numbers[second] = numbers[second], numbers[first]
        known = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(told)))
    known.add_tokens(list(added))
    module = DECODER.module
    return cast("LoadedModel", SimpleNamespace(module=module, tokenizer=known))


def test_tokens_that_changed_places_are_no_tokenizer_of_the_base() -> None:
    first, second = tiny_tokenizer().convert_tokens_to_ids(["a", "b"])
    with pytest.raises(UsageError) as refused:
        sift(numbered(first, second), written(60), [], CONFIG, reference=numbered())
    told = f"2 tokens have other numbers: 'b' is {first} to the model and {second} to its base"
    assert refused.value.why == told
    assert sift(numbered(first, second), written(60), [], CONFIG).lacking == ()


def test_tokens_that_a_model_was_given_are_its_own() -> None:
    own, base = numbered(added=["<chat>", "<end>"]), numbered(added=["<end>", "<chat>"])
    assert sift(own, written(60), [], CONFIG, reference=base).lacking == ()


def test_a_classifier_is_not_compared_with_a_base() -> None:
    first, second = tiny_tokenizer().convert_tokens_to_ids(["a", "b"])
    assert sift(ENCODER, samples(60), [], CONFIG, reference=numbered(first, second)).lacking == ()
