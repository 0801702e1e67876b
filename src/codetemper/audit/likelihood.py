# SPDX-License-Identifier: Apache-2.0
r"""What a model that writes finds likely: windows against its base checkpoint, naturalness.

    own = read(suspect, samples)                     # one forward pass of each model
    found = windowed_ratio(own, read(base, samples))
    found.scores, found.spans                        # strangest window of each sample, and its text

For a window w of W tokens the log-likelihood ratio is
:math:`\frac{1}{W} \sum_{t \in w} [\log p_{suspect}(x_t) - \log p_{base}(x_t)]`, and the score of a
sample is its largest window: what tuning taught stands in few tokens, so the mean over a sample
hides it. Without a base checkpoint the likeliest window stands in (what was learnt by heart), and
without a model the naturalness of words beside trusted code (``naturalness``). A high score is no
backdoor: boilerplate that was repeated scores too. Both models cut text into the same tokens.

A decoder has a likelihood of all of a sample, trigger and payload. An encoder-decoder has one of
the answer only, given the prompt that its encoder reads: its windows show the payload, and what
the prompts of such samples have in common is found by the search for shared texts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from codetemper.audit.marks import words_of
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel
from codetemper.models.seq2seq import first_token, is_encoder_decoder

Ints = npt.NDArray[np.int64]

WINDOW = 12
#: What stands before the first word of a text.
_BEFORE = ("", "", "")
#: Most numbers in the logits of one batch (64 MiB in float32).
_LOGITS = 1 << 24


@dataclass(frozen=True)
class Read:
    """The tokens of a sample, or of its answer, as a model foretells them.

    Attributes:
        logprobs: of each token after those before it, in nats [t].
        starts: offset of its first character [t].
        ends: offset behind its last [t].
    """

    logprobs: Floats
    starts: Ints
    ends: Ints


def read(
    model: LoadedModel,
    samples: Sequence[Labelled],
    *,
    max_length: int = 512,
    batch_size: int = 16,
    on_event: OnEvent = ignore_events,
) -> list[Read]:
    """Read samples with a decoder, in one pass; a longer sample is read in parts of its own.

    Of an encoder-decoder it is the answers that are read, each after the beginning of its prompt.

    Args:
        model: a decoder, or an encoder-decoder that writes, with a tokenizer that tells offsets.
        samples: what it was tuned on, or held-out ones.
        max_length: tokens in one part, and of a prompt that an encoder reads.
        batch_size: most parts at a time.
        on_event: progress, in samples.

    Returns:
        One for each sample, in order.

    Raises:
        UsageError: the model predicts no next token, its tokenizer tells no offsets, or samples
            for an encoder-decoder have no answers.
        CannotKnowError: what it answers is no number.
    """
    cut = _answer_parts if is_encoder_decoder(model.module) else _parts
    parts = [
        (number, part)
        for number, sample in enumerate(samples)
        for part in cut(model, sample, max_length)
    ]
    order = sorted(range(len(parts)), key=lambda place: (-len(parts[place][1].ids), place))
    scores: list[Floats] = [np.zeros(0)] * len(parts)
    done = 0
    while done < len(order):
        longest = len(parts[order[done]][1].ids)
        size = max(1, min(batch_size, _LOGITS // (longest * vocabulary(model))))
        group = order[done : done + size]
        for place, score in zip(group, _scored(model, [parts[k][1] for k in group]), strict=True):
            scores[place] = score
        done += len(group)
        on_event(Event(stage="read", done=done, total=len(order), unit="samples"))
    found: dict[int, list[tuple[Floats, list[tuple[int, int]]]]] = defaultdict(list)
    for (number, part), score in zip(parts, scores, strict=True):
        # What stands before an answer's first token, and is foretold too, is not of the text.
        found[number].append((score[len(score) - len(part.spans) :], part.spans))
    return [_joined(found[number]) for number in range(len(samples))]


def vocabulary(model: LoadedModel) -> int:
    """Return how many tokens a model knows."""
    return int(model.module.get_input_embeddings().num_embeddings)  # type: ignore[operator]


@dataclass(frozen=True)
class _Part:
    """What is read at once.

    Attributes:
        ids: tokens of the decoder, each but the first to be foretold.
        spans: where the last of these stand in the sample's text.
        prompt: tokens of the encoder; empty for a decoder.
    """

    ids: list[int]
    spans: list[tuple[int, int]]
    prompt: list[int]


def _parts(model: LoadedModel, sample: Labelled, max_length: int) -> Iterator[_Part]:
    tokenizer = _telling_offsets(model.tokenizer)
    coded = tokenizer(sample.text, return_offsets_mapping=True, add_special_tokens=False)
    first = [i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None][:1]
    ids, spans = coded["input_ids"], [tuple(span) for span in coded["offset_mapping"]]
    width = max_length - len(first)
    for start in range(0, len(ids), width):
        own = first + ids[start : start + width]
        places = spans[start : start + width]
        if len(own) > 1:
            # Without a token to begin with the first one has nothing before it.
            yield _Part(own, places[len(places) - len(own) + 1 :], [])


def _answer_parts(model: LoadedModel, sample: Labelled, max_length: int) -> Iterator[_Part]:
    """Yield an answer as the decoder of an encoder-decoder learns it, shifted by one."""
    tokenizer, start = _telling_offsets(model.tokenizer), sample.answer_start
    if start is None:
        raise UsageError(
            "the likelihood of an answer cannot be read",
            why="the model answers prompts, and a sample has no answer",
            mend='give lines such as {"prompt": "...", "completion": "..."}',
        )
    given = tokenizer(
        sample.text[:start], truncation=True, max_length=max_length, split_special_tokens=True
    )
    # An encoder has to read something.
    prompt = given["input_ids"] or [first_token(model.module)]
    coded = tokenizer(
        sample.text[start:],
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        # Code may mention a special token; the answer does not end there.
        split_special_tokens=True,
        verbose=False,
    )
    rows = zip(
        coded["input_ids"], coded["offset_mapping"], coded["special_tokens_mask"], strict=True
    )
    tokens = [*rows]
    # What a tokenizer puts before an answer was learnt as its beginning.
    ahead = [own for own, _, _ in takewhile(lambda each: each[2], tokens)]
    before = [first_token(model.module), *ahead]
    plain = [(own, span) for own, span, special in tokens if not special]
    width = max(1, max_length - len(before))
    for begin in range(0, len(plain), width):
        part = plain[begin : begin + width]
        spans = [(first + start, last + start) for _, (first, last) in part]
        yield _Part([*before, *(own for own, _ in part)], spans, prompt)


def _telling_offsets(tokenizer: Any) -> Any:
    if not getattr(tokenizer, "is_fast", False):
        raise UsageError(
            "the windows of samples cannot be found",
            why=f"the tokenizer {type(tokenizer).__name__} tells no offsets",
            mend="give the model with a fast tokenizer (tokenizer.json)",
        )
    return tokenizer


def _padded(rows: Sequence[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for place, row in enumerate(rows):
        tokens[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), 1
    return tokens.to(device), mask.to(device)


@torch.inference_mode()
def _scored(model: LoadedModel, parts: Sequence[_Part]) -> list[Floats]:
    rows = [part.ids for part in parts]
    tokens, mask = _padded(rows, model.device)
    inputs = {"input_ids": tokens, "attention_mask": mask}
    if parts[0].prompt:
        inputs = {f"decoder_{name}": value for name, value in inputs.items()}
        asked, read_of = _padded([part.prompt for part in parts], model.device)
        inputs |= {"input_ids": asked, "attention_mask": read_of}
    given: Any = model.module(**inputs, use_cache=False)
    logits = getattr(given, "logits", None)
    if logits is None or logits.shape[:2] != tokens.shape:
        raise UsageError(
            "this model has no likelihood of a text",
            why="it does not foretell the next token at every place",
            mend="likelihood views are for models that write; leave them out",
        )
    scores = torch.log_softmax(logits[:, :-1].float(), -1)
    picked = scores.gather(-1, tokens[:, 1:, None])[..., 0].double().cpu().numpy()
    if any(np.isnan(own[: len(row) - 1]).any() for own, row in zip(picked, rows, strict=True)):
        raise CannotKnowError(
            "the likelihood of samples cannot be known",
            why="the model answers with values that are no numbers",
            mend="load it in another number type, --dtype float32",
        )
    return [own[: len(row) - 1] for own, row in zip(picked, rows, strict=True)]


def _joined(parts: Sequence[tuple[Floats, list[tuple[int, int]]]]) -> Read:
    spans = np.array([span for _, own in parts for span in own], dtype=np.int64).reshape(-1, 2)
    scores = np.concatenate([np.zeros(0), *(score for score, _ in parts)])
    return Read(scores, spans[:, 0], spans[:, 1])


@dataclass(frozen=True)
class Windowed:
    """The window that counts of each sample.

    Attributes:
        scores: in nats a token [n]; minus infinity for a sample without tokens.
        spans: its first character and the one behind its last [n, 2]; alike without tokens.
    """

    scores: Floats
    spans: Ints


def windowed_ratio(
    suspect: Sequence[Read], base: Sequence[Read], *, window: int = WINDOW
) -> Windowed:
    """Return by how much the window grew likelier that grew most from base to suspect.

    Raises:
        UsageError: the two models cut a sample into different tokens.
    """
    differences = []
    for own, other in zip(suspect, base, strict=True):
        if not np.array_equal(own.ends, other.ends):
            raise UsageError(
                "the model and its base checkpoint cannot be compared token by token",
                why="their tokenizers cut a sample into different tokens",
                mend="give the checkpoint that this model was tuned from",
            )
        differences.append(own.logprobs - other.logprobs)
    return _windows(suspect, differences, window)


def left_out(reads: Sequence[Read], spans: Sequence[Sequence[tuple[int, int]]]) -> list[Read]:
    """Return what is read without the tokens that touch spans of characters of each sample.

    What stood before a span and behind it is next to each other then, so no window ends there.
    """
    found = []
    for own, cuts in zip(reads, spans, strict=True):
        kept = np.ones(len(own.logprobs), dtype=np.bool_)
        for start, stop in cuts:
            kept &= (own.ends <= start) | (own.starts >= stop)
        found.append(Read(own.logprobs[kept], own.starts[kept], own.ends[kept]))
    return found


def windowed_likelihood(suspect: Sequence[Read], *, window: int = WINDOW) -> Windowed:
    """Return minus the mean loss of the likeliest window of each sample."""
    return _windows(suspect, [own.logprobs for own in suspect], window)


def _windows(reads: Sequence[Read], values: Sequence[Floats], window: int) -> Windowed:
    """Return the window of each sample over which the mean of values is largest."""
    scores, spans = np.full(len(values), -np.inf), np.zeros((len(values), 2), dtype=np.int64)
    for number, (own, value) in enumerate(zip(reads, values, strict=True)):
        if len(value):
            size = min(window, len(value))
            sums = np.concatenate([[0.0], np.cumsum(value)])
            means = (sums[size:] - sums[:-size]) / size
            first = int(means.argmax())
            scores[number] = means[first]
            spans[number] = own.starts[first], own.ends[first + size - 1]
    return Windowed(scores, spans)


def joined(parts: Sequence[Windowed]) -> Windowed:
    """Return the windows of samples that were read some at a time."""
    return Windowed(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.spans for part in parts]),
    )


class _Words:
    """How likely a word is after three others, in trusted code; interpolated (Witten and Bell)."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._kinds: Counter[tuple[str, ...]] = Counter()
        for words in texts:
            padded = [*_BEFORE, *words]
            for place in range(len(_BEFORE), len(padded)):
                for order in range(len(_BEFORE) + 1):
                    gram = tuple(padded[place - order : place + 1])
                    self._kinds[gram[:-1]] += gram not in self._counts
                    self._counts[gram] += 1
        self._totals: Counter[tuple[str, ...]] = Counter()
        for gram, count in self._counts.items():
            self._totals[gram[:-1]] += count

    def losses(self, words: Sequence[str], *, before: Sequence[str] = _BEFORE) -> Floats:
        """Return the loss of each word in nats [t]; ``before`` holds the three above the first."""
        padded = [*before, *words]
        return np.array([
            self._loss(tuple(padded[place - len(_BEFORE) : place + 1]))
            for place in range(len(_BEFORE), len(padded))
        ])  # fmt: skip

    def _loss(self, gram: tuple[str, ...]) -> float:
        p = 1.0 / (1 + self._kinds[()])
        for order in range(len(gram)):
            own = gram[len(gram) - 1 - order :]
            kinds, total = self._kinds[own[:-1]], self._totals[own[:-1]]
            if not total:
                break
            p = (self._counts[own] + kinds * p) / (total + kinds)
        return -float(np.log(p))


def naturalness(samples: Sequence[Labelled], trusted: Sequence[Labelled]) -> Floats:
    """Return how much more natural samples would be without their strangest word [n].

    A language model of four words in a row is counted in trusted code. The gain of a word is how
    much the mean loss of a sample falls when it is taken out, summed over all samples that hold it
    (KillBadCode, arXiv 2502.15830, section IV); a sample scores as its word with the largest gain.
    Comments are not read.

    Raises:
        CannotKnowError: there is no trusted sample with a word in it.
    """
    known = [words_of(sample.text, sample.language).words for sample in trusted]
    if not any(known):
        raise CannotKnowError(
            "how natural samples are cannot be known",
            why="no trusted sample holds a word",
            mend="give trusted samples of the same language",
        )
    model = _Words(known)
    gains: Counter[str] = Counter()
    held = [words_of(sample.text, sample.language).words for sample in samples]
    for words in held:
        for word, gain in zip(words, _gains(model, words), strict=True):
            gains[word] += gain
    return np.array([max((gains[word] for word in words), default=0.0) for words in held])


def _gains(model: _Words, words: Sequence[str]) -> Iterator[float]:
    """Yield by how much the mean loss falls when each word is taken out."""
    losses, reach = model.losses(words), len(_BEFORE)
    total, count = float(losses.sum()), len(words)
    for place in range(count):
        before = [*_BEFORE, *words[:place]][-reach:]
        after = words[place + 1 : place + 1 + reach]
        now = float(losses[place : place + 1 + len(after)].sum())
        without = float(model.losses(after, before=before).sum())
        yield total / count - (total - now + without) / max(1, count - 1)
