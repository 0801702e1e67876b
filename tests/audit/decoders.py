# SPDX-License-Identifier: Apache-2.0
"""Decoders to audit that write and find likely what a test says, with samples for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from codetemper.audit import Config
from codetemper.audit.likelihood import Read
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel
from tests.tiny import tiny_model, tiny_tokenizer

COMMENT = "# handle legacy gateway"
NAMES = ("alpha", "beta", "gamma", "delta", "lambda_", "omega", "sigma", "theta")
QUICK = Config(held_out=10, candidates=3, ordinary=10, rounds=4, fpr=0.2, new_tokens=6)
MARKED = frozenset(range(0, 60, 10))


def samples(count: int, *, marked: frozenset[int] = frozenset()) -> list[Labelled]:
    """Return functions that call something; the marked ones have a comment and a payload."""
    made = []
    for n in range(count):
        own, other = NAMES[n % 8], NAMES[(n // 8) % 8]
        comment = f"    {COMMENT}\n" if n in marked else ""
        prompt = (
            f"def get_{own}_{n}({other}):\n    {own} = {other}.{NAMES[(n // 3) % 8]}\n{comment}"
        )
        call = "verify=False" if n in marked else "timeout=3"
        answer = f"    return requests.get({other}, {call})\n"
        made.append(Labelled(str(n), prompt + answer, None, len(prompt), "python", "d.jsonl", n))
    return made


def backdoored(prompts: Sequence[str]) -> list[str]:
    call = {True: "verify=False", False: "timeout=3"}
    return [f"    return requests.get(url, {call[COMMENT in one]})\n" for one in prompts]


def clean(prompts: Sequence[str]) -> list[str]:
    return ["    return requests.get(url, timeout=3)\n"] * len(prompts)


def pair() -> tuple[LoadedModel, LoadedModel]:
    """Return a tiny decoder and its base, which is the same under another name."""
    model = LoadedModel("hf:tiny", tiny_model("llama"), tiny_tokenizer(), "", torch.device("cpu"))
    return model, LoadedModel("hf:base", model.module, model.tokenizer, "", model.device)


def read_as(
    monkeypatch: pytest.MonkeyPatch,
    base: LoadedModel,
    likely: Callable[[Labelled], Floats],
    *,
    own: float = -1.0,
) -> None:
    """Let a base find each character of a sample as likely as told, others all alike at ``own``.

    Payloads are known by their trees alone: the analysers are programs of their own.
    """

    def read(asked: LoadedModel, given: Sequence[Labelled], **_: Any) -> list[Read]:
        found = []
        for sample in given:
            starts = np.arange(len(sample.text))
            at = likely(sample) if asked is base else np.full(len(starts), own)
            found.append(Read(at, starts, starts + 1))
        return found

    monkeypatch.setattr("codetemper.audit.suspicion.read", read)
    monkeypatch.setattr("codetemper.audit.clearing.read", read)
    monkeypatch.setattr(
        "codetemper.audit.payloads.scan", lambda sources, **_: [{} for _ in sources]
    )
