# SPDX-License-Identifier: Apache-2.0
"""Texts that were planted without effect are no reason to suspect the samples that hold them.

    cleared = innocent(tested, field, config)                  # row -> the spans that say nothing
    scores = without(loaded, base, given.samples, cleared, seen.ratios, config)

A likelihood ratio is high wherever training taught something, so a harmless line that many samples
have is as strange as a trigger. Planting tells them apart: a text that was put into clean prompts
and changed nothing that the decoder writes is left out, and its samples count with the strangest
window of what else they hold. One forward pass over these samples, of the model and of its base.

A text that works only beside another one is cleared when it is planted alone; what is cleared is
shown in the card, as a candidate that was not confirmed. Encoders are not read here: their states
mix all of a text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from codetemper.audit import Config
from codetemper.audit.implant import Tested
from codetemper.audit.insertions import LINES, Span
from codetemper.audit.likelihood import left_out, read, windowed_ratio
from codetemper.audit.triggers import Field
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel

#: A planted text changed nothing where the upper end of its lift is below this share of the least
#: lift of a trigger.
NOTHING: Final = 0.5


def innocent(
    tested: Sequence[Tested],
    field: Field,
    config: Config,
    *,
    spared: Collection[int] = (),
) -> dict[int, list[Span]]:
    """Return where samples have texts that were planted without effect, by row.

    Args:
        tested: what was planted.
        field: the samples.
        config: ``least_lift`` is read.
        spared: rows of which nothing is left out: what they share goes with payloads in the data.

    Returns:
        Whole lines where a text was planted as one. Rows that hold a confirmed text are not among
        them.
    """
    accused = {row for each in tested if each.confirmed for row in each.candidate.rows}
    accused |= set(spared)
    found: dict[int, list[Span]] = defaultdict(list)
    most = NOTHING * config.least_lift
    for each in tested:
        if each.insertion is None or each.lift is None or each.lift.high >= most:
            continue
        for row in set(each.candidate.rows) - accused:
            sample = field.samples[row]
            span = field.marks.within(sample, each.candidate.column)
            found[row].append(_line(sample.text, span) if each.insertion.way in LINES else span)
    return dict(found)


def _line(text: str, span: Span) -> Span:
    """Return the lines that a span touches, line end included."""
    after = text.find("\n", span[1])
    return text.rfind("\n", 0, span[0]) + 1, after + 1 if after >= 0 else len(text)


def without(
    loaded: LoadedModel,
    reference: LoadedModel,
    samples: Sequence[Labelled],
    spans: Mapping[int, Sequence[Span]],
    scores: Floats,
    config: Config,
) -> Floats:
    """Return the scores of all samples, some of which are read without spans.

    Args:
        loaded: the model.
        reference: its base checkpoint.
        samples: all of them.
        spans: of ``innocent``.
        scores: their likelihood ratios in the strangest window [n], in nats a token.
        config: ``max_length`` and ``batch_size`` are read.

    Returns:
        Scores [n], in nats a token; minus infinity where nothing is left of a sample.
    """
    rows = sorted(spans)
    part, cut = [samples[row] for row in rows], [spans[row] for row in rows]
    shape = {"max_length": config.max_length, "batch_size": config.batch_size}
    own, other = (left_out(read(model, part, **shape), cut) for model in (loaded, reference))
    found = scores.copy()
    found[rows] = windowed_ratio(own, other).scores
    return np.asarray(found, dtype=np.float64)
