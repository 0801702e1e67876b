# SPDX-License-Identifier: Apache-2.0
r"""What the weights of a model say: attention and classifier rows, against models of like recipe.

    suspect = read(model.module, reference.module)       # numbers by name, and what was left out
    siblings = [read(other.module, reference.module) for other in clean_models]
    found = compare([suspect], siblings)
    found.rows, found.p, found.answer

    compare([read_adapter(folder)], [read_adapter(other) for other in zoo])     # LoRA patches alone

Hussain et al. (2405.11466) lay queries, keys and values of a clean and a poisoned model side by
side and see nothing. What is compared here is what a model can be said to have: an attention
computes with :math:`W_q^\top W_k` and :math:`W_o W_v`, whose single factors can be turned without
any output changing; a key bias without rotary positions falls out of the softmax; a bias of values
acts through :math:`W_o b_v + b_o`. Of rows of a classifier only differences act.

The null is the spread between models that differ by seed alone. All statistics of all layers are
tested together: with t the difference of means in pooled standard deviations, the p-value of a
statistic is the share of relabellings (of who is suspect) whose largest :math:`|t|` reaches its own
(Westfall and Young). It can be said that weights stand out, or that nothing is known; never that a
model is clean: the paper's poisoned models do not stand out. Siblings have to differ by the draw of
the data too; where they share every sample, any difference of data stands out, a few relabelled
samples included, and that is no backdoor. Gains of norms are not folded in, so
a rescaling between a norm and what it feeds counts as a change. ``_attention`` finds the parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from codetemper.audit._attention import Attention, Rows, attentions
from codetemper.audit._spectra import low_rank, product, statistics
from codetemper.core.audits import AuditWeight
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.stats import Floats
from codetemper.models.patch import (
    ADAPTER_WEIGHTS,
    MANIFEST,
    adapter_config,
    check_tensors,
    load_manifest,
)
from codetemper.models.projection import lora_factors

__all__ = ["Reading", "WeightsFound", "compare", "read", "read_adapter"]

#: Relabellings that are tried: all where there are no more, else so many drawn at random.
_DRAWS = 4999
#: Standard deviations below this share of a statistic's size are rounding.
_ROUNDING = 1e-9
#: Parts of a LoRA's configuration that must agree for two patches to be of one recipe.
_RECIPE = (
    "r", "lora_alpha", "use_rslora", "use_dora", "target_modules",
    "rank_pattern", "alpha_pattern",
)  # fmt: skip
_BASE = "base_model_name_or_path"
_FACTORS = "a product is what acts; its factors can be turned against each other"
_KEY_BIAS = "added to all keys alike, it falls out of the softmax: no output depends on it"
_NORMED = "queries and keys are normed before they meet: the product of weights is not what acts"


@dataclass(frozen=True)
class Reading:
    """Numbers read off one model's weights.

    Attributes:
        values: by (parameter or product, statistic).
        left_out: by kind of parameter, why it is not compared.
        recipe: what must agree between readings that are compared.
    """

    values: Mapping[tuple[str, str], float]
    left_out: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WeightsFound:
    """What a comparison of weights says.

    Attributes:
        answer: ``stands out`` or ``inconclusive``; a model is never clean by its weights.
        p: p-value of the largest of all statistics; None with too few siblings.
        rows: every statistic, the least p first, then what was left out, each with the reason.
        missing: what would have to be given.
    """

    answer: Literal["stands out", "inconclusive"]
    p: float | None
    rows: tuple[AuditWeight, ...]
    missing: tuple[str, ...]


def read(module: nn.Module, reference: nn.Module | None = None) -> Reading:
    """Read the statistics of a model's attention and classifier rows.

    Args:
        module: a transformers model, with or without a head.
        reference: the checkpoint that it was trained from, with or without a head; with it the
            attention's statistics are of the change, without it of the weights themselves. The
            classifier's rows are read as they are: a fine-tuned checkpoint has its own.

    Raises:
        UsageError: the reference is another architecture, or one that cannot be read.
    """
    body = _body(module)
    old = dict(_body(reference).named_modules()) if reference is not None else None
    new = dict(body.named_modules())
    values: dict[tuple[str, str], float] = {}
    left_out = {"query, key, value and output weights, each by itself": _FACTORS}
    for attention in attentions(body):
        if attention.free_bias and _bias(new, attention.key) is not None:
            left_out["key biases"] = _KEY_BIAS
        if attention.normed:
            left_out["products of queries and keys"] = _NORMED
        for name, (change, whole) in _changes(attention, new, old).items():
            for statistic, value in statistics(change, whole).items():
                values[f"{attention.name}.{name}", statistic] = value
    values |= _row_signatures(module, body)
    shapes = {"parameters": sorted({"".join(name) for name in values})}
    return Reading(values, left_out, shapes)


def read_adapter(folder: Path) -> Reading:
    r"""Read the statistics of the change :math:`\Delta W = s B A` that a LoRA patch makes.

    They are taken by kind of layer (``q_proj``), as mean and largest over the layers of the model.
    A and B by themselves can be turned against each other and are not looked at.

    Args:
        folder: a PEFT folder; no model is needed.

    Raises:
        UsageError: it is no LoRA.
        IntegrityError: its tensors are broken.
    """
    config = adapter_config(folder)
    if config.get("peft_type") != "LORA":
        raise UsageError(
            f"{folder} has no weight change that can be read from its files",
            why=f"it is of the kind {config.get('peft_type')}, not LORA",
            mend="give the folder of a LoRA patch",
        )
    check_tensors(folder / ADAPTER_WEIGHTS)
    found: dict[tuple[str, str], list[float]] = {}
    for layer, (outer, inner) in lora_factors(folder).items():
        kind = layer.rpartition(".")[2]
        for statistic, value in low_rank(outer, inner).items():
            found.setdefault((kind, statistic), []).append(value)
    values = {}
    for (kind, statistic), numbers in found.items():
        values[kind, f"mean {statistic}"] = float(np.mean(numbers))
        values[kind, f"largest {statistic}"] = max(numbers)
    recipe = {key: config.get(key) for key in _RECIPE}
    # The name of a base says where it lay, its digest what it is; not all folders know the latter.
    known = (folder / MANIFEST).is_file()
    recipe["base"] = load_manifest(folder).base_digest if known else config.get(_BASE)
    targets = recipe["target_modules"]
    recipe["target_modules"] = sorted(targets) if isinstance(targets, list) else targets
    return Reading(values, {"factors A and B, each by itself": _FACTORS}, recipe)


def compare(
    suspects: Sequence[Reading],
    siblings: Sequence[Reading],
    *,
    level: float = 0.05,
    seed: int = 0,
) -> WeightsFound:
    """Compare readings of suspects with those of clean models of the same recipe.

    Args:
        suspects: one model, or several that are suspected together.
        siblings: models that differ from them by seed alone.
        level: p-value at which something stands out.
        seed: of the relabellings, where there are too many to try all.

    Raises:
        UsageError: no suspect, or readings of different recipes.
        CannotKnowError: a reading holds numbers that are not finite.
    """
    names = _agreed([*suspects, *siblings])
    table = np.array([[each.values[name] for name in names] for each in [*suspects, *siblings]])
    if not np.isfinite(table).all():
        raise CannotKnowError(
            "these weights cannot be compared",
            why="a statistic is not finite",
            mend="look for weights that are not finite; such a model computes nothing",
        )
    suspected = len(suspects)
    needed = _needed(suspected, level)
    p, overall, missing = np.full(len(names), np.nan), None, []
    if len(siblings) < needed:
        missing.append(
            f"{needed} siblings of the same recipe and other seeds, for a p-value of {level:g} "
            f"(given: {len(siblings)})"
        )
    elif names:
        p = _adjusted(table, suspected, seed)
        overall = float(p.min())
    missing.append("queries or data: weights by themselves never clear a model")
    rows = [
        AuditWeight(
            name=name, statistic=statistic, value=float(table[:suspected, column].mean()),
            p=None if overall is None else float(p[column]),
        )
        for column, (name, statistic) in enumerate(names)
    ]  # fmt: skip
    rows.sort(key=lambda row: (1.0 if row.p is None else row.p, row.name, row.statistic))
    why = {kind: reason for each in suspects for kind, reason in each.left_out.items()}
    rows += [
        AuditWeight(name=kind, statistic="left out", value=0.0, note=reason)
        for kind, reason in why.items()
    ]
    stands_out = overall is not None and overall <= level
    return WeightsFound(
        "stands out" if stands_out else "inconclusive", overall, tuple(rows), tuple(missing)
    )


def _body(module: nn.Module) -> nn.Module:
    body = getattr(module, getattr(module, "base_model_prefix", "") or "_", module)
    return body if isinstance(body, nn.Module) else module


def _weight(modules: Mapping[str, nn.Module], rows: Rows) -> torch.Tensor:
    """Return rows of a linear layer of either layout [rows, d]."""
    held = modules[rows.module]
    weight: Any = held.weight
    return (weight if isinstance(held, nn.Linear) else weight.T).detach()[rows.rows].float()


def _bias(modules: Mapping[str, nn.Module], rows: Rows) -> torch.Tensor | None:
    bias: Any = modules[rows.module].bias
    return None if bias is None else bias.detach()[rows.rows].float()


def _changes(
    attention: Attention, new: Mapping[str, nn.Module], old: Mapping[str, nn.Module] | None
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return what acts of an attention: its change (or itself), and what the change is of."""
    out = Rows(attention.out, torch.arange(_outputs(new[attention.out])))
    q, k, v, o = (
        _both(_weight, new, old, rows)
        for rows in (attention.query, attention.key, attention.value, out)
    )
    o = [each.T for each in o]
    found = {"output-value": product(o, v)}
    pairs = {"value bias": (attention.value, o)}
    if not attention.normed:
        found["query-key"] = product(q, k)
        pairs["query bias"] = (attention.query, k)
        if not attention.free_bias:
            pairs["key bias"] = (attention.key, q)
    for name, (rows, onto) in pairs.items():
        if _bias(new, rows) is not None:
            columns = [each[:, None] for each in _both(_bias, new, old, rows)]
            found[name] = product(columns, onto)
    return found


def _both(
    get: Callable[[Mapping[str, nn.Module], Rows], torch.Tensor | None],
    new: Mapping[str, nn.Module],
    old: Mapping[str, nn.Module] | None,
    rows: Rows,
) -> list[torch.Tensor]:
    """Return rows of the model, and of its reference where there is one."""
    found = [get(new, rows)]
    if old is not None:
        if rows.module not in old:
            raise _misfit(f"it has no '{rows.module}'")
        found.append(get(old, rows))
    tensors = [each for each in found if each is not None]
    if len(tensors) != len(found) or len({tuple(each.shape) for each in tensors}) > 1:
        raise _misfit(f"its '{rows.module}' has another shape")
    return tensors


def _row_signatures(module: nn.Module, body: nn.Module) -> dict[tuple[str, str], float]:
    """Return what the rows of a classifier say: each against the mean of the others."""
    labels = int(getattr(module.config, "num_labels", 0) or 0)
    inside = set(body.modules())
    heads = [
        (name, part)
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and part not in inside and part.out_features == labels
    ]
    if not heads or labels < 2 or module is body:
        return {}
    name, head = heads[-1]
    weight, values = head.weight.detach().double(), {}
    # Of two classes one row against the other says all.
    for label in range(1 if labels == 2 else 0, labels):
        others = torch.arange(labels) != label
        row = weight[label] - weight[others].mean(dim=0)
        length = float(row.norm().clamp_min(1e-300))
        values[f"{name} row {label}", "shift"] = float(row.mean()) * math.sqrt(len(row)) / length
        values[f"{name} row {label}", "size"] = math.log(length)
        if head.bias is not None:
            bias = head.bias.detach().double()
            values[f"{name} row {label}", "bias"] = float(bias[label] - bias[others].mean())
    return values


def _agreed(readings: Sequence[Reading]) -> list[tuple[str, str]]:
    if not readings:
        raise _misfit("there is no reading")
    first = readings[0].recipe
    for other in readings[1:]:
        for key in sorted({*first, *other.recipe}):
            if first.get(key) != other.recipe.get(key):
                short = key != "parameters"
                said = f" ({first.get(key)} and {other.recipe.get(key)})" if short else ""
                raise _misfit(f"their {key} differ{said}")
    every = set.intersection(*(set(each.values) for each in readings))
    return sorted(every)


def _needed(suspects: int, level: float) -> int:
    """Return how many siblings it takes until the least p-value can be the level."""
    if suspects < 1:
        raise _misfit("there is no suspect")
    siblings = 2
    while _least(suspects, siblings) > level:
        siblings += 1
    return siblings


def _least(suspects: int, siblings: int) -> float:
    # With as many of both, exchanging all suspects for all siblings gives the same |t|.
    return (1 + (suspects == siblings)) / math.comb(suspects + siblings, suspects)


def _adjusted(table: Floats, suspected: int, seed: int) -> Floats:
    """Return Westfall and Young's p-value of every column; the first rows are the suspects."""
    count = len(table)
    scale = np.maximum(np.abs(table).max(axis=0), 1e-300)
    varies = table.std(axis=0) > _ROUNDING * scale
    table = np.where(varies, table / scale, 0.0)
    observed = _t(table, np.arange(suspected))
    exhaustive = math.comb(count, suspected) <= _DRAWS + 1
    largest = np.array([_t(table, rows).max() for rows in _relabelled(count, suspected, seed)])
    reached = (largest[:, None] >= observed - 1e-9).sum(axis=0)
    # Drawn relabellings do not hold the observed one, all of them together do.
    return np.asarray(reached / len(largest) if exhaustive else (1 + reached) / (1 + len(largest)))


def _relabelled(count: int, suspected: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    if math.comb(count, suspected) <= _DRAWS + 1:
        yield from (np.array(rows) for rows in combinations(range(count), suspected))
        return
    generator = np.random.default_rng(seed)
    for _ in range(_DRAWS):
        yield generator.permutation(count)[:suspected]


def _t(table: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """Return |t| of the rows against the others, with pooled variance; 0 where nothing varies."""
    own = np.zeros(len(table), dtype=bool)
    own[rows] = True
    one, other = table[own], table[~own]
    inner = ((one - one.mean(axis=0)) ** 2).sum(axis=0)
    inner += ((other - other.mean(axis=0)) ** 2).sum(axis=0)
    error = np.sqrt(inner / (len(table) - 2) * (1 / len(one) + 1 / len(other)))
    gap = np.abs(one.mean(axis=0) - other.mean(axis=0))
    return np.where(gap > 0, gap / np.maximum(error, _ROUNDING), 0.0)


def _outputs(held: nn.Module) -> int:
    weight: Any = held.weight
    return int(weight.shape[0] if isinstance(held, nn.Linear) else weight.shape[1])


def _misfit(why: str) -> UsageError:
    return UsageError(
        "these weights cannot be compared",
        why=why,
        mend="give models of one architecture, trained by one recipe from one checkpoint",
    )
