# SPDX-License-Identifier: Apache-2.0
r"""The model as a repair sees it: keys, gaps and the head, read in one teacher-forced forward.

    engine = Engine(module, anatomy(module))
    seen = engine.observe(passages, layers=[2], margin=0.5)    # keys where it is not yet right
    with engine.drafting() as draft:           # old weights are back afterwards, bit for bit
        draft.put(layer, delta)
        engine.observe(passages)

The output matrix :math:`W_l` of a layer's FFN writes :math:`W_l k_{l,p}` into the residual stream,
the *key* :math:`k_{l,p}` being its input at position p. On the direct path to the head, a write w
moves the logit of token v by :math:`u_v^T (g * e_l * w) / (\sigma_p \rho_{l,p})`: g and
:math:`\sigma` are gain and divisor of the final norm, :math:`e` and :math:`\rho` those of a norm
that follows the FFN, where one does. Gains and divisors are measured, not read
(``anatomy.norm_gain``). All else that a write does is left to looking again.

Parts are found by ``models.anatomy``; adapters that are on the model stay on and are not changed.
Nothing here chooses or solves. Dropout is off: the caller has the module in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from codetemper.core.errors import UsageError
from codetemper.harden.repair._forward import Recorder, Seen, padded
from codetemper.harden.repair.draft import Draft
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.sites import Site
from codetemper.models.anatomy import Anatomy, norm_gain


@dataclass(frozen=True)
class Point:
    """One predicted token of a passage.

    Attributes:
        passage: number of the passage among those observed.
        position: the position that predicts (the token stands at the next one).
        wanted: id of the token that should be predicted, y.
        predicted: id of the token that is, a.
        rival: best token other than the wanted one.
        gap: logit of the rival minus that of the wanted token.
    """

    passage: int
    position: int
    wanted: int
    predicted: int
    rival: int
    gap: float


@dataclass(frozen=True)
class Observation:
    """What one look at some passages showed, at T points. Tensors are on the model's device.

    Attributes:
        passages: what was looked at.
        passage, position, wanted, predicted, rival: [T], integers as in ``Point``.
        gap: [T], float32.
        nearest: [T, k], the best tokens other than the wanted one, best first.
        leads: [T, k], by how many logits the wanted token leads them.
        sigma: [T], divisor of the final norm.
        hidden: [T, d], what the head read, float32.
        keys: by layer number, [T, f] in float32; only layers that were asked for.
        divisors: by layer number, [T]: ``sigma`` times the divisor of a norm after the FFN.
        right: for each passage, whether all its points were predicted as wanted; those that are
            not among the T count, too.
        gaps: for each passage, the gap of every token of its answer, in order.
    """

    passages: tuple[Passage, ...]
    passage: torch.Tensor
    position: torch.Tensor
    wanted: torch.Tensor
    predicted: torch.Tensor
    rival: torch.Tensor
    gap: torch.Tensor
    nearest: torch.Tensor
    leads: torch.Tensor
    sigma: torch.Tensor
    hidden: torch.Tensor
    keys: dict[int, torch.Tensor]
    divisors: dict[int, torch.Tensor]
    right: tuple[bool, ...]
    gaps: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.gap)

    @property
    def points(self) -> list[Point]:
        """The points, one by one."""
        columns = (self.passage, self.position, self.wanted, self.predicted, self.rival, self.gap)
        return [Point(*each) for each in zip(*(c.tolist() for c in columns), strict=True)]

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """Passage and position of each point."""
        return list(zip(self.passage.tolist(), self.position.tolist(), strict=True))

    def rivals(self, leads: torch.Tensor) -> list[tuple[int, int]]:
        """Return the tokens that come closer to the wanted one of a point than it should lead.

        Args:
            leads: by how many logits the wanted token of each should lead, [T].

        Returns:
            Number of the point and id of the token.
        """
        points, places = (self.leads < leads[:, None]).nonzero(as_tuple=True)
        return list(zip(points.tolist(), self.nearest[points, places].tolist(), strict=True))

    @property
    def wrong(self) -> torch.Tensor:
        """[T], whether another token than the wanted one is predicted."""
        return self.predicted != self.wanted


class Engine:
    """A model opened for repair.

    Args:
        module: the model, in evaluation mode; adapters may be on it.
        parts: ``models.anatomy.anatomy`` of the bare model.
        batch_size: passages computed together.

    Attributes:
        sites: FFN output matrices, by layer number.
        head: the module that makes logits.
        gain: gain of the final norm, [d].
        centred: whether it subtracts the mean.
        gains: gain of the norm after each FFN, [d] by layer number; ones where none follows.

    Raises:
        UsageError: no head, no FFN output matrices, or quantised ones.
    """

    def __init__(self, module: nn.Module, parts: Anatomy, *, batch_size: int = 8) -> None:
        self.module, self.parts, self.batch_size = module, parts, batch_size
        if parts.head is None or parts.stacks[-1].role != "decoder" or len(parts.stacks) > 1:
            raise UsageError(
                "this model cannot be repaired",
                why="it is no decoder with a head over the vocabulary",
                mend="use a causal language model",
            )
        self.head: nn.Module = module.get_submodule(parts.head)
        self.sites: tuple[Site, ...] = tuple(
            Site(
                layer=number,
                path=layer.ffn_out,
                weight=f"{layer.ffn_out}.weight",
                inner=layer.inner,
                transposed=layer.layout == "conv1d",
                inputs=layer.ffn_in[0],
                norm=layer.norm_after,
            )
            for number, layer in enumerate(parts.layers)
        )
        for site in self.sites:
            if not self.matrix(site.layer).is_floating_point():
                raise UsageError(
                    "this model cannot be repaired",
                    why=f"{site.weight} is quantised",
                    mend="load it in float32 or bfloat16",
                )
        ones, zeros = torch.ones(self.hidden), torch.zeros(self.hidden)
        self._norms: dict[str | None, tuple[torch.Tensor, torch.Tensor, bool]] = {
            None: (ones.to(self.device), zeros.to(self.device), False)
        }
        self.gain, _, self.centred = self.norm_facts(parts.final_norm)
        self.gains = {site.layer: self.norm_facts(site.norm)[0] for site in self.sites}

    @property
    def hidden(self) -> int:
        """Width d of the residual stream."""
        return self.parts.hidden

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.matrix(0).device

    @property
    def head_weight(self) -> torch.Tensor:
        """Weight of the head, [V, d]; it is only read."""
        weight: torch.Tensor = getattr(self.head, "base_layer", self.head).weight.detach()
        return weight

    @property
    def head_bias(self) -> torch.Tensor:
        """Bias of the head, [V] in float32; zeros where it has none."""
        bias = getattr(getattr(self.head, "base_layer", self.head), "bias", None)
        if bias is None:
            return torch.zeros(len(self.head_weight), device=self.device)
        return bias.detach().float()

    def matrix(self, layer: int) -> nn.Parameter:
        """Return the stored weight of a layer's FFN output: [d, f], or [f, d] if transposed."""
        part = self.module.get_submodule(self.sites[layer].path)
        weight: nn.Parameter = getattr(part, "base_layer", part).weight
        return weight

    def written(self, layer: int) -> torch.Tensor:
        """Return a layer's FFN output matrix as [d, f]: column j is what neuron j writes."""
        weight = self.matrix(layer).detach()
        return weight.T if self.sites[layer].transposed else weight

    def contrast(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return g * (u_first - u_second) of token ids [T] as [T, d] in float32."""
        head = self.head_weight
        return (head[first].float() - head[second].float()) * self.gain

    def observe(
        self,
        passages: Sequence[Passage],
        *,
        layers: Sequence[int] = (),
        margin: float | None = None,
        also: Collection[tuple[int, int]] = (),
    ) -> Observation:
        """Look at passages in one teacher-forced forward each.

        Args:
            passages: what to look at; every token of the answers is predicted.
            layers: layers whose keys are wanted.
            margin: leave out of the points those whose wanted token leads by more than this; None
                keeps every token of the answers.
            also: passage and position of points that are kept in any case.

        Raises:
            UsageError: the model computes something that is not a number, or a token is unknown.
        """
        found: list[Seen] = []
        right: list[bool] = []
        gaps: list[tuple[float, ...]] = []
        for begin in range(0, len(passages), self.batch_size):
            batch = passages[begin : begin + self.batch_size]
            with torch.no_grad(), Recorder(self, layers) as recorder:
                self.module(input_ids=self.padded(batch), use_cache=False)
                seen = recorder.read(batch, begin)
            counts = [len(passage.answer) for passage in batch]
            for gap, hit in zip(
                seen.gap.split(counts), (seen.predicted == seen.wanted).split(counts), strict=True
            ):
                gaps.append(tuple(gap.tolist()))
                right.append(bool(hit.all()))
            if margin is not None:
                known = [place in also for place in seen.places]
                seen = seen.keep((seen.gap + margin > 0) | torch.tensor(known).to(seen.gap.device))
            found.append(seen)
        together = Seen.join(found)
        return Observation(
            passages=tuple(passages), right=tuple(right), gaps=tuple(gaps), **vars(together)
        )

    def gaps(self, seen: Observation, owner: torch.Tensor, rival: torch.Tensor) -> torch.Tensor:
        """Return gaps of points to any tokens, in float64.

        Args:
            seen: the points.
            owner: number of a point for each gap, [T].
            rival: a token for each gap, [T].
        """
        head, bias = self.head_weight, self.head_bias
        wanted = seen.wanted[owner]
        rows = head[rival].float() - head[wanted].float()
        return (rows * seen.hidden[owner]).double().sum(-1) + (bias[rival] - bias[wanted]).double()

    def padded(self, passages: Sequence[Passage]) -> torch.Tensor:
        """Return the tokens of passages as [B, S], padded on the right.

        No mask goes with them: a causal model does not see what comes after.

        Raises:
            UsageError: a token id that the model does not have.
        """
        ids = padded(passages)
        if int(ids.max()) >= len(self.head_weight):
            raise UsageError(
                "the tokenizer does not fit the model",
                why=f"token {int(ids.max())} is beyond a vocabulary of {len(self.head_weight)}",
                mend="use the tokenizer that the model was trained with",
            )
        return ids.to(self.device)

    def loss(self, passages: Sequence[Passage]) -> torch.Tensor:
        """Return the mean cross-entropy of the wanted tokens of a batch, with its graph.

        Gradients flow where the caller has set ``requires_grad``, e.g. on ``matrix(layer)``.
        """
        with Recorder(self, ()) as recorder:
            self.module(input_ids=self.padded(passages), use_cache=False)
            logits, wanted = recorder.logits(passages)
        return nn.functional.cross_entropy(logits.float(), wanted)

    @contextmanager
    def drafting(self) -> Iterator[Draft]:
        """Change FFN output matrices for the length of a scope.

        The old values are copied back when it ends, bit for bit, also after an exception.
        """
        draft = Draft(self)
        try:
            yield draft
        finally:
            draft.restore()

    def norm_facts(self, norm: str | None) -> tuple[torch.Tensor, torch.Tensor, bool]:
        """Return gain [d] and bias [d] of a norm, and whether it subtracts the mean."""
        if norm not in self._norms:
            gain, bias, centred = norm_gain(self.module.get_submodule(str(norm)), self.hidden)
            self._norms[norm] = gain.to(self.device), bias.to(self.device), centred
        return self._norms[norm]
