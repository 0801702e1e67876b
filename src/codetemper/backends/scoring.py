# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of given continuations, in batches of like length.

Only the logits that are needed are computed: rows are padded on the left, so all continuations end
at the last column. For drawing new text see ``generation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from codetemper.backends.generation import takes_logits_to_keep
from codetemper.backends.writing import encode
from codetemper.core.errors import UsageError
from codetemper.models.seq2seq import is_encoder_decoder


def logprobs(
    module: nn.Module,
    tokenizer: Any,
    prompts: Sequence[str],
    continuations: Sequence[str],
    *,
    batch_size: int = 16,
) -> list[npt.NDArray[np.float64]]:
    """Score each continuation after its prompt.

    Args:
        module: a decoder-only transformers model, in evaluation mode.
        tokenizer: its tokenizer.
        prompts: texts that are given.
        continuations: one text for each prompt.
        batch_size: rows at a time.

    Returns:
        For each pair the log-probability of each token of the continuation, in nats, [tokens].

    Raises:
        UsageError: not one continuation for each prompt, or an encoder-decoder.
    """
    if is_encoder_decoder(module):
        raise UsageError(
            f"{type(module).__name__} cannot score a continuation",
            why="it is an encoder-decoder, which answers a prompt and does not go on with it",
            mend="use a causal language model",
        )
    if len(prompts) != len(continuations):
        raise UsageError(
            f"{len(prompts)} prompts and {len(continuations)} continuations cannot be scored",
            why="each prompt needs one continuation",
            mend="give as many of one as of the other",
        )
    pairs = _tokens(tokenizer, prompts, continuations)
    order = sorted(range(len(pairs)), key=lambda k: sum(map(len, pairs[k])))
    scores: list[npt.NDArray[np.float64]] = [np.zeros(0)] * len(pairs)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            for k, score in zip(chosen, _score(module, [pairs[k] for k in chosen]), strict=True):
                scores[k] = score
    return scores


def _tokens(
    tokenizer: Any, prompts: Sequence[str], continuations: Sequence[str]
) -> list[tuple[list[int], list[int]]]:
    """Split prompt + continuation into tokens at the border, as far as a token allows."""
    pairs = []
    texts = [prompt + after for prompt, after in zip(prompts, continuations, strict=True)]
    rows = zip(encode(tokenizer, prompts), encode(tokenizer, texts), continuations, strict=True)
    for given, whole, after in rows:
        if whole[: len(given)] == given:
            pairs.append((given, whole[len(given) :]))
        else:
            pairs.append((given, tokenizer(after, add_special_tokens=False)["input_ids"]))
    return pairs


def _score(
    module: nn.Module, pairs: Sequence[tuple[list[int], list[int]]]
) -> list[npt.NDArray[np.float64]]:
    device = next(module.parameters()).device
    rows = [given + after for given, after in pairs]
    longest, kept = max(map(len, rows)), max(len(after) for _, after in pairs) + 1
    kept = min(kept, longest)
    pads = torch.tensor([longest - len(row) for row in rows], device=device)
    tokens = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=device)
    columns = torch.arange(longest, device=device)
    extra = {"logits_to_keep": kept} if takes_logits_to_keep(module) else {}
    logits = module(
        input_ids=tokens,
        attention_mask=(columns >= pads[:, None]).long(),
        position_ids=(columns - pads[:, None]).clamp(min=0),
        use_cache=False,
        **extra,
    ).logits[:, -kept:-1]
    scores = torch.log_softmax(logits.float(), -1)
    picked = scores.gather(-1, tokens[:, longest - kept + 1 :, None])[..., 0].double().cpu().numpy()
    return [row[len(row) - len(after) :] for row, (_, after) in zip(picked, pairs, strict=True)]
