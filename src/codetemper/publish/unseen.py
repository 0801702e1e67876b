# SPDX-License-Identifier: Apache-2.0
"""Characters that cannot be seen, or that turn what is seen around, taken out of hostile text.

A page that shows what a model or a stranger wrote names such a character by its code point, so that
no answer looks like another one. Nothing here makes markup; the templates escape what they show.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

#: Kinds of characters that are named and not shown; line feeds and tabs are.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def runs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield text in runs: (characters, False), or (name of one that cannot be seen, True)."""
    begin = 0
    for place, character in enumerate(text):
        if character in "\n\t" or unicodedata.category(character) not in _UNSEEN:
            continue
        if place > begin:
            yield text[begin:place], False
        yield f"U+{ord(character):04X}", True
        begin = place + 1
    if begin < len(text):
        yield text[begin:], False


def word(token: str) -> str:
    """Return a token as one word: signs for white space, names for what cannot be seen."""
    shown = "".join(text for text, _ in runs(token))
    return shown.replace("\n", "↵").replace("\t", "⇥").replace(" ", "·")
