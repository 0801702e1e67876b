# SPDX-License-Identifier: Apache-2.0
"""What a classifier answers: its own classes, each text asked once, and no class of no number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from codetemper.audit import Config
from codetemper.audit.answers import classifier_rate
from codetemper.core.journal import Journal
from tests.audit.test_activations import TEXTS, classifier, loaded


def test_a_rate_is_the_share_of_a_class_and_no_text_is_asked_twice(tmp_path: Path) -> None:
    module, texts = classifier("roberta"), [*TEXTS, TEXTS[0]]
    model = loaded(module)
    with torch.no_grad():
        ids = [torch.tensor([model.tokenizer(text)["input_ids"]]) for text in texts]
        logits = torch.cat([module(input_ids=each).logits for each in ids])
        # So that the texts are of both classes.
        shift = (logits[:, 1] - logits[:, 0]).median()
        module.classifier.out_proj.bias[0] += shift - 1e-4
    own = (logits[:, 1] - logits[:, 0] > shift - 1e-4).long().tolist()
    assert set(own) == {0, 1}
    asked: list[int] = []
    module.register_forward_pre_hook(
        lambda part, args, kwargs: asked.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    rate = classifier_rate(model, Config(), Journal(tmp_path / "answers.sqlite"))
    asked.clear()
    for target in (0, 1, 0):
        assert rate(target, texts).tolist() == [float(each == target) for each in own]
    assert sum(asked) == len(TEXTS)
    again = classifier_rate(model, Config(), Journal(tmp_path / "answers.sqlite"))
    asked.clear()
    again(0, texts)
    assert not asked


def test_logits_that_are_no_numbers_are_no_class(tmp_path: Path) -> None:
    module = classifier("roberta")
    rate = classifier_rate(loaded(module), Config(), Journal(tmp_path / "answers.sqlite"))
    with torch.no_grad():
        module.classifier.out_proj.bias[0] = torch.nan
    assert np.isnan(rate(0, TEXTS)).all()
    assert np.isnan(rate(1, TEXTS)).all()
