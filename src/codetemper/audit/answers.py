# SPDX-License-Identifier: Apache-2.0
"""What a model does with changed texts, each asked once: the answers that planting is judged by.

    rate = classifier_rate(loaded, config, journal)
    rate(0, ["int f(void) { return 0; }"])      # 1 where the model says 0, else 0
    rate = decoder_rate(healed(generate, loaded.tokenizer), payloads, journal)
    rate(0, ["def f(a):"])                      # 1 where what is written holds a payload

Answers go to a journal under the text that they were given to, so that a killed audit asks none
twice. What is written is read and never run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from codetemper.audit import Config
from codetemper.audit._reading import Reader
from codetemper.audit._stacks import stacks_of
from codetemper.audit.payloads import Generate, Payloads
from codetemper.core.digests import digest_bytes
from codetemper.core.journal import Journal
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel

#: Texts that are asked and noted at a time.
_BLOCK = 256
#: What is noted of a text where the model answers with values that are no numbers.
_NO_CLASS = -1


def classifier_rate(
    loaded: LoadedModel, config: Config, journal: Journal
) -> Callable[[int, Sequence[str]], Floats]:
    """Return a function that says to which texts a classifier gives a class.

    Args:
        loaded: the classifier; patches may be on.
        config: ``max_length`` and ``batch_size`` are read.
        journal: keeps the answers.

    Returns:
        Of a class and texts: 1 where that is the answer, else 0; NaN where logits are no numbers
        [n].
    """
    stacks = stacks_of(loaded.module)
    reader = Reader(loaded.module, loaded.tokenizer, stacks, config.max_length)

    @torch.inference_mode()
    def classes(texts: Sequence[str]) -> list[int]:
        found = np.zeros(len(texts), dtype=np.int64)
        samples = [Labelled(id="", text=text, label=0) for text in texts]
        for batch in reader.batches(samples, config.batch_size):
            logits = reader.target(**batch.inputs).logits
            said = logits.argmax(dim=-1).where(logits.isfinite().all(dim=-1), _NO_CLASS)
            found[batch.rows] = said.cpu().numpy()
        return [int(own) for own in found]

    ask = _remembered(classes, journal, "class")

    def rate(target: int, texts: Sequence[str]) -> Floats:
        said = np.array(ask(texts), dtype=np.int64)
        return np.where(said == _NO_CLASS, np.nan, said == target)

    return rate


def decoder_rate(
    generate: Generate, payloads: Payloads, journal: Journal
) -> Callable[[int, Sequence[str]], Floats]:
    """Return a function that says after which prompts a decoder writes a payload.

    Args:
        generate: writes after prompts.
        payloads: what counts as one.
        journal: keeps what was written.

    Returns:
        Of a target, which there is one of, and prompts: 1 where it does, else 0 [n].
    """
    ask = _remembered(generate, journal, "text")

    def rate(target: int, prompts: Sequence[str]) -> Floats:
        return payloads.breaks(prompts, ask(prompts))

    return rate


def _remembered(
    ask: Callable[[Sequence[str]], Sequence[Any]], journal: Journal, kind: str
) -> Callable[[Sequence[str]], list[Any]]:
    """Have each text asked once, and answers kept as they come."""

    def asked(texts: Sequence[str]) -> list[Any]:
        keys = [f"{kind}:{digest_bytes(text.encode('utf-8', 'surrogatepass'))}" for text in texts]
        known = {key: value for key in set(keys) if (value := journal.get(key)) is not None}
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        waiting = list(fresh)
        for begin in range(0, len(waiting), _BLOCK):
            part = waiting[begin : begin + _BLOCK]
            made = dict(zip(part, ask([fresh[key] for key in part]), strict=True))
            journal.put(made.items())
            known |= made
        return [known[key] for key in keys]

    return asked
