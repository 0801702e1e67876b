# SPDX-License-Identifier: Apache-2.0
"""The verbs write what they say, record it, and leave a workspace that verifies."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from codetemper.api import account, evaluation, exporting, models, reporting, runs, treatments
from codetemper.api.doctor import doctor
from codetemper.api.tuning import fix_pairs
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Case, Completion, Sampling, Verdict
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import write_corpus
from codetemper.evaluate import suites
from codetemper.models.patch import weights_digest
from tests.api.conftest import Bench
from tests.publish.refined import refinement


def test_everything_made_is_in_the_ledger_and_verifies(bench: Bench) -> None:
    made = [output for entry in bench.workspace.ledger.entries() for output in entry.outputs]
    assert f"corpus:{bench.corpus.id}" in made
    assert f"patch:{bench.patch.id}" in made
    assert bench.workspace.verify() == []


def test_the_example_history_gives_fix_pairs_of_both_languages(bench: Bench) -> None:
    assert bench.corpus.rows == 383
    assert set(bench.corpus.counts["language"]) == {"c", "python"}
    assert len(bench.corpus.counts["cwe"]) == 19


def test_what_is_tuned_on_is_fix_pairs_by_id_or_folder(bench: Bench, tmp_path: Path) -> None:
    card, pairs = fix_pairs(bench.workspace, bench.corpus.id[:8])
    assert (card, len(pairs)) == (bench.corpus, bench.corpus.rows)
    write_corpus(tmp_path, [Case(id="x", prompt="", language="c", judge="exact")])
    with pytest.raises(UsageError, match="cannot be tuned on") as refused:
        fix_pairs(bench.workspace, str(tmp_path))
    assert "Case rows" in refused.value.why


def test_the_manifest_is_complete(bench: Bench) -> None:
    manifest = bench.patch
    assert manifest.corpus == bench.corpus.id
    assert manifest.corpus_digest == bench.corpus.data_digest
    assert manifest.config["rank"] == 2
    assert manifest.config["limit"] == 16
    assert manifest.parameters_changed > 0
    assert manifest.versions.keys() == {
        "codetemper", "torch", "transformers", "peft", "safetensors",
    }  # fmt: skip
    assert "adapter_model.safetensors" in manifest.files


def test_training_and_loading_leave_the_base_as_it_was(bench: Bench) -> None:
    with models.load_model(bench.workspace, bench.base) as plain:
        before = weights_digest(plain.loaded.module)
    with models.load_model(bench.workspace, bench.patched) as patched:
        assert patched.digest != plain.digest
        assert patched.loaded.digest == before == bench.patch.base_digest


def test_a_run_holds_all_that_its_numbers_rest_on(bench: Bench) -> None:
    run = runs.find_scorecards(bench.workspace, bench.base)["world-shell"]
    cases = runs.read_rows(run.folder / "cases.parquet", Case)
    completions = runs.read_rows(run.folder / "completions.parquet", Completion)
    verdicts = runs.read_rows(run.folder / "verdicts.parquet", Verdict)
    assert [c.case for c in completions] == [case.id for case in cases for _ in range(2)]
    assert [(v.case, v.index) for v in verdicts] == [(c.case, c.index) for c in completions]
    assert cases == list(suites.load("world-shell", limit=3).cases)
    assert (run.folder / "config.yaml").exists()


def test_the_same_evaluation_twice_is_one_run(bench: Bench) -> None:
    sampling = Sampling(n=2, max_new_tokens=8)
    run = evaluation.evaluate(bench.workspace, bench.base, "world-shell", sampling, limit=3)
    assert run.id == runs.find_scorecards(bench.workspace, bench.base)["world-shell"].id
    assert bench.workspace.verify() == []


def test_compare_pairs_cases_and_refuses_strangers(bench: Bench) -> None:
    found = evaluation.compare(bench.workspace, bench.base, bench.patched)
    assert found["world-shell/exact_match"].n == 3
    with pytest.raises(UsageError, match="nothing was evaluated"):
        evaluation.compare(bench.workspace, bench.base, "hf:elsewhere")


def test_a_patch_is_tuned_upon_and_the_new_one_goes_on_top(bench: Bench) -> None:
    from codetemper.harden.tune import Config

    config = Config(rank=2, epochs=1, max_length=128, early_stop="score")
    manifest = treatments.tune(
        bench.workspace,
        bench.patched,
        bench.corpus.id,
        config,
        limit=8,
        validate_on="world-shell",
        validate_limit=2,
    )
    assert manifest.base == bench.patched
    assert manifest.config["validate_on"] == "world-shell"
    assert [step for step, _ in manifest.report["validations"]] == [1]
    assert not list((bench.workspace.cache / "checkpoints").iterdir())
    with models.load_model(bench.workspace, f"{bench.patched}+{manifest.id}") as handle:
        assert [str(patch) for patch in handle.expression.patches] == [bench.patch.id, manifest.id]


def test_judging_references_made_elsewhere(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    suite = suites.load("world-shell")
    rows = [{"case": c.id, "completion": c.reference} for c in suite.cases[:30]]
    rows += [{"task_id": c.id, "completion": "rm -rf /"} for c in suite.cases[:10]]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = evaluation.judge_file(workspace, "world-shell", path)
    per_case = run.scorecard.per_case["exact_match"]
    assert sorted(set(per_case.values())) == [0.5, 1.0]
    assert run.scorecard.metrics["exact_match"].value == pytest.approx((20 + 10 * 0.5) / 30)
    assert workspace.verify() == []


def test_revert_refuses_the_patch_until_it_is_restored(bench: Bench) -> None:
    account.revert(bench.workspace, bench.patch.id[:8], reason="test")
    states = {p.manifest.id: p.state for p in account.patches(bench.workspace)}
    assert states.pop(bench.patch.id) == "reverted"
    assert set(states.values()) <= {"made"}  # one of another test
    with pytest.raises(UsageError, match="was reverted"):
        models.load_model(bench.workspace, bench.patched)
    with pytest.raises(UsageError, match="reverted already"):
        account.revert(bench.workspace, bench.patch.id)
    account.restore(bench.workspace, bench.patch.id)
    with models.load_model(bench.workspace, bench.patched) as model:
        assert model.digest
    assert bench.workspace.verify() == []


def test_an_exported_patch_loads_in_plain_peft(bench: Bench, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    exporting.export(bench.workspace, bench.patch.id, tmp_path / "out")
    base = AutoModelForCausalLM.from_pretrained(bench.base.removeprefix("hf:"))
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        plain = base(input_ids=ids).logits.clone()
        stranger = PeftModel.from_pretrained(base, tmp_path / "out")(input_ids=ids).logits
    with models.load_model(bench.workspace, bench.patched) as ours, torch.no_grad():
        same = ours.loaded.module(input_ids=ids).logits
    assert not torch.equal(plain, stranger)
    torch.testing.assert_close(stranger, same)
    with pytest.raises(UsageError, match="exists already"):
        exporting.export(bench.workspace, bench.patch.id, tmp_path / "out")


def test_a_damaged_patch_is_not_loaded(bench: Bench, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bench.workspace.root, copy)
    workspace = Workspace.open(copy)
    weights = workspace.patches / bench.patch.id / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError):
        models.load_model(workspace, bench.patched)
    assert [bench.patch.id in problem.path for problem in workspace.verify()] == [True, True]


def test_the_report_is_one_page_with_the_way_back(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    reporting.report(bench.workspace, bench.base, bench.patched, out=out)
    text = out.read_text("utf-8")
    for question in ("What is this model?", "Is it safer?", "Is it still able?", "Can I undo it?"):
        assert question in text
    assert f"codetemper revert {bench.patch.id}" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_the_report_shows_the_refinements_of_what_it_is_about(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(id: str, base: str = bench.base, **more: object) -> account.PatchState:
        report = refinement(**more).model_dump(mode="json")
        facts = {"id": id, "verb": "refine", "base": base, "report": report}
        return account.PatchState(bench.patch.model_copy(update=facts), "made")

    def shown(*models: str) -> list[str]:
        out = tmp_path / "page.html"
        reporting.report(bench.workspace, *models, out=out)
        return re.findall(r'class="refinement">\s*<h3><code>([^<]+)', out.read_text("utf-8"))

    used, other = {"suites": {"s": "0"}}, made("refine-3", base="seedling")
    found = [made(bench.patch.id), made("refine-1"), made("refine-2", **used), other]
    monkeypatch.setattr(reporting, "patches", lambda workspace: found)
    assert shown(bench.base) == ["refine-1", "refine-2"], "the newest on each suites"
    assert shown(bench.base, bench.patched) == [bench.patch.id], "that of the model reported"
    ended = refinement().rounds[0].model_copy(update={"patch": bench.patch.id})
    found[:] = [made("refine-1"), made("refine-2", rounds=(ended,), chosen_round=1, **used)]
    assert shown(bench.base, bench.patched) == ["refine-2"], "a round of it was evaluated"
    found[:] = [made("refine-1")]
    assert shown(bench.base, bench.patched) == [], "another patch of the base"
    found[0].manifest.report["rounds"] = "?"
    with pytest.raises(IntegrityError, match="rounds of refine-1 cannot be read"):
        shown(bench.base)


def test_doctor_says_what_a_missing_tool_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {check.name: check for check in doctor()}
    assert states["torch"].state == states["suites"].state == "ok"
    monkeypatch.setenv("PATH", "/nowhere")
    poor = {check.name: check for check in doctor()}
    for name in ("git", "gcc", "bubblewrap"):
        assert poor[name].state == "missing"
        assert poor[name].costs
        assert poor[name].mend
