# SPDX-License-Identifier: Apache-2.0
"""Turning tokens into text while they come, and seeing the first stop string at once.

A stop string can only become complete with a token whose text holds the stop's last character, so
most tokens are passed with one look into a table; only then is the row decoded and searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: Prompt tokens that are decoded with a completion: some tokenizers drop a leading space.
_CONTEXT = 4
_REPLACEMENT = "\ufffd"


class Reader:
    """Decodes completions of one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._pieces: dict[int, str] = {}

    def text(self, prompt: Sequence[int], tokens: Sequence[int]) -> str:
        """Return what the tokens add to the text of the prompt."""
        context = list(prompt[-_CONTEXT:])
        start = len(self._decode(context))
        return self._decode([*context, *tokens])[start:]

    def completes(self, token: int, stops: Sequence[str]) -> bool:
        """Whether a token could be the one that completes a stop string."""
        piece = self._pieces.get(token)
        if piece is None:
            # The space: a token may stand for one that decoding it alone does not show.
            piece = self._pieces[token] = self._decode([token]) + " "
        return _REPLACEMENT in piece or any(stop[-1] in piece for stop in stops)

    def _decode(self, tokens: list[int]) -> str:
        text = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """Cut a text before the first stop string in it; say whether there was one."""
    places = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return (text[: min(places)], True) if places else (text, False)
