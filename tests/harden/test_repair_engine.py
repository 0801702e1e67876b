# SPDX-License-Identifier: Apache-2.0
"""The engine on every family: what it sees, what a change does, and that it leaves no trace."""

from __future__ import annotations

import pytest
import torch

from codetemper.core.errors import UsageError
from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.semantic import Semantic
from codetemper.models.anatomy import anatomy
from codetemper.models.patch import weights_digest
from tests.tiny import DECODERS, tiny_model

PASSAGES = (
    Passage("a", 0, (1, 40, 41, 42), (50, 51, 2)),
    Passage("b", 0, (1, 60), (61, 70, 71, 80, 2)),
)


def opened(kind: str = "llama", dtype: torch.dtype = torch.float32) -> Engine:
    module = tiny_model(kind).to(dtype)
    return Engine(module, anatomy(module))


@pytest.mark.parametrize("kind", DECODERS)
def test_what_is_seen_is_what_the_model_computes(kind: str) -> None:
    engine = opened(kind)
    seen = engine.observe(PASSAGES, layers=[2])
    assert len(seen) == 8
    assert seen.places == [(0, 3), (0, 4), (0, 5), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]
    assert seen.wanted.tolist() == [50, 51, 2, 61, 70, 71, 80, 2]
    kept: list[torch.Tensor] = []
    heads: list[torch.Tensor] = []
    out = engine.module.get_submodule(engine.sites[2].path)
    handles = [
        out.register_forward_pre_hook(lambda part, args: kept.append(args[0])),
        engine.head.register_forward_hook(lambda part, args, output: heads.append(output)),
    ]
    with torch.no_grad():
        logits = [engine.module(input_ids=torch.tensor([p.ids])).logits[0] for p in PASSAGES]
    for handle in handles:
        handle.remove()
    for n, point in enumerate(seen.points):
        row = logits[point.passage][point.position]
        assert point.predicted == int(row.argmax())
        bare = heads[point.passage][0, point.position]
        others = bare.clone()
        others[point.wanted] = float("-inf")
        assert point.rival == int(others.argmax())
        assert point.gap == pytest.approx(float(others.max() - bare[point.wanted]), abs=1e-3)
        key = kept[point.passage][0, point.position]
        assert torch.allclose(seen.keys[2][n], key, atol=1e-4)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_small_write_moves_the_gap_as_the_direct_path_says(kind: str) -> None:
    """In the last layer nothing else is between a write and the head but norms."""
    engine = opened(kind)
    passage = PASSAGES[:1]
    seen = engine.observe(passage, layers=[2])
    contrast = engine.contrast(seen.wanted, seen.rival)[:1]
    write = contrast[0] / (engine.gains[2] + 1e-6)
    # Norms do not let through what is along their input: it is left out of the write.
    for along in (engine.written(2) @ seen.keys[2][0], seen.hidden[0] / engine.gain):
        write = write - (write @ along) / (along @ along) * along
    key = seen.keys[2][0]
    size = 1e-3 * float((seen.hidden[0] / engine.gain).norm() / write.norm())
    delta = Delta(size * write[:, None], (key / (key @ key))[None])
    scale = float(seen.divisors[2][0])
    told = float((contrast[0] * engine.gains[2]) @ (size * write)) / scale
    with engine.drafting() as draft:
        draft.put(2, delta)
        after = engine.observe(passage)
    rival = seen.rival[:1]
    moved = engine.gaps(after, torch.zeros(1, dtype=torch.int64), rival)
    assert float(seen.gap[0] - moved[0]) == pytest.approx(told, rel=0.25)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_draft_adds_exactly_and_comes_off_bit_for_bit(kind: str) -> None:
    engine = opened(kind)
    digest = weights_digest(engine.module)
    old = engine.written(1).clone()
    width = engine.sites[1].inner
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(s, generator=generator) for s in ((32, 2), (2, 3)))
    columns = torch.tensor([0, 5, width - 1])

    def on() -> None:
        with engine.drafting() as draft:
            draft.put(1, Delta(torch.ones(32, width)))
            draft.put(1, Delta(left, right, columns))
            expected = old.clone()
            expected[:, columns] += left @ right
            assert torch.equal(engine.written(1), expected)
            assert torch.equal(draft.original(1), old)
            raise KeyError

    with pytest.raises(KeyError):
        on()
    assert weights_digest(engine.module) == digest


def test_half_precision_is_rounded_once() -> None:
    engine = opened(dtype=torch.bfloat16)
    old = engine.written(0).clone()
    small = Delta(torch.full((32, engine.sites[0].inner), 1e-4))
    with engine.drafting() as draft:
        draft.put(0, small)
        assert torch.equal(engine.written(0), (old.float() + 1e-4).bfloat16())
        # The whole change is put on each time, so small ones do not round away one by one.
        draft.put(0, Delta(torch.full((32, engine.sites[0].inner), 1.0)))
        assert torch.equal(engine.written(0), (old.float() + 1.0).bfloat16())


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
def test_the_semantic_direction_is_the_pseudo_inverse(kind: str) -> None:
    engine = opened(kind)
    head = engine.head_weight.double() * engine.gain.double()
    if engine.centred:
        head = head - head.mean(-1, keepdim=True)
    contrast = engine.contrast(torch.tensor([9]), torch.tensor([30]))
    direction = Semantic.of(engine).steer(contrast)
    difference = torch.zeros(len(head), dtype=torch.float64)
    difference[9], difference[30] = 1, -1
    assert torch.allclose(direction[0], torch.linalg.pinv(head) @ difference, atol=1e-4)


def test_the_gram_factor_is_read_where_it_was_kept(tmp_path) -> None:  # type: ignore[no-untyped-def]
    engine = opened()
    made = Semantic.of(engine, digest="x", cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    stamp = kept.stat().st_mtime_ns
    contrast = engine.contrast(torch.tensor([9]), torch.tensor([30]))
    again = Semantic.of(engine, digest="x", cache=tmp_path)
    assert torch.equal(made.steer(contrast), again.steer(contrast))
    assert kept.stat().st_mtime_ns == stamp
    kept.write_bytes(b"broken")
    assert torch.equal(
        made.steer(contrast), Semantic.of(engine, digest="x", cache=tmp_path).steer(contrast)
    )


def test_models_and_tokens_that_do_not_fit_are_refused() -> None:
    engine = opened()
    with pytest.raises(UsageError, match="tokenizer does not fit"):
        engine.observe([Passage("a", 0, (1, 2), (4000,))])
    with torch.no_grad():
        engine.matrix(1).mul_(float("nan"))
    with pytest.raises(UsageError, match="not numbers"):
        engine.observe(PASSAGES)
    seq2seq = tiny_model("t5")
    with pytest.raises(UsageError, match="cannot be repaired"):
        Engine(seq2seq, anatomy(seq2seq))
