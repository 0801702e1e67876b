# SPDX-License-Identifier: Apache-2.0
"""Which layers a method adapts, found by what they do (``anatomy``), never by a list of names.

    ia3_targets(module)                      # keys, values and FFN outputs of any architecture
    ia3_targets(module, ("q_proj", "down_proj"))

IA3 (Liu et al. 2022, arXiv 2205.05638) scales keys, values and what the FFN's last layer reads.
That last one is a *feed-forward* module to peft: it scales the layer's input instead of its output.
Feed-forward modules that are not among the targets do nothing in old versions of peft and are an
error in new ones (the study's own Llama settings name such modules); here they are derived from the
targets, so the two always fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from codetemper.core.errors import UsageError
from codetemper.models.anatomy import anatomy


def ia3_targets(
    module: nn.Module, named: Sequence[str] | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return IA3's target modules and the feed-forward ones among them.

    Args:
        module: a transformers model.
        named: layers to adapt, by full name or its end; None: what the paper adapts. A fused
            projection of queries, keys and values is scaled as a whole.

    Returns:
        Target modules and feed-forward modules, as the shortest ends of names that mean just them.

    Raises:
        UsageError: a name that no linear layer has, or an architecture without telling parts.
    """
    parts = [layer for stack in anatomy(module).stacks for layer in stack.layers]
    outs = {layer.ffn_out for layer in parts}
    if named is None:
        targets = outs | {name for layer in parts for name in layer.attention_kv}
        feedforward = outs
    else:
        targets = matching(module, named)
        feedforward = targets & (outs | {name for layer in parts for name in layer.ffn_in})
    names = [name for name, _ in module.named_modules()]
    return short_ends(targets, names), short_ends(feedforward, names)


def matching(module: nn.Module, named: Iterable[str]) -> set[str]:
    """Return the full names of the modules that some ends of names mean.

    Raises:
        UsageError: one that the model does not have.
    """
    present = [name for name, _ in module.named_modules()]
    found: set[str] = set()
    for end in named:
        own = {name for name in present if f".{name}".endswith(f".{end}")}
        if not own:
            raise UsageError(
                f"the model has no layer named '{end}'",
                why="target_modules must name layers of this architecture",
                mend="leave target_modules at its default, or name layers such as "
                f"'{_example(module)}'",
            )
        found |= own
    return found


def short_ends(chosen: set[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the shortest ends of names (in whole parts) that mean the chosen and no others."""
    ends = set()
    for name in chosen:
        parts = name.split(".")
        for start in reversed(range(len(parts))):
            end = ".".join(parts[start:])
            if all(other in chosen for other in names if f".{other}".endswith(f".{end}")):
                ends.add(end)
                break
    return tuple(sorted(ends))


def _example(module: nn.Module) -> str:
    linear = (name for name, part in module.named_modules() if isinstance(part, nn.Linear))
    return next((name.rpartition(".")[2] for name in linear), "q_proj")
