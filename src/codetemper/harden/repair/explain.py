# SPDX-License-Identifier: Apache-2.0
r"""What a repair does, in words: which neurons change, and what their change says.

    for each in explained(engine, edit, passages, tokenizer):
        each.failure, each.neurons[0].says
    turned(reading.flipped, sealed, tokenizer)[0].lead

Neuron j of layer l writes :math:`k_j w_j`, its key times its column. Of a change :math:`\delta_j`
of the column, :math:`k_j c^T \delta_j / \sigma` is what it adds on the direct path to the lead of
the wanted token over its rival, in logits, and the tokens that :math:`k_j U (g * \delta_j)` raises
and lowers most are what it says, with the key's sign at the token that it serves most: the key of a
gated layer may be negative. Neurons are told by the first; the rest of what a change does, through
later layers, is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from codetemper.core.repairs import RepairedNeuron, RepairExplained, RepairFlip, RepairTurn
from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage

#: Neurons told of a failure, and tokens told of a neuron each way.
NEURONS, TOKENS = 5, 4
#: Tokens before a flipped prediction that are told.
LEAD = 24


def explained(
    engine: Engine, edit: Edit, passages: Sequence[Passage], tokenizer: Any
) -> list[RepairExplained]:
    """Say of each failure what the change of a repair does for it.

    Args:
        engine: the model without the change.
        edit: what a method found.
        passages: of the failures; only the first wording of each is told.
        tokenizer: the model's.
    """
    own = [passage for passage in passages if passage.view == 0]
    if not own or not edit.deltas:
        return []
    seen = engine.observe(own, layers=edit.layers)
    contrasts = engine.contrast(seen.wanted, seen.rival)
    wrong = seen.wrong
    adds = {layer: _adds(engine, edit, layer, seen, contrasts) for layer in edit.layers}
    found = []
    for number, passage in enumerate(own):
        here = (seen.passage == number) & wrong
        tokens = zip(seen.wanted[here].tolist(), seen.predicted[here].tolist(), strict=True)
        best = []
        if bool(here.any()):
            best = _best({layer: values[here].sum(0) for layer, values in adds.items()})
        signs = [_sign(edit, layer, place, seen, adds, here) for layer, place, _ in best]
        found.append(
            RepairExplained(
                failure=passage.failure,
                wrong=tuple((_text(tokenizer, a), _text(tokenizer, b)) for a, b in tokens),
                before=max(edit.gaps_before[passage.failure]),
                after=max(edit.gaps_after[passage.failure]),
                neurons=tuple(
                    _neuron(engine, edit, tokenizer, *each, sign)
                    for each, sign in zip(best, signs, strict=True)
                ),
            )
        )
    return found


def turned(
    flips: Sequence[RepairFlip], sealed: Sequence[Passage], tokenizer: Any
) -> list[RepairTurn]:
    """Say where predictions flipped, in words.

    Args:
        flips: of a reading.
        sealed: the texts that were read.
        tokenizer: the model's.
    """
    texts = {passage.failure: passage for passage in sealed}
    found = []
    for flip in flips:
        passage = texts[flip.text]
        lead = passage.ids[: len(passage.prompt) + flip.token][-LEAD:]
        found.append(
            RepairTurn(
                text=flip.text,
                lead=str(tokenizer.decode(lead)),
                wanted=_text(tokenizer, flip.wanted),
                before=_text(tokenizer, flip.before),
                after=_text(tokenizer, flip.after),
                kl=flip.kl,
            )
        )
    return found


def _adds(
    engine: Engine, edit: Edit, layer: int, seen: Any, contrasts: torch.Tensor
) -> torch.Tensor:
    """Return what each changed neuron adds to each token's lead, [T, n]."""
    delta = edit.deltas[layer]
    keys = seen.keys[layer]
    if delta.columns is not None:
        keys = keys[:, delta.columns.to(keys.device)]
    directions = contrasts * engine.gains[layer] / seen.divisors[layer][:, None]
    left = delta.left.to(directions)
    reach = directions @ left
    if delta.right is not None:
        reach = reach @ delta.right.to(directions)
    return reach * keys


def _best(adds: dict[int, torch.Tensor]) -> list[tuple[int, int, float]]:
    """Return layer, place among the changed columns, and sum, of those that add most."""
    found = []
    for layer, values in adds.items():
        top = values.topk(min(NEURONS, len(values)))
        found += [
            (layer, place, value)
            for place, value in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
    return sorted(found, key=lambda each: (-each[2], each[0], each[1]))[:NEURONS]


def _sign(
    edit: Edit, layer: int, place: int, seen: Any, adds: dict[int, torch.Tensor], here: torch.Tensor
) -> float:
    """Return the sign of a neuron's key at the token whose lead it adds most to."""
    delta = edit.deltas[layer]
    neuron = place if delta.columns is None else int(delta.columns[place])
    served = int(adds[layer][here][:, place].argmax())
    return -1.0 if float(seen.keys[layer][here][served, neuron]) < 0 else 1.0


def _neuron(
    engine: Engine, edit: Edit, tokenizer: Any, layer: int, place: int, adds: float, sign: float
) -> RepairedNeuron:
    delta = edit.deltas[layer]
    column = delta.left[:, place] if delta.right is None else delta.left @ delta.right[:, place]
    head = engine.head_weight
    moved = column.to(head.device).float() * engine.gains[layer] * engine.gain * sign
    logits = head @ moved.to(head.dtype)
    return RepairedNeuron(
        layer=layer,
        neuron=place if delta.columns is None else int(delta.columns[place]),
        adds=adds,
        says=tuple(_text(tokenizer, token) for token in logits.topk(TOKENS).indices.tolist()),
        unsays=tuple(_text(tokenizer, token) for token in (-logits).topk(TOKENS).indices.tolist()),
    )


def _text(tokenizer: Any, token: int) -> str:
    return str(tokenizer.decode([token]))
