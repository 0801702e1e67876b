# SPDX-License-Identifier: Apache-2.0
r"""Where to repair: scores of neurons, layers by occlusion, and how many of each may change.

For a failing token with wanted y and rival v, of neuron j in layer l with key entry k and write w:

* ``contrast``: :math:`|k_j\, e_l g (u_y - u_v) \cdot w_j| / \sigma`, what the neuron itself adds to
  the gap on the direct path; one forward, no gradient.
* ``gradient``: :math:`k_j\, \partial p(y) / \partial k_j` at the input of the FFN output matrix,
  its L2 norm over positions.
* ``random``: the control.

Layers are ranked by occlusion: the FFN is replaced by its own input, and what counts is how much
the answers' loss grows. The patterns of STAR share one budget of neurons, ``ratio`` of one layer:
``global`` takes the best over all layers, ``even`` the same number in each, ``layer-wise`` all in
the one layer that occlusion puts first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from codetemper.harden.repair._forward import Recorder
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.settings import Config
from codetemper.models.hooks import hooked

_SHARES = {"all": 1.0, "half": 0.5, "quarter": 0.25}


def chosen_columns(
    engine: Engine, passages: Sequence[Passage], config: Config
) -> dict[int, torch.Tensor | None]:
    """Return, by number of each layer that may change, the neurons that may; None: all of them.

    Args:
        engine: the model.
        passages: what is to be repaired.
        config: layers, pattern, ratio, scores and seed are read.
    """
    layers = [site.layer for site in engine.sites]
    if config.layers != "all" or config.pattern == "layer-wise":
        losses = occlusion(engine, passages)
        ranked = sorted(layers, key=lambda layer: -losses[layer])
        count = max(1, round(_SHARES[config.layers] * len(layers)))
        layers = sorted(ranked[:1] if config.pattern == "layer-wise" else ranked[:count])
    if config.pattern == "dense" or (config.ratio == 1.0 and config.pattern == "layer-wise"):
        return dict.fromkeys(layers)
    return pick(neuron_scores(engine, passages, layers, config), config)


def pick(scores: dict[int, torch.Tensor], config: Config) -> dict[int, torch.Tensor | None]:
    """Return the best neurons of a pattern, sorted, by layer.

    Args:
        scores: [f] by layer.
        config: pattern and ratio.
    """
    layers = sorted(scores)
    budget = max(1, round(config.ratio * max(len(each) for each in scores.values())))
    if config.pattern == "global":
        flat = torch.cat([scores[layer] for layer in layers])
        owner = torch.cat([torch.full((len(scores[n]),), n) for n in layers]).to(flat.device)
        place = torch.cat([torch.arange(len(scores[n])) for n in layers]).to(flat.device)
        best = flat.topk(min(budget, len(flat))).indices
        found = {n: place[best[owner[best] == n]].sort().values for n in layers}
        return {layer: neurons for layer, neurons in found.items() if len(neurons)}
    each = budget if config.pattern == "layer-wise" else max(1, budget // len(layers))
    return {
        layer: scores[layer].topk(min(each, len(scores[layer]))).indices.sort().values
        for layer in layers
    }


def neuron_scores(
    engine: Engine, passages: Sequence[Passage], layers: Sequence[int], config: Config
) -> dict[int, torch.Tensor]:
    """Return a score for each neuron of some layers, [f] by layer."""
    if config.scores == "random":
        generator = torch.Generator().manual_seed(config.seed)
        return {
            layer: torch.rand(engine.sites[layer].inner, generator=generator).to(engine.device)
            for layer in layers
        }
    if config.scores == "gradient":
        return _gradient_scores(engine, passages, layers)
    return contrast_scores(engine, passages, layers)


def contrast_scores(
    engine: Engine, passages: Sequence[Passage], layers: Sequence[int]
) -> dict[int, torch.Tensor]:
    """Return direct contributions to the gaps of wrong tokens, [f] by layer."""
    seen = engine.observe(passages, layers=layers, margin=0.0)
    contrast = engine.contrast(seen.wanted, seen.rival)
    found = {}
    for layer in layers:
        direct = (contrast * engine.gains[layer]) @ engine.written(layer).float()
        found[layer] = (seen.keys[layer] * direct / seen.divisors[layer][:, None]).abs().sum(0)
    return found


def _gradient_scores(
    engine: Engine, passages: Sequence[Passage], layers: Sequence[int]
) -> dict[int, torch.Tensor]:
    """Return gradient times activation of the wanted tokens' probabilities, [f] by layer."""
    sums = {layer: torch.zeros(engine.sites[layer].inner).to(engine.device) for layer in layers}
    for passage in passages:
        with _leaves(engine, layers) as leaves, Recorder(engine, ()) as recorder:
            with torch.enable_grad():
                engine.module(input_ids=engine.padded([passage]), use_cache=False)
                logits, wanted = recorder.logits([passage])
                wrong = logits.argmax(-1) != wanted
                if not bool(wrong.any()):
                    continue
                likely = logits.float().softmax(-1).gather(1, wanted[:, None])[wrong].sum()
            slopes = torch.autograd.grad(likely, [leaves[layer] for layer in layers])
            for layer, slope in zip(layers, slopes, strict=True):
                product = (leaves[layer].detach() * slope).float()
                sums[layer] += product.reshape(-1, product.shape[-1]).pow(2).sum(0)
    return {layer: value.sqrt() for layer, value in sums.items()}


def occlusion(engine: Engine, passages: Sequence[Passage]) -> dict[int, float]:
    """Return the answers' mean loss with each layer's FFN replaced by its own input."""
    found = {}
    for site in engine.sites:
        with _passing(engine, site.layer), torch.no_grad():
            total, count = 0.0, 0
            for begin in range(0, len(passages), engine.batch_size):
                batch = passages[begin : begin + engine.batch_size]
                tokens = sum(len(passage.answer) for passage in batch)
                total += float(engine.loss(batch)) * tokens
                count += tokens
        found[site.layer] = total / count
    return found


@contextmanager
def _passing(engine: Engine, layer: int) -> Iterator[None]:
    """Have an FFN hand on what it is given."""
    site = engine.sites[layer]
    given: list[torch.Tensor] = []

    def note(part: nn.Module, args: tuple[Any, ...]) -> None:
        given[:] = [args[0]]

    def hand_on(part: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        return given[0]

    with hooked(engine.module, before={site.inputs: note}, after={site.path: hand_on}):
        yield


@contextmanager
def _leaves(engine: Engine, layers: Sequence[int]) -> Iterator[dict[int, torch.Tensor]]:
    """Have the input of FFN output matrices hold gradients for one forward."""
    found: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Any:
        def hook(part: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            value = args[0] if args[0].requires_grad else args[0].detach().requires_grad_(True)
            found[layer] = value
            return (value, *args[1:])

        return hook

    with hooked(engine.module, before={engine.sites[n].path: keep(n) for n in layers}):
        yield found
