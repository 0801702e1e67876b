# SPDX-License-Identifier: Apache-2.0
"""The seedling's making: tokens meet at the border, documents stay whole, training resumes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoTokenizer

from codetemper.api.models import SEEDLING
from codetemper.core.digests import digest_file
from codetemper.evaluate import suites
from seedling import train


@pytest.fixture(scope="module")
def tokenizer() -> object:
    """The shipped tokenizer, as transformers loads it."""
    return AutoTokenizer.from_pretrained(SEEDLING)


@pytest.mark.parametrize("name", suites.shipped())
def test_prompt_tokens_are_the_beginning_of_the_whole(name: str, tokenizer: object) -> None:
    for case in suites.load(name).cases:
        prompt = tokenizer(case.prompt)["input_ids"]  # type: ignore[operator]
        whole = tokenizer(case.prompt + case.reference)["input_ids"]  # type: ignore[operator]
        assert whole[: len(prompt)] == prompt
        assert tokenizer.decode(whole, skip_special_tokens=True) == case.prompt + case.reference  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", suites.shipped())
def test_references_fit_the_budget_of_their_suite(name: str, tokenizer: object) -> None:
    suite = suites.load(name)
    longest = max(len(tokenizer(case.reference)["input_ids"]) for case in suite.cases)  # type: ignore[operator]
    assert longest < suite.card.max_new_tokens


def test_documents_are_packed_whole(tokenizer: object) -> None:
    texts = ["def f(x):\n    return x\n" * n for n in (1, 5, 20, 30, 2, 9)]
    rows = train.PackedRows(texts, tokenizer)  # type: ignore[arg-type]
    documents = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts)["input_ids"]]  # type: ignore
    flat = [token for row in rows.rows for token in row]
    assert flat == [token for document in documents for token in document]
    assert all(row[0] == tokenizer.bos_token_id for row in rows.rows)  # type: ignore[attr-defined]
    item = rows[len(rows) - 1]
    assert len(item["input_ids"]) == len(item["labels"]) == train.ROW
    assert int((item["labels"] != train.IGNORED).sum()) == len(rows.rows[-1])


def test_the_shipped_weights_are_those_of_the_card_and_small() -> None:
    weights = SEEDLING / "model.safetensors"
    facts = json.loads((SEEDLING / "training.json").read_text())
    assert digest_file(weights) == facts["weights_sha256"]
    assert weights.stat().st_size <= 12_000_000


def test_training_goes_on_from_its_newest_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--work", f"{tmp_path}/work", "--scale", "0.003", "--save-steps", "2", "--no-compile"]
    train.main([*words, "--out", f"{tmp_path}/whole"])
    steps: list[int] = []
    inner = train.Trainer.training_step

    def counted(self: train.Trainer, *given: object, **more: object) -> object:
        steps.append(self.state.global_step)
        return inner(self, *given, **more)  # type: ignore[arg-type]

    newest = max(tmp_path.glob("work/checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    state = json.loads((newest / "trainer_state.json").read_text())
    if state["global_step"] == state["max_steps"]:
        for path in sorted(newest.rglob("*"), reverse=True):
            path.unlink()
        newest.rmdir()
    monkeypatch.setattr(train.Trainer, "training_step", counted)
    train.main([*words, "--out", f"{tmp_path}/resumed"])
    assert 0 < len(steps) < state["max_steps"]
    whole = load_file(tmp_path / "whole" / "model.safetensors")
    resumed = load_file(tmp_path / "resumed" / "model.safetensors")
    assert whole.keys() == resumed.keys()
    assert all((whole[name] == resumed[name]).all() for name in whole)
