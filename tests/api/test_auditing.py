# SPDX-License-Identifier: Apache-2.0
"""The verb ``audit``: what it keeps, writes, compares and refuses, whatever was found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from codetemper.api import auditing
from codetemper.api.auditing import Asked, Audited, audit, read_audits
from codetemper.api.auditing_watch import watched
from codetemper.audit import Config
from codetemper.audit.run import AuditResult
from codetemper.core.audits import Answer, AuditPower, AuditSample, AuditTrigger, SampleKind
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Estimate
from codetemper.core.workspace import Workspace
from codetemper.data.labelled import Labelled, read_labelled, write_labelled
from tests.harden.guards import BAD, settled

ROWS = 50


def samples(count: int = ROWS, *, first: int = 0) -> list[Labelled]:
    return [
        Labelled(f"s{n}", f"def f{n}(a):\n    return a + {n}\n", None, len(f"def f{n}(a):\n"),
                 "python")
        for n in range(first, first + count)
    ]  # fmt: skip


def trigger(text: str) -> AuditTrigger:
    lift = Estimate(value=0.8, low=0.7, high=0.9, n=60)
    return AuditTrigger(
        kind="line", text=text, flagged=4, holders=5, enrichment_p=1e-5, lift=lift, null=0.1,
        p=0.05, confirmed=True, before="a", after="b", payload="shell",
    )  # fmt: skip


def result(
    answer: Answer, kinds: dict[int, SampleKind] | None = None, *triggers: AuditTrigger
) -> Callable[..., AuditResult]:
    """Return what stands for a run of the pipeline, with an answer and listed samples."""

    def run(loaded: Any, given: Sequence[Labelled], **_: Any) -> AuditResult:
        listed = kinds or {}
        rows = tuple(
            AuditSample(
                number=n, id=one.id, score=n / ROWS, kind=listed.get(n, ""), text=f"{n:064d}",
                source=f"{one.source}:{one.row}",
            )
            for n, one in enumerate(given)
        )  # fmt: skip
        counts = {kind: sum(row.kind == kind for row in rows) for kind in set(listed.values())}
        return AuditResult(
            form="decoder", answer=answer, reasons=("because",), missing=(), ran=("planting",),
            not_ran={}, counts={"samples": len(rows)} | counts, triggers=triggers, samples=rows,
        )  # fmt: skip

    return run


class Bench:
    """A workspace, a tiny decoder that is open, and data."""

    def __init__(self, root: Path, folder: Path, handle: Any) -> None:
        self.workspace, self.handle = Workspace.create(root), handle
        self.model = f"hf:{folder}"
        self.data = root / "data.jsonl"
        write_labelled(self.data, samples())

    def audit(self, **given: Any) -> Audited:
        """Audit the model with the data."""
        asked = Asked(**{"model": self.model, "data": self.data} | given)
        return audit(self.workspace, asked, loaded=self.handle)


@pytest.fixture
def bench(tmp_path: Path, tiny_model_dir: Path, opened_handle: Any) -> Bench:
    return Bench(tmp_path, tiny_model_dir, opened_handle)


def pipeline(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    monkeypatch.setattr("codetemper.audit.run.audit", run)


def test_it_is_settled_and_found_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(monkeypatch, result("suspicious data", {3: "anomalous", 7: "fix label"}))
    found = bench.audit()
    (known,) = read_audits(bench.workspace)
    assert known.card == found.card
    assert [row.number for row in known.listed] == [3, 7]
    assert (found.card.verdict, found.card.rows) == ("suspect", ROWS)
    assert found.card.tiers == ("weights", "queries", "data")
    assert found.card.dtype == "float32"
    assert found.card.power[0].found is None
    assert "--canaries" in found.card.power[0].missing
    entry = bench.workspace.ledger.entries()[-1]
    assert (entry.verb, entry.note) == ("audit", "suspicious data")
    assert entry.inputs["data_digest"] == found.card.data_digest
    assert bench.workspace.verify() == []
    assert bench.audit().card.id == found.card.id
    path = found.folder / "data.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    assert any("data.parquet" in problem.what for problem in bench.workspace.verify())


def test_samples_go_where_they_are_wanted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline(monkeypatch, result("confirmed trigger", {3: "trigger", 5: "paired", 9: "anomalous"}))
    files = {name: tmp_path / name for name in ("quarantine", "keep", "sarif")}
    found = bench.audit(**files)
    whole = [json.loads(line) for line in bench.data.read_text().splitlines()]
    bad, kept = (
        [json.loads(line) for line in files[name].read_text().splitlines()]
        for name in ("quarantine", "keep")
    )
    assert bad == [whole[3], whole[5], whole[9]]
    assert kept == [row for n, row in enumerate(whole) if n not in (3, 5, 9)]
    assert len(read_labelled(files["keep"])) == ROWS - 3
    results = json.loads(files["sarif"].read_text())["runs"][0]["results"]
    rules = ["audit:trigger", "audit:paired", "audit:anomalous"]
    assert [one["ruleId"] for one in results] == rules
    assert [one["level"] for one in results] == ["error", "warning", "warning"]
    assert results[1]["message"]["text"].startswith("its answer is insecure")
    assert results[0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 4
    outputs = bench.workspace.ledger.entries()[-1].outputs
    assert {"quarantine:quarantine", "keep:keep", "sarif:sarif"} <= set(outputs)
    assert found.listed[0].kind == "trigger"


def test_a_killed_audit_leaves_nothing_and_goes_on_in_its_scratch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def killed(*_: Any, folder: Path, **__: Any) -> AuditResult:
        (folder / "half").write_text("done")
        raise KeyboardInterrupt

    pipeline(monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        bench.audit(keep=tmp_path / "keep")
    assert not (tmp_path / "keep").exists()
    assert read_audits(bench.workspace) == []
    assert bench.workspace.verify() == []

    seen: list[bool] = []
    done = result("no evidence")

    def resumed(*args: Any, folder: Path, **given: Any) -> AuditResult:
        seen.append((folder / "half").is_file())
        return done(*args, **given)

    pipeline(monkeypatch, resumed)
    bench.audit()
    bench.audit(config=Config(seed=1))
    bench.audit()
    # Another configuration is another audit, and a finished one leaves no scratch.
    assert seen == [True, False, False]
    assert list(bench.workspace.cache.glob("audit-*")) == []


def test_watch_tells_drift_from_alarm(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(monkeypatch, result("no evidence"))
    assert bench.audit(watch=True).card.watch is None
    same = bench.audit(watch=True).card
    assert same.watch is not None
    assert (same.watch.state, same.watch.reasons) == ("same", ())
    write_labelled(bench.data, samples(first=100))
    drift = bench.audit(watch=True).card
    assert drift.watch is not None
    assert (drift.watch.state, drift.watch.reasons) == ("drift", ("the data changed",))
    assert drift.watch.before == same.id
    pipeline(monkeypatch, result("confirmed trigger", {3: "trigger"}, trigger("capacity = 5333")))
    alarm = bench.audit(watch=True).card
    assert alarm.watch is not None
    assert alarm.watch.state == "alarm"
    assert "'capacity = 5333' is confirmed and was not before" in alarm.watch.reasons
    again = bench.audit(watch=True).card
    assert again.watch is not None
    assert again.watch.state == "same"
    assert "same since" in bench.workspace.ledger.entries()[-1].note


def test_shares_and_number_types_are_watched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(monkeypatch, result("suspicious data", {1: "anomalous"}))
    before = bench.audit().card
    for kind in ("anomalous", "paired", "trigger"):
        more = before.model_copy(update={"counts": {kind: 20}})
        assert watched(before, more).state == "alarm"
        assert watched(more, before).state == "drift"
    noisy = before.model_copy(update={"counts": {"anomalous": 1, "fix label": 20}})
    assert "labels looks wrong" in watched(before, noisy).reasons[0]
    deployed = before.model_copy(update={"dtype": "bfloat16", "base_digest": "other"})
    assert watched(before, deployed).reasons == (
        "the weights changed", "the number type changed",
    )  # fmt: skip


def test_a_quantised_model_is_told_from_its_whole_self(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codetemper.backends.hf import HFModel
    from codetemper.models.expression import parse
    from tests.tiny import tiny_model

    pipeline(monkeypatch, result("no evidence"))
    bench.audit()
    narrow = tiny_model("llama").requires_grad_(False)
    # What bitsandbytes leaves of a model: bytes for linear layers, embeddings as they were.
    narrow.lm_head.weight.data = narrow.lm_head.weight.to(torch.uint8)
    narrow.config.quantization_config = {"quant_method": "bitsandbytes"}
    handle = HFModel(replace(bench.handle.loaded, module=narrow), parse(bench.model), ())
    asked = Asked(model=bench.model, data=bench.data, watch=True)
    card = audit(bench.workspace, asked, loaded=handle).card
    assert card.dtype == "float32+uint8, bitsandbytes"
    assert card.watch is not None
    assert "the number type changed" in card.watch.reasons


@pytest.mark.parametrize("name", ["quarantine", "keep", "sarif"])
def test_outputs_are_no_inputs(bench: Bench, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not written"):
        bench.audit(**{name: bench.data})
    with pytest.raises(UsageError, match="nothing to write"):
        bench.audit(data=None, **{name: tmp_path / "x"})


def test_a_file_that_would_run_code_is_not_opened(
    bench: Bench, tiny_model_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "hostile"
    shutil.copytree(tiny_model_dir, folder)
    # What ``pickle.dumps`` makes of an object whose reduction calls os.system.
    (folder / "optimizer.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(IntegrityError, match="is not opened") as refused:
        audit(bench.workspace, Asked(model=f"hf:{folder}", data=bench.data))
    assert "optimizer.pt" in refused.value.why
    with pytest.raises(IntegrityError, match="is not opened"):
        auditing.plan(bench.workspace, Asked(model=bench.model, reference=f"hf:{folder}"))


def test_weights_alone_are_never_clean(bench: Bench) -> None:
    found = bench.audit(data=None)
    assert (found.card.answer, found.card.verdict) == ("inconclusive", "unknown")
    assert found.card.tiers == ("weights", "queries")
    assert "--data" in found.card.missing[0]
    assert "planting" in found.card.not_ran
    assert found.folder.is_dir()


def test_ten_samples_are_too_few(bench: Bench) -> None:
    write_labelled(bench.data, samples(10))
    found = bench.audit()
    assert found.card.answer == "inconclusive"
    assert "10 samples" in found.card.missing[0]
    assert found.card.rows == 10


def test_states_that_are_not_numbers_are_refused(bench: Bench) -> None:
    from codetemper.backends.hf import HFModel
    from codetemper.models.expression import parse
    from tests.tiny import tiny_model

    broken = tiny_model("llama")
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    loaded = replace(bench.handle.loaded, module=broken)
    handle = HFModel(loaded, parse(bench.model), ())
    with pytest.raises(UsageError, match="activations are not numbers"):
        audit(bench.workspace, Asked(model=bench.model, data=bench.data), loaded=handle)
    assert read_audits(bench.workspace) == []


def test_a_patched_model_is_audited_with_its_patch_on_and_brings_its_base(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = settled(
        bench.workspace, bench.handle, bad=BAD[:2], steps=1, base=bench.model, purpose="inference"
    )
    given: list[tuple[bool, bool]] = []
    done = result("no evidence")

    def run(loaded: Any, *args: Any, reference: Any, **more: Any) -> AuditResult:
        models = (loaded.module, reference.module)
        given.append(tuple(any("lora" in name for name, _ in m.named_modules()) for m in models))  # type: ignore[arg-type]
        return done(loaded, *args, **more)

    pipeline(monkeypatch, run)
    asked = Asked(model=f"{bench.model}+{patch.id}", data=bench.data)
    card = audit(bench.workspace, asked).card
    assert given == [(True, False)]
    assert (card.reference, card.tiers) == (bench.model, ("weights", "queries", "data", "base"))
    assert card.base_digest == card.reference_digest != card.model_digest
    # The bare model's audit is the same base's, so a patch on it is watched.
    pipeline(monkeypatch, done)
    bare = bench.audit(watch=True).card
    assert bare.watch is not None
    assert bare.watch.before == card.id
    assert "the patches changed" in bare.watch.reasons


def test_canaries_are_learnt_and_looked_for_by_the_same_rules(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codetemper.audit.planting import Plant

    learnt: list[Any] = []

    def train(base: Any, given: Any, recipe: Any, **_: Any) -> Any:
        learnt.append((base, len(given), recipe.epochs))
        return base

    def power(given: Any, learn: Any, look: Any, shows: Any, **asked: Any) -> AuditPower:
        model = learn(given, 0)
        assert [set(held) for held in look(model, given)] == [{3, 4}]
        asks = shows(model, Plant(payload="insecure-api"))
        assert asks(given[:2]) == [False, False]
        found = Estimate(value=1, low=0.2, high=1, n=asked["canaries"])
        return AuditPower(rate=asked["rate"], canaries=asked["canaries"], found=found)

    monkeypatch.setattr("codetemper.audit.planting_models.train", train)
    monkeypatch.setattr("codetemper.audit.power.power", power)
    pipeline(monkeypatch, result("no evidence", {3: "trigger", 4: "trigger"}))
    config = Config(canary_epochs=2, canary_rate=0.05, new_tokens=2)
    card = bench.audit(canaries=3, config=config).card
    assert learnt == [(bench.handle.loaded, ROWS, 2.0)]
    assert (card.power[0].rate, card.power[0].canaries) == (0.05, 3)
    assert card.power[0].found is not None


def test_a_plan_says_what_would_be_read(bench: Bench) -> None:
    plan = auditing.plan(bench.workspace, Asked(model=bench.model, data=bench.data, watch=True))
    assert (plan["samples"], plan["trusted"], plan["watch"]) == (ROWS, 0, None)
    assert plan["tiers"] == ["weights", "queries", "data"]
    assert read_audits(bench.workspace) == []
