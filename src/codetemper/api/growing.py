# SPDX-License-Identifier: Apache-2.0
"""``grow``: from a few bad snippets to a corpus of them that a guard can be made of.

    card = grow(workspace, "seedling", "seeds.jsonl", Growth(wanted=100))
    guards.guard(workspace, "seedling", card.id)

The model is shown some of the seeds under a line that asks for their weakness, and goes on: with
the prompt of another seed, with a function of its own, or with a prompt of the data that the guard
is to be on for. What it writes is kept where it is a whole function, is new, and a judge confirms
the weakness: by behaviour where the prompt is that of a case of a suite, else by static analysers.
A model that never writes the weakness grows nothing, and snippets that analysers cannot read grow
only by cases.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from codetemper.api.defending import weak
from codetemper.api.models import full_name, opened
from codetemper.api.settling import settle
from codetemper.api.tuning import fix_pairs
from codetemper.core.accounts import CorpusCard
from codetemper.core.digests import digest_json
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import (
    Case,
    Completion,
    Event,
    FixPair,
    OnEvent,
    Sampling,
    ignore_events,
)
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import write_corpus
from codetemper.data.functions import functions
from codetemper.data.languages import LANGUAGES
from codetemper.data.samples import vulnerable_sides
from codetemper.evaluate import suites
from codetemper.judges import JudgeOptions, judge_all

#: Fewest seeds: fewer cannot be shown to the model and leave one to go on from.
FEWEST = 5
#: Where a corpus counts what came of the data's prompts: ``counts["confirmed"][OF_DATA]``.
OF_DATA = "prompts of the data"

Write = Callable[[Sequence[str], Sampling], list[list[Completion]]]
Confirm = Callable[[Sequence[FixPair]], Collection[str]]


class Growth(BaseModel):
    """Settings of growing."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    wanted: int = Field(default=100, ge=1)
    """Samples in all, the seeds among them."""
    shown: int = Field(default=3, ge=1)
    """Seeds that the model is shown before it goes on."""
    draws: int = Field(default=4, ge=1)
    """Completions of each prompt in a round; each seed gives two prompts, and stands before as
    many of the data's, which are completed once."""
    rounds: int = Field(default=10, ge=1)
    """Most rounds."""
    temperature: float = Field(default=1.0, gt=0)
    """Of the sampling."""
    max_new_tokens: int = Field(default=256, ge=1)
    """Longest completion."""
    seed: int = 0
    """Seed of what is shown and of the sampling."""


@dataclass(frozen=True)
class Grown:
    """What came of seeds.

    Attributes:
        pairs: the seeds, then what was written, as samples.
        counts: completions by what became of them: ``kept``, ``more than wanted``, ``no whole
            function``, ``known already``, ``not confirmed``.
        of_data: how many were confirmed, kept or not, that go on from a prompt of the data.
    """

    pairs: tuple[FixPair, ...]
    counts: dict[str, int]
    of_data: int


@dataclass(frozen=True)
class Seeds:
    """What is grown from.

    Attributes:
        card: of the file or corpus.
        pairs: the bad snippets.
        cases: of the suite that judges, by prompt; none without one.
    """

    card: CorpusCard
    pairs: list[FixPair]
    cases: dict[str, Case]


def read_seeds(
    workspace: Workspace, seeds: str, *, cwe: str | None = None, judged_by: str | None = None
) -> Seeds:
    """Read what ``grow`` starts from; the arguments are its own.

    Raises:
        UsageError: as ``grow``.
    """
    card, rows = fix_pairs(workspace, seeds)
    given = [pair for pair in vulnerable_sides(rows) if cwe is None or pair.cwe == cwe.upper()]
    _refuse_seeds(given, card.id)
    cases = suites.load(judged_by).cases if judged_by else ()
    return Seeds(card, given, {case.prompt: case for case in cases})


def grow(
    workspace: Workspace,
    model: str,
    seeds: str,
    config: Growth | None = None,
    *,
    cwe: str | None = None,
    judged_by: str | None = None,
    user_data: str | None = None,
    options: JudgeOptions | None = None,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> CorpusCard:
    """Grow a corpus of bad samples from a few; the same call grows the same corpus.

    Args:
        workspace: gets the corpus and a ledger entry.
        model: expression; it writes with its patches on.
        seeds: bad snippets: a file of JSON lines, or a corpus, whose vulnerable sides are bad.
        config: settings.
        cwe: use the seeds of this weakness only.
        judged_by: suite whose cases judge what is written after their prompts.
        user_data: samples whose prompts the model is to complete too, where they name the language
            of a seed and begin a function; their answers are not read.
        options: of the judges.
        device: torch device name.
        on_event: progress, in samples.
        loaded: a handle of ``model`` that is loaded already.

    Raises:
        UsageError: too few seeds, or one in no programming language.
        CannotKnowError: nothing that was written was confirmed, or no analyser reads a language.
    """
    begun, config = time.monotonic(), config or Growth()
    model = full_name(workspace, model)
    given = read_seeds(workspace, seeds, cwe=cwe, judged_by=judged_by)
    theirs = fix_pairs(workspace, user_data) if user_data else None
    with opened(workspace, model, loaded, device=device) as handle:
        found = variations(
            given.pairs,
            handle.generate,
            lambda pairs: confirmed(pairs, given.cases, options),
            config,
            on_event,
            asked=theirs[1] if theirs else (),
        )
        inputs = {"model": model, "model_digest": handle.digest, "corpus": given.card.id,
                  "corpus_digest": given.card.data_digest}  # fmt: skip
        inputs |= {"user_data_digest": theirs[0].data_digest} if theirs else {}
    facts = config.model_dump(mode="json") | {"cwe": cwe, "judged_by": judged_by} | inputs
    with workspace.staged("corpora") as folder:
        grown = write_corpus(
            folder, found.pairs, verb="grow", sources=(given.card.id,), config=facts,
            counts={"written": found.counts, "confirmed": {OF_DATA: found.of_data}},
            seconds=round(time.monotonic() - begun, 3),
        )  # fmt: skip
        note = f"{len(found.pairs)} bad samples of {len(given.pairs)} seeds"
        settle(workspace, folder, "corpora", grown.id, "grow", inputs=inputs, note=note)
    return grown


def _refuse_seeds(seeds: Sequence[FixPair], name: str) -> None:
    if len({_letters(seed.after) for seed in seeds}) < FEWEST:
        raise UsageError(
            f"there are too few seeds in {name}",
            why=f"{len(seeds)} were found, and {FEWEST} that differ are the least",
            mend="write some more; 5 to 20 are usual",
        )
    odd = next((seed for seed in seeds if seed.language not in LANGUAGES), None)
    if odd is not None:
        raise UsageError(
            f"the seed {odd.id} cannot be varied",
            why=f"its language is {odd.language!r}, in which no functions can be told",
            mend=f"give each line a 'language': {', '.join(LANGUAGES)}",
        )


def variations(
    seeds: Sequence[FixPair],
    write: Write,
    confirm: Confirm,
    config: Growth,
    on_event: OnEvent = ignore_events,
    *,
    asked: Sequence[FixPair] = (),
) -> Grown:
    """Have a model vary bad snippets till there are enough that are confirmed.

    Args:
        seeds: bad samples; ``after`` is what is bad.
        write: draws completions of prompts.
        confirm: from samples to the ids of those that are bad indeed.
        config: settings.
        on_event: progress.
        asked: samples whose prompts are completed too, those most like a seed's first.

    Returns:
        The seeds and what was confirmed, ``config.wanted`` of them at most, and as many of each
        weakness while there are.

    Raises:
        CannotKnowError: nothing was confirmed.
    """
    rng, counts = random.Random(config.seed), Counter[str]()  # noqa: S311
    pairs = [seed.model_copy(update={"before": seed.after}) for seed in seeds]
    known = {_letters(seed.after) for seed in seeds}
    theirs = _nearest(seeds, asked)
    had = Counter(seed.cwe for seed in seeds)
    share = math.ceil(config.wanted / len(had))
    spare: list[FixPair] = []
    of_data = 0
    for number in range(config.rounds):
        if len(pairs) >= config.wanted:
            break
        own = [made for seed in seeds for made in _prompts(seed, seeds, config.shown, rng)]
        count = len(seeds) * config.draws if theirs else 0
        turn = [theirs[i % len(theirs)] for i in range(number * count, (number + 1) * count)]
        others = [(seed, _front(seed, seeds, config.shown, rng), asks) for seed, asks in turn]
        new: list[FixPair] = []
        drawn_of_data: set[str] = set()
        for prompts, n, is_data in ((own, config.draws, False), (others, 1, True)):
            drawn = Sampling(
                n=n, temperature=config.temperature, seed=rng.randrange(2**31),
                max_new_tokens=config.max_new_tokens,
            )  # fmt: skip
            for made in _written(prompts, write, drawn):
                if made is None:
                    counts["no whole function"] += 1
                elif _letters(made.after) in known:
                    counts["known already"] += 1
                else:
                    known.add(_letters(made.after))
                    new.append(made)
                    drawn_of_data |= {made.id} if is_data else set()
        bad = confirm(new) if new else ()
        of_data += len(drawn_of_data & set(bad))
        counts["not confirmed"] += sum(pair.id not in bad for pair in new)
        for pair in new:
            if pair.id in bad:
                full = len(pairs) >= config.wanted or had[pair.cwe] >= share
                (spare if full else pairs).append(pair)
                had[pair.cwe] += not full
        on_event(Event(stage="grow", done=len(pairs), total=config.wanted, unit="samples"))
    fill = spare[: max(0, config.wanted - len(pairs))]
    pairs += fill
    counts["kept"] = len(pairs) - len(seeds)
    counts["more than wanted"] = len(spare) - len(fill)
    if not counts["kept"]:
        told = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()) if n)
        raise CannotKnowError(
            "no other bad samples could be grown",
            why=f"nothing that the model wrote was confirmed to be bad ({told or 'no room'})",
            mend="give more seeds, or a suite that judges them: --judged-by SUITE",
        )
    return Grown(tuple(pairs), dict(sorted(counts.items())), of_data)


def _written(
    prompts: Sequence[tuple[FixPair, str, str]], write: Write, drawn: Sampling
) -> Iterator[FixPair | None]:
    """Yield the functions that a model writes on; None where there is none that is whole."""
    if not prompts:
        return
    rows = write([front + prompt for _, front, prompt in prompts], drawn)
    for (seed, _, prompt), row in zip(prompts, rows, strict=True):
        for one in row:
            yield _function(seed, prompt, one)


def _prompts(
    seed: FixPair, seeds: Sequence[FixPair], shown: int, rng: random.Random
) -> list[tuple[FixPair, str, str]]:
    """Return what the model is to go on from: (seed, what is shown, the prompt after that)."""
    front = _front(seed, seeds, shown, rng)
    return [(seed, front, seed.after[: seed.body_start]), (seed, front, "")]


def _front(seed: FixPair, seeds: Sequence[FixPair], shown: int, rng: random.Random) -> str:
    """Return a line that asks for a seed's weakness, and some others of its language."""
    others = [s for s in seeds if s.language == seed.language and s.after != seed.after]
    mark = "#" if seed.language == "python" else "//"
    weakness = f"the weakness {seed.cwe}" if seed.cwe else "a security weakness"
    texts = [s.after.strip("\n") + "\n" for s in rng.sample(others, min(shown, len(others)))]
    return "\n\n".join([f"{mark} Each of these functions has {weakness}.\n", *texts]) + "\n\n"


def _nearest(seeds: Sequence[FixPair], asked: Sequence[FixPair]) -> list[tuple[FixPair, str]]:
    """Return prompts, each with the seed whose prompt shares most words with it (Jaccard).

    Seeds take turns, each with the prompts that are most like its own first.
    """
    words = {seed.id: _words(seed) for seed in seeds}
    found: dict[str, list[tuple[float, FixPair, str]]] = {seed.id: [] for seed in seeds}
    for pair in {pair.after[: pair.body_start]: pair for pair in asked}.values():
        like = [seed for seed in seeds if seed.language == pair.language]
        mine = _words(pair)
        if not like or not mine:
            continue
        near = [len(mine & words[seed.id]) / len(mine | words[seed.id]) for seed in like]
        best = max(range(len(like)), key=near.__getitem__)
        found[like[best].id].append((near[best], like[best], pair.after[: pair.body_start]))
    turns = (sorted(some, key=lambda one: -one[0]) for some in found.values())
    return [one[1:] for one in chain.from_iterable(zip_longest(*turns)) if one is not None]


def _words(pair: FixPair) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", pair.after[: pair.body_start].lower()))


def _function(seed: FixPair, prompt: str, written: Completion) -> FixPair | None:
    """Return the first function of prompt and completion, if it is whole."""
    text = prompt + written.text
    found = functions(text, seed.language).functions  # type: ignore[arg-type]
    if not found or not found[0].text[found[0].body_start :].strip():
        return None
    first = found[0]
    if prompt and not first.text.startswith(prompt.lstrip("\n")):
        return None
    if not written.finished and text.rstrip().endswith(first.text.rstrip()):
        return None  # the budget may have cut it
    return seed.model_copy(
        update={
            "id": digest_json([seed.language, first.text])[:12],
            "before": first.text,
            "after": first.text,
            "body_start": first.body_start,
            "context": "",
            "name": first.name,
            "path": "grown",
            "changed_lines_before": (),
            "changed_lines_after": (),
            "changed_spans_before": (),
            "changed_spans_after": (),
            "evidence": f"written by a model from {seed.id}, confirmed by a judge",
        }
    )


def confirmed(
    pairs: Sequence[FixPair], cases: Mapping[str, Case], options: JudgeOptions | None = None
) -> set[str]:
    """Return the ids of samples whose weakness a judge confirms.

    Args:
        pairs: samples.
        cases: by prompt; they judge by behaviour. All others are judged by analysers.
        options: of the judges.
    """
    known = {pair.id: cases.get(pair.after[: pair.body_start]) for pair in pairs}
    items = [
        (
            case.model_copy(update={"id": pair.id}),
            Completion(case=pair.id, text=pair.after[pair.body_start :]),
        )
        for pair in pairs
        if (case := known[pair.id]) is not None
    ]
    verdicts = judge_all(items, options=options)
    bad = {v.case for v in verdicts if v.valid == "pass" and v.security == "fail"}
    rest = [pair for pair in pairs if known[pair.id] is None]
    return bad | (weak(rest, options) if rest else set())


def _letters(text: str) -> str:
    return "".join(text.split())
