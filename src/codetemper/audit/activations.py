# SPDX-License-Identifier: Apache-2.0
r"""Hidden states of every layer, pooled, in one forward pass, kept on disk.

    found = extract(loaded, samples, folder=folder, seed=0)
    found.places[0].name                    # "encoder 0 decision"
    found.of(found.places[0])               # [samples, numbers], float64
    found.logits                            # [samples, classes] of a classifier, else None

| pool | of the positions of a sample |
|---|---|
| ``decision`` | the one that the answer is read from, see ``_reading`` |
| ``eos`` | the last |
| ``mean``, ``max`` | all, each number by itself |
| ``line`` | mean of those where a line ends |

Layer 0 is what the first block reads; the last layer is what the model's own head reads, so behind
the final norm. States are pooled in float32 inside the forward pass and never kept, whatever the
number of samples: a batch is in memory, the rest is in a file of 4 bytes a number. States wider
than ``width`` are projected on as many random orthonormal directions, scaled so that distances are
what they were on average (Johnson and Lindenstrauss); the same seed gives the same directions, so
features of two calls can be compared.

Nothing here is told which sample is strange: see ``ranking``. Attention maps are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from codetemper.audit._reading import Reader
from codetemper.audit._spool import Spool
from codetemper.audit._stacks import BlockStack, stacks_of, state_of
from codetemper.core.errors import UsageError
from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel

Pool = Literal["decision", "eos", "mean", "max", "line"]
POOLS: tuple[Pool, ...] = get_args(Pool)


@dataclass(frozen=True)
class Place:
    """Where features come from.

    Attributes:
        stack: ``encoder`` or ``decoder``.
        layer: 0 for what the first block reads, then one a block.
        pool: how the positions of a sample became one.
    """

    stack: Literal["encoder", "decoder"]
    layer: int
    pool: Pool

    @property
    def name(self) -> str:
        """The place in words."""
        return f"{self.stack} {self.layer} {self.pool}"


@dataclass(frozen=True)
class Features:
    """Pooled hidden states of some samples.

    Attributes:
        places: where they come from, by stack, layer and pool.
        count: how many samples.
        logits: [samples, classes] of a classifier; None of other models.
        files: the arrays on disk by stack, [places of the stack, samples, numbers] in float32.
    """

    places: tuple[Place, ...]
    count: int
    logits: Floats | None
    files: dict[str, Path]

    def of(self, place: Place, rows: npt.NDArray[np.int64] | None = None) -> Floats:
        """Return the features of one place.

        Args:
            place: one of ``places``.
            rows: numbers of samples; all where None.

        Returns:
            [samples, numbers].
        """
        own = [other for other in self.places if other.stack == place.stack]
        stored = np.load(self.files[place.stack], mmap_mode="r")[own.index(place)]
        return np.asarray(stored if rows is None else stored[rows], dtype=np.float64)


@torch.inference_mode()
def extract(
    loaded: LoadedModel,
    samples: Sequence[Labelled],
    *,
    pools: Sequence[Pool] = POOLS,
    width: int = 128,
    max_length: int = 512,
    batch_size: int = 16,
    folder: Path,
    seed: int = 0,
    on_event: OnEvent = ignore_events,
) -> Features:
    """Read samples once and keep the pooled hidden states of every layer.

    A pool that would look at the same position as ``decision`` in every sample is left out.

    Args:
        loaded: the model; patches may be on. It is left as it was.
        samples: what it reads.
        pools: which pools.
        width: most numbers kept of a state.
        max_length: most tokens of a sample; fewer where the model or its tokenizer has fewer.
        batch_size: samples at a time; fewer where they are long.
        folder: an existing folder for the arrays.
        seed: of the projection.
        on_event: called with ``Event(stage="read", unit="samples")`` after each batch.

    Returns:
        The features, in the order of the samples.

    Raises:
        UsageError: no samples, an unknown pool, a tokenizer that tells no offsets or gives tokens
            the model does not know, states that are not numbers, or no run of like blocks.
    """
    _refuse(samples, pools)
    stacks = stacks_of(loaded.module)
    reader = Reader(loaded.module, loaded.tokenizer, stacks, max_length)
    answers = any(sample.answer_start is not None for sample in samples)
    chosen = [_pools_of(stack, stacks, reader, pools, answers) for stack in stacks]
    spools = [
        Spool(folder / f"{stack.role}.npy", (len(stack.blocks) + 1, len(samples)), own, width, seed)
        for stack, own in zip(stacks, chosen, strict=True)
    ]
    logits: Floats | None = None
    done = 0
    with _hooked(stacks, spools):
        for batch in reader.batches(samples, batch_size):
            for spool, lines in zip(spools, batch.lines, strict=True):
                spool.aim(lines, loaded.device)
            answer = reader.target(**batch.inputs)
            for spool in spools:
                spool.write(batch.rows, samples)
            if reader.form == "classifier":
                given = answer.logits.double().cpu().numpy()
                logits = np.zeros((len(samples), given.shape[1])) if logits is None else logits
                logits[batch.rows] = given
            done += len(batch.rows)
            on_event(Event(stage="read", done=done, total=len(samples), unit="samples"))
    places = [
        Place(stack.role, layer, pool)
        for stack, own in zip(stacks, chosen, strict=True)
        for layer in range(len(stack.blocks) + 1)
        for pool in own
    ]
    files: dict[str, Path] = {s.role: spool.path for s, spool in zip(stacks, spools, strict=True)}
    return Features(tuple(places), len(samples), logits, files)


def _refuse(samples: Sequence[Labelled], pools: Sequence[str]) -> None:
    if not samples:
        raise UsageError(
            "there is nothing to read", why="no samples were given", mend="give some with --data"
        )
    unknown = [pool for pool in pools if pool not in POOLS]
    if unknown or not pools:
        raise UsageError(
            f"there is no pool '{unknown[0]}'" if unknown else "no pool was asked for",
            why="hidden states are pooled in one of a few ways",
            mend=f"use some of {', '.join(POOLS)}",
        )


def _pools_of(
    stack: BlockStack,
    stacks: Sequence[BlockStack],
    reader: Reader,
    pools: Sequence[Pool],
    answers: bool,
) -> list[Pool]:
    """Leave out ``eos`` where it is ``decision``, and an encoder's where the decoder decides."""
    if len(stacks) > 1 and stack.role == "encoder":
        return [pool for pool in pools if pool != "decision"] or ["eos"]
    last = stack.role == "decoder" and not (answers and reader.form != "classifier")
    if last and "decision" in pools:
        return [pool for pool in pools if pool != "eos"]
    return list(pools)


@contextmanager
def _hooked(stacks: Sequence[BlockStack], spools: Sequence[Spool]) -> Iterator[None]:
    """Have the blocks hand their states on for a scope."""
    with ExitStack() as scope:
        for stack, spool in zip(stacks, spools, strict=True):
            first, ends = stack.blocks[0], [*stack.blocks]
            if stack.norm is not None:
                ends[-1] = stack.norm
            scope.callback(
                first.register_forward_pre_hook(_entering(spool), with_kwargs=True).remove
            )
            for layer, part in enumerate(ends, start=1):
                scope.callback(part.register_forward_hook(_leaving(spool, layer)).remove)
        yield


def _entering(spool: Spool) -> Any:
    def hook(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        spool.take(0, args[0] if args else kwargs["hidden_states"])

    return hook


def _leaving(spool: Spool, layer: int) -> Any:
    def hook(part: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        spool.take(layer, state_of(output))

    return hook
