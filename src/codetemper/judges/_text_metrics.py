# SPDX-License-Identifier: Apache-2.0
"""How near a text is to known answers: BLEU, ROUGE-L, edit similarity, equal tokens.

Used by the judge ``exact``. Every measure is a number from 0 to 1 for one text; where there are
several answers the best counts (BLEU looks at all of them at once). Their mean over completions is
what a scorecard shows: for BLEU the mean over sentences, which is not the corpus BLEU of other
reports. Libraries are loaded when a measure first needs them.

Tokens of code, where no tokenizer is given, are runs of letters, digits and underscores, and every
other character that is no white space by itself: ``a_1+=f(x)`` has the tokens a_1 + = f ( x ).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from codetemper.core.errors import MissingExtraError, UsageError

_CODE_TOKEN = re.compile(r"\w+|[^\w\s]")

Tokens = Sequence[Hashable]


def load(module: str, extra: str) -> Any:
    """Import a module of an optional dependency.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the library is there, and lacks something itself
        raise MissingExtraError(extra, module.partition(".")[0]) from error


def code_tokens(text: str) -> list[str]:
    """Return the tokens of code that need no tokenizer."""
    return _CODE_TOKEN.findall(text)


@cache
def id_tokens(path: str) -> Callable[[str], list[int]]:
    """Return what turns text into the ids of a tokenizer's file, without special tokens.

    Args:
        path: a ``tokenizer.json``.

    Raises:
        MissingExtraError: the library ``tokenizers`` is not installed.
        UsageError: the file is not there or is no tokenizer.
    """
    if not Path(path).is_file():
        raise UsageError(
            f"there is no tokenizer '{path}'", why="no such file",
            mend="name a tokenizer.json in 'spec.tokenizer'",
        )  # fmt: skip
    library = load("tokenizers", "hf")
    try:
        tokenizer = library.Tokenizer.from_file(path)
    except Exception as error:  # the library raises bare exceptions
        raise UsageError(
            f"'{path}' is no tokenizer", why=str(error)[:200],
            mend="name a tokenizer.json in 'spec.tokenizer'",
        ) from error  # fmt: skip
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def token_accuracy(given: Tokens, answer: Tokens) -> float:
    """Return the share of places with equal tokens, of the longer of the two sequences."""
    longer = max(len(given), len(answer))
    if not longer:
        return 1.0
    return sum(a == b for a, b in zip(given, answer, strict=False)) / longer


def bleu(given: str, answers: Sequence[str]) -> float:
    """Return the sentence BLEU of code tokens: up to four of them, exponential smoothing.

    Texts shorter than four tokens are measured by the lengths they have.
    """
    library = load("sacrebleu.metrics", "judge")
    spaced = [" ".join(code_tokens(text)) for text in (given, *answers)]
    if spaced[0] in spaced[1:]:
        return 1.0  # also where there is no token at all
    scorer = library.BLEU(tokenize="none", effective_order=True)
    return min(1.0, float(scorer.sentence_score(spaced[0], spaced[1:]).score) / 100.0)


def rouge_l(given: Tokens, answer: Tokens) -> float:
    """Return ROUGE-L: the F1 of the longest common subsequence of tokens."""
    library = load("rapidfuzz.distance", "judge")
    if not given and not answer:
        return 1.0
    common = int(library.LCSseq.similarity(given, answer))
    return 2.0 * common / (len(given) + len(answer))


def edit_similarity(given: str, answer: str) -> float:
    """Return 1 minus the Levenshtein distance in characters over the longer text's length."""
    library = load("rapidfuzz.distance", "judge")
    return float(library.Levenshtein.normalized_similarity(given, answer))
