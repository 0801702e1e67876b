# SPDX-License-Identifier: Apache-2.0
"""Real failures of the shipped model, put right together and written right when it runs free."""

from __future__ import annotations

from pathlib import Path

import torch

from codetemper.backends.hf_load import load_base
from codetemper.core.repairs import Failure
from codetemper.evaluate import suites
from codetemper.harden.repair import Config, repair
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage, tokens_of
from codetemper.models.anatomy import anatomy
from codetemper.models.attach import attached
from codetemper.models.expression import parse
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import save_patch, weights_digest


def written(model: LoadedModel, passage: Passage) -> tuple[int, ...]:
    asked = torch.tensor([passage.prompt])
    found = model.module.generate(
        asked, attention_mask=torch.ones_like(asked), do_sample=False, pad_token_id=0,
        max_new_tokens=len(passage.answer),
    )  # fmt: skip
    return tuple(found[0, asked.shape[1] :].tolist())


def test_shell_answers_of_the_seedling_are_put_right_together(tmp_path: Path) -> None:
    model = load_base(parse("seedling"), dtype="float32", device="cpu")
    cases = [case for case in suites.load("world-shell").cases if case.reference][:28]
    given = [
        Failure(id=case.id, prompt=case.prompt, reference=str(case.reference)) for case in cases
    ]
    passages = tokens_of(model.tokenizer, given)
    seen = Engine(model.module, anatomy(model.module)).observe(passages)
    wrong = [(f, p) for f, p, ok in zip(given, passages, seen.right, strict=True) if not ok][:8]
    right = [(f, p) for f, p, ok in zip(given, passages, seen.right, strict=True) if ok]
    assert len(wrong) == 8
    assert not any(written(model, passage) == passage.answer for _, passage in wrong)
    kept, held_out = right[0::2], right[1::2]
    config = Config(batch_size=14)
    result = repair(
        model, [failure for failure, _ in wrong], config, tmp_path,
        reference=[(failure.prompt, failure.reference) for failure, _ in kept],
    )  # fmt: skip
    assert len(result.repaired) == 8
    assert weights_digest(model.module) == model.digest
    save_patch(
        tmp_path, verb="repair", technique="repair", base="seedling", base_digest=model.digest,
        config=config.model_dump(mode="json"), seconds=result.seconds, seed=0,
    )  # fmt: skip
    with attached(model, tmp_path):
        assert [written(model, p) == p.answer for _, p in wrong] == [True] * 8
        after = Engine(model.module, anatomy(model.module)).observe([p for _, p in held_out])
    tokens = sum(len(passage.answer) for _, passage in held_out)
    assert int(after.wrong.sum()) <= 0.03 * tokens
