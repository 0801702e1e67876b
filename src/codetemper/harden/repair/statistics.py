# SPDX-License-Identifier: Apache-2.0
"""Statistics of keys in reference texts: second moments by layer, kept by what they were made of.

    statistics = Statistics.of(engine, texts, config, state=model.digest, cache=folder)
    statistics.metric(layer).apply(keys)

Every position of a text counts, those of its prompt too. What is kept are moments only, never texts
or single keys; the name of the file is a digest of the model's weights, the texts' tokens, how many
of them counted, the kind of statistics and the type it is stored in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from codetemper.core.digests import digest_json, short
from codetemper.core.disk import write_atomic
from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.harden.repair._forward import Recorder
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.metrics import (
    Diagonal,
    Full,
    Identity,
    LowRank,
    Metric,
    NullSpace,
)
from codetemper.harden.repair.settings import Config, MetricKind

#: Widest layer for which ``auto`` takes all of the covariance.
WIDEST_FULL = 4096
#: Directions sketched beyond those kept, and rows added before a sketch is cut down again.
_SKETCH = 2
#: Floor of what a low-rank metric leaves of a moment, as a share of the mean moment.
_FLOOR = 1e-6


class Statistics:
    """Second moments of keys.

    Args:
        tensors: by ``LAYER.moments`` [f], ``LAYER.covariance`` [f, f] or ``LAYER.factor`` [r, f].
        kind: of metric that they are for.
        config: rho and null_share are read.
        tokens: how many keys of each layer were seen.

    Attributes:
        fingerprint: digest of what they were made of.
    """

    def __init__(
        self,
        tensors: dict[str, torch.Tensor],
        kind: MetricKind,
        config: Config,
        tokens: int,
        fingerprint: str = "",
    ) -> None:
        self._tensors, self.kind, self.tokens = tensors, kind, tokens
        self._rho, self._null_share = config.rho, config.null_share
        self.fingerprint = fingerprint
        self._metrics: dict[int, Metric] = {}

    @classmethod
    def of(
        cls,
        engine: Engine,
        texts: Sequence[Passage],
        config: Config,
        *,
        state: str = "",
        cache: Path | None = None,
        on_event: OnEvent = ignore_events,
    ) -> Statistics:
        """Take statistics of texts, or read them where they were kept.

        Args:
            engine: the model.
            texts: reference texts, at least one unless the metric is ``identity``.
            config: metric, rank and reference_tokens are read.
            state: digest of all that decides what the model computes.
            cache: folder to keep them in; None keeps nothing.
            on_event: called with ``Event(stage="statistics", unit="texts")``.
        """
        kind = config.metric
        if kind == "auto":
            widest = max(site.inner for site in engine.sites)
            kind = "full" if widest <= WIDEST_FULL else "low-rank"
            if config.method == "alphaedit":
                kind = "null-space"
        texts = _first_tokens(texts, config.reference_tokens)
        tokens = sum(len(text) for text in texts)
        made_of = [state, [text.ids for text in texts], tokens, kind, "float32"]
        mark = digest_json([*made_of, config.rank if kind == "low-rank" else 0])
        if kind == "identity":
            return cls({}, kind, config, 0, mark)
        path = None if cache is None else cache / f"keys-{short(mark)}.safetensors"
        if path is not None and path.is_file():
            try:
                found = {name: value.to(engine.device) for name, value in load_file(path).items()}
                return cls(found, kind, config, tokens, mark)
            except SafetensorError:
                pass  # A cache that cannot be read is made again.
        tensors = _collect(engine, texts, kind, config.rank, on_event)
        if path is not None:
            plain = {name: value.cpu().contiguous() for name, value in tensors.items()}
            write_atomic(path, save(plain), sync=False)
        return cls(tensors, kind, config, tokens, mark)

    def moments(self, layer: int) -> torch.Tensor | None:
        """Return the second moment of each of a layer's neurons, [f]; None with ``identity``."""
        return self._tensors.get(f"{layer}.moments")

    def metric(self, layer: int, columns: torch.Tensor | None = None) -> Metric:
        """Return the metric of a layer's keys.

        Args:
            layer: its number.
            columns: neurons that may change; the metric is then of keys cut to these, [N, n].
        """
        if columns is not None:
            return self._metric(layer, columns)
        if layer not in self._metrics:
            self._metrics[layer] = self._metric(layer, None)
        return self._metrics[layer]

    def _metric(self, layer: int, columns: torch.Tensor | None) -> Metric:
        if self.kind == "identity":
            return Identity()

        def cut(name: str, *axes: int) -> torch.Tensor:
            found = self._tensors[f"{layer}.{name}"]
            if columns is None:
                return found
            for axis in axes:
                found = found.index_select(axis, columns.to(found.device))
            return found

        moments = cut("moments", 0)
        if self.kind == "diagonal":
            return Diagonal(moments)
        if self.kind == "low-rank":
            factor, mean = cut("factor", 1), moments.mean()
            rest = (moments - factor.pow(2).sum(0)).clamp_min(0) + (self._rho + _FLOOR) * mean
            return LowRank(factor, rest.clamp_min(1e-30))
        if self.kind == "null-space":
            return NullSpace(cut("covariance", 0, 1), self._null_share)
        return Full(cut("covariance", 0, 1), self._rho)


def keys_of(
    engine: Engine, texts: Sequence[Passage], layers: Sequence[int]
) -> Iterator[tuple[int, dict[int, torch.Tensor]]]:
    """Yield, for each batch, how many texts are done and the keys of all positions, [T, f]."""
    for begin in range(0, len(texts), engine.batch_size):
        batch = texts[begin : begin + engine.batch_size]
        with torch.no_grad(), Recorder(engine, layers) as recorder:
            engine.module(input_ids=engine.padded(batch), use_cache=False)
            yield begin + len(batch), recorder.all_keys(batch)


def _collect(
    engine: Engine, texts: Sequence[Passage], kind: MetricKind, rank: int, on_event: OnEvent
) -> dict[str, torch.Tensor]:
    layers = [site.layer for site in engine.sites]
    wide = kind in ("full", "null-space")
    sums: dict[str, torch.Tensor] = {}
    sketches: dict[int, torch.Tensor] = {}
    count = 0
    for done, keys in keys_of(engine, texts, layers):
        for layer, some in keys.items():
            _add(sums, f"{layer}.moments", some.pow(2).sum(0))
            if wide:
                _add(sums, f"{layer}.covariance", some.T @ some)
            elif kind == "low-rank":
                known = sketches.get(layer)
                rows = some if known is None else torch.cat([known, some])
                sketches[layer] = _shrunk(rows, rank * _SKETCH)
        count += len(keys[layers[0]])
        on_event(Event(stage="statistics", done=done, total=len(texts), unit="texts"))
    found = {name: value / count for name, value in sums.items()}
    for layer, sketch in sketches.items():
        found[f"{layer}.factor"] = _shrunk(sketch, rank) / count**0.5
    return found


def _add(sums: dict[str, torch.Tensor], name: str, value: torch.Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value


def _shrunk(rows: torch.Tensor, rank: int) -> torch.Tensor:
    """Return at most ``rank`` rows with nearly the same second moments: the leading directions.

    Through the small side's Gram matrix; rows are never as many as neurons are wide.
    """
    if len(rows) <= rank:
        return rows
    _, vectors = torch.linalg.eigh(rows.double() @ rows.double().T)
    return (vectors[:, -rank:].T @ rows.double()).to(rows)


def _first_tokens(texts: Sequence[Passage], most: int) -> list[Passage]:
    chosen, count = [], 0
    for text in texts:
        if chosen and count + len(text) > most:
            break
        chosen.append(text)
        count += len(text)
    return chosen
