# SPDX-License-Identifier: Apache-2.0
"""The joint repair: every family, wordings, chosen neurons, and patches that come off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from codetemper.core.errors import UsageError
from codetemper.core.repairs import Failure
from codetemper.harden.repair import Config, joint, repair, solve, system
from codetemper.harden.repair.locate import chosen_columns, occlusion, pick
from codetemper.harden.repair.run import failures_of
from codetemper.harden.repair.settings import MANY
from codetemper.harden.repair.statistics import Statistics
from codetemper.models.attach import attached
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import save_patch, weights_digest
from codetemper.models.rows_folder import read_rows
from tests.harden.repairing import planted, same, state, task_of, texts, tiny_engine
from tests.tiny import DECODERS, tiny_model, tiny_tokenizer


def loaded(kind: str = "llama") -> LoadedModel:
    module = tiny_model(kind)
    digest = weights_digest(module)
    return LoadedModel("hf:tiny", module, tiny_tokenizer(), digest, torch.device("cpu"))


def failures(count: int = 2) -> list[Failure]:
    return [
        Failure(id=str(n), prompt=f"def add(a, {n}):\n", reference=f"{n}\n") for n in range(count)
    ]


def as_patch(folder: Path, model: LoadedModel, config: Config) -> Path:
    save_patch(
        folder, verb="repair", technique="repair", base="hf:tiny", base_digest=model.digest,
        config=config.model_dump(mode="json"), seconds=1.0, seed=0,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("kind", DECODERS)
def test_failures_of_every_family_are_put_right_together(kind: str) -> None:
    engine = tiny_engine(kind)
    before = state(engine)
    passages = planted(engine, 3)
    edit = joint.solve(engine, task_of(engine, passages))
    assert same(state(engine), before)
    assert edit.solved
    assert max(max(gaps) for gaps in edit.gaps_before.values()) > 0
    assert max(max(gaps) for gaps in edit.gaps_after.values()) < 0
    assert set(edit.gaps_after) == {passage.failure for passage in passages}
    with engine.drafting() as draft:
        for layer, delta in edit.deltas.items():
            draft.put(layer, delta)
        for passage in passages:
            found = engine.module.generate(
                torch.tensor([passage.prompt]), do_sample=False, pad_token_id=0,
                max_new_tokens=len(passage.answer), eos_token_id=None,
            )  # fmt: skip
            assert tuple(found[0, len(passage.prompt) :].tolist()) == passage.answer


def test_the_last_round_foretells_what_it_achieves() -> None:
    engine = tiny_engine()
    edit = joint.solve(engine, task_of(engine, planted(engine, 3)))
    last = edit.rounds[-1]
    assert len(last.gaps) == len(last.predicted) == len(last.achieved) == last.active
    assert max(last.predicted) < 0
    assert max(last.achieved) < 0


def test_a_repair_costs_no_more_rank_than_it_has_tokens() -> None:
    engine = tiny_engine()
    edit = joint.solve(engine, task_of(engine, planted(engine, 1)))
    assert 1 <= max(delta.rank for delta in edit.deltas.values()) <= 3


def test_only_chosen_neurons_change() -> None:
    engine = tiny_engine()
    passages = planted(engine, 1)
    columns = {1: torch.tensor([2, 9, 30, 41]), 2: torch.tensor([0, 7, 8, 55])}
    edit = joint.solve(engine, task_of(engine, passages, columns=columns))
    assert edit.neurons == {1: 4, 2: 4}
    assert edit.layers == (1, 2)
    with engine.drafting() as draft:
        for layer, delta in edit.deltas.items():
            draft.put(layer, delta)
            moved = (engine.written(layer) != draft.original(layer)).any(0).nonzero()[:, 0]
            assert moved.tolist() == columns[layer].tolist()


@pytest.mark.parametrize(
    ("near", "share", "off"), [(1e-3, 0.0, 1e-4), (joint.NEAR, joint._NEAR, 5e-3)]
)
def test_systems_too_large_to_eliminate_are_repaired_alike(
    near: float, share: float, off: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nearly as they are solved."""
    engine = tiny_engine()
    task = task_of(engine, planted(engine, MANY, rank=150))
    exact = joint.solve(engine, task)
    monkeypatch.setattr(system, "DIRECT", 0)
    monkeypatch.setattr(joint, "_NEAR", share)
    for module in (joint, solve):
        monkeypatch.setattr(module, "NEAR", near)
    found = joint.solve(engine, task)
    assert found.solved
    for layer, delta in exact.deltas.items():
        assert torch.nn.functional.cosine_similarity(
            delta.dense().flatten(), found.deltas[layer].dense().flatten(), dim=0
        ) == pytest.approx(1, abs=off)
        assert not torch.equal(delta.dense(), found.deltas[layer].dense())


def test_what_cannot_be_solved_ends_when_rounds_bring_nothing() -> None:
    engine = tiny_engine()
    (passage,) = planted(engine)
    other = replace(passage, failure="other", answer=planted(engine, rank=9)[0].answer)
    edit = joint.solve(engine, task_of(engine, [passage, other]))
    assert not edit.solved
    assert joint._PATIENCE <= len(edit.rounds) < Config().most_rounds
    short = joint.solve(engine, task_of(engine, [passage, other], rounds=3))
    assert len(short.rounds) == 3


def test_few_answers_get_a_longer_lead_than_many() -> None:
    assert Config().lead(MANY - 1) > Config().lead(MANY) > 0
    assert Config().lead(1) > Config().lead(2, worded=True) > Config().lead(MANY, worded=True)
    assert Config(margin=3.0).lead(1) == Config(margin=3.0).lead(MANY, worded=True) == 3.0
    engine = tiny_engine()
    passages = planted(engine, MANY, rank=150)
    least = []
    for some in (passages[:1], passages):
        edit = joint.solve(engine, task_of(engine, some))
        assert edit.solved
        leads = [-after for id, gaps in edit.gaps_before.items()
                 for before, after in zip(gaps, edit.gaps_after[id], strict=True)
                 if before > 0]  # fmt: skip
        least.append(min(leads))
        # Half of a lead is enough to end.
        assert least[-1] >= Config().lead(len(some)) / 2
    assert least[1] < Config().lead(1) / 2


def test_a_failure_with_a_wording_gets_a_shorter_lead() -> None:
    engine = tiny_engine()
    first, second = planted(engine, 2, rank=150)
    same = replace(second, failure=first.failure, view=1)
    for some, worded in (((first, second), False), ((first, same), True)):
        state = joint._State(engine, task_of(engine, some))
        assert state._margin == Config().lead(2, worded=worded)


def test_of_many_answers_no_lead_is_too_short_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was barely right is asked for what a guard is; of few for what it had."""
    monkeypatch.setattr(joint, "_GUARD_LEAD", 0.15)
    engine = tiny_engine()
    passages = planted(engine, MANY, rank=150)
    for some, least in ((passages[:1], 0.0), (passages, 0.15)):
        state = joint._State(engine, task_of(engine, some, margin=0.2))
        state.look()
        barely, leads = [], []
        for number, (passage, gaps) in enumerate(zip(some, state.before, strict=True)):
            for token, before in enumerate(gaps):
                lead = state._lead(number, passage.first + token)
                leads.append(lead)
                if before < 0:
                    barely.append(-before < 0.15)
                    assert lead == min(0.2, max(-before, least))
                else:
                    assert lead == 0.2
        assert min(leads) >= least
        assert any(barely) or len(some) == 1


@pytest.mark.parametrize("little", [False, True])
def test_where_little_is_off_a_row_is_tied_by_a_share_of_its_own(
    little: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of small keys then gets as far in a round as the others."""
    engine, ties = tiny_engine(), []

    def spied(gram: torch.Tensor, *others: Any) -> torch.Tensor:
        ties.append((gram.diagonal(), others[1]))
        return solve.solve_nonnegative(gram, *others)

    monkeypatch.setattr(joint, "solve_nonnegative", spied)
    monkeypatch.setattr(joint, "_FAR", 1e9 if little else 1e-9)
    task = task_of(engine, planted(engine, MANY, rank=150), ridge=0.1)
    assert joint.solve(engine, task).solved
    assert len(ties) > 1
    for own, ridge in ties:
        most = own.mean().expand(len(own))
        assert float(own.min()) < 0.9 * float(most[0])
        assert torch.allclose(ridge, 0.1 * (own.clamp_max(float(most[0])) if little else most))


def test_a_model_is_looked_at_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny_engine()
    passages = planted(engine, 1, rank=150)
    looks = []
    observe = type(engine).observe

    def counted(*given: Any, **more: Any) -> Any:
        looks.append(len(given[1]))
        return observe(*given, **more)

    monkeypatch.setattr(type(engine), "observe", counted)
    edit = joint.solve(engine, task_of(engine, passages))
    assert len(looks) == len(edit.rounds) + 1 > 1


@pytest.mark.parametrize("metric", ["identity", "diagonal", "low-rank", "full", "null-space"])
def test_statistics_of_every_kind_are_kept_by_what_they_are_of(metric: str, tmp_path: Path) -> None:
    engine = tiny_engine()
    config = Config.model_validate({"metric": metric, "rank": 8})
    first = Statistics.of(engine, texts(6), config, state="s", cache=tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == (0 if metric == "identity" else 1)
    again = Statistics.of(engine, texts(6), config, state="s", cache=tmp_path)
    assert sorted(tmp_path.iterdir()) == files
    keys = torch.randn(2, engine.sites[0].inner, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first.metric(0).apply(keys), again.metric(0).apply(keys))
    other = Statistics.of(engine, texts(6), config, state="t", cache=tmp_path)
    assert other.fingerprint != first.fingerprint
    columns = torch.tensor([3, 4, 20])
    assert first.metric(0, columns).apply(keys[:, columns]).shape == (2, 3)


def test_patterns_share_one_budget() -> None:
    scores = {layer: torch.arange(8.0) * (layer + 1) for layer in range(4)}
    chosen = {
        pattern: pick(scores, Config.model_validate({"pattern": pattern, "ratio": 0.5}))
        for pattern in ("global", "even")
    }
    assert {n: c.tolist() for n, c in chosen["even"].items() if c is not None} == {
        layer: [7] for layer in range(4)
    }
    taken = {n: c.tolist() for n, c in chosen["global"].items() if c is not None}
    assert taken == {2: [7], 3: [5, 6, 7]}


@pytest.mark.parametrize("scores", ["contrast", "gradient", "random"])
def test_neurons_are_located(scores: str) -> None:
    engine = tiny_engine()
    before = state(engine)
    passages = planted(engine, 2)
    config = Config.model_validate({"pattern": "layer-wise", "ratio": 0.25, "scores": scores})
    columns = chosen_columns(engine, passages, config)
    losses = occlusion(engine, passages)
    assert same(state(engine), before)
    assert list(columns) == [max(losses, key=lambda layer: losses[layer])]
    (chosen,) = columns.values()
    assert chosen is not None
    assert len(chosen) == 14
    assert chosen.tolist() == sorted(set(chosen.tolist()))


def test_half_precision_is_repaired_in_what_it_rounds_to() -> None:
    engine = tiny_engine()
    engine.module.to(torch.bfloat16)
    passages = planted(engine, 2)
    edit = joint.solve(engine, task_of(engine, passages))
    assert edit.solved


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_repair_is_a_patch(kind: str, tmp_path: Path) -> None:
    model, config = loaded(kind), Config(pattern="even", ratio=0.9)
    views = [
        each.model_copy(update={"views": (f"# please\n{each.prompt}",)}) for each in failures()
    ]
    folder = tmp_path / "p"
    folder.mkdir()
    result = repair(model, views, config, folder)
    assert weights_digest(model.module) == model.digest
    assert result.repaired == ("0", "1")
    assert result.parameters_changed == sum(result.neurons.values()) * 32
    assert all(part.axis == (0 if kind == "gpt2" else 1) for part in read_rows(folder).parts)
    assert failures_of(folder) == views
    tokenizer = tiny_tokenizer()
    with attached(model, as_patch(folder, model, config)):
        for view in views:
            for prompt in view.prompts:
                asked = tokenizer(prompt, return_tensors="pt")["input_ids"]
                found = model.module.generate(
                    asked, do_sample=False, max_new_tokens=40, pad_token_id=0
                )
                assert tokenizer.decode(found[0, asked.shape[1] :]) == view.reference + "</s>"
    assert weights_digest(model.module) == model.digest


def test_a_repair_goes_on_top_of_others(tmp_path: Path) -> None:
    model, config = loaded(), Config()
    folders = [tmp_path / "first", tmp_path / "second"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        repair(model, failures()[number : number + 1], config, folder, frozen=folders[:number])
        as_patch(folder, model, config)
    assert weights_digest(model.module) == model.digest
    with attached(model, *folders):
        last = model.module(input_ids=torch.tensor([[5, 6]])).logits
    assert not torch.equal(last, model.module(input_ids=torch.tensor([[5, 6]])).logits)


def test_the_same_repair_twice_is_the_same(tmp_path: Path) -> None:
    bytes_of = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        repair(loaded(), failures(), Config(), folder)
        bytes_of.append((folder / "rows.safetensors").read_bytes())
    assert bytes_of[0] == bytes_of[1]


def test_what_cannot_be_repaired_is_said_before_anything_is_touched(tmp_path: Path) -> None:
    model, config = loaded("codegen"), Config()

    def refused(*given: Failure) -> str:
        with pytest.raises(UsageError) as error:
            repair(model, given, config, tmp_path)
        assert list(tmp_path.iterdir()) == []
        assert weights_digest(model.module) == model.digest
        return error.value.what

    one = Failure(id="a", prompt="x", reference="y")
    other = Failure(id="b", prompt="w", reference="z", views=("x",))
    assert "contradict" in refused(one, other)
    assert "called 'a'" in refused(one, Failure(id="a", prompt="w", reference="y"))
    with torch.no_grad():
        model.module.lm_head.bias[2] = 1000
    model = replace(model, digest=weights_digest(model.module))
    assert "nothing to repair" in refused(Failure(id="a", prompt="x", reference=""))
