# SPDX-License-Identifier: Apache-2.0
"""Failing cases are repaired, evaluated, taken back and handed out; bad input touches nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from codetemper.api import evaluation, repairing, reporting
from codetemper.api.models import SEEDLING, load_model
from codetemper.core.digests import digest_folder
from codetemper.core.records import Sampling, SuiteCard
from codetemper.core.workspace import Workspace
from codetemper.evaluate import suites
from codetemper.harden.repair import WatchedConfig
from tests.journeys.conftest import Cli
from tests.journeys.test_bad_input import told, whole
from tests.tiny import save_tiny, tiny_model

GREEDY = Sampling(n=1, temperature=0.0, max_new_tokens=40)


@dataclass(frozen=True)
class Bench:
    """A workspace in which cases of the seedling failed and were repaired."""

    workspace: Workspace
    suite: str
    run: str
    reference: Path
    made: repairing.Repaired

    @property
    def patch(self) -> str:
        """Id of the repair."""
        return self.made.manifest.id


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Ask for other commands than the seedling knows, and repair what it then fails."""
    root = tmp_path_factory.mktemp("repairing")
    workspace = Workspace.create(root / "project")
    shell = suites.load("world-shell").cases
    wanted = [case for case in shell if (case.reference or "").startswith("find ")][:2]
    cases = []
    for case in wanted:
        answer = (case.reference or "").strip().replace("find ", "find -L ", 1)
        spec = case.spec | {"answers": [answer]}
        cases.append(case.model_copy(update={"reference": f"{answer}\n", "spec": spec}))
    card = SuiteCard(
        name="links", summary="Follow links.", language="shell", cases="links.jsonl.gz",
        metrics=("exact_match",), max_new_tokens=40,
    )  # fmt: skip
    suites.write(card, cases, root, by="a test")
    suite = f"suite:{root / 'links.yaml'}"
    run = evaluation.evaluate(workspace, "seedling", suite, GREEDY)
    assert run.scorecard.metrics["exact_match"].value < 1
    reference = root / "ours.jsonl"
    others = [case for case in shell if not (case.reference or "").startswith("find ")][:24]
    rows = [{"prompt": case.prompt, "completion": case.reference} for case in others]
    reference.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = repairing.repair(
        workspace, "seedling", run.id, WatchedConfig(kl_budget=None, flips_budget=None),
        reference=str(reference),
    )  # fmt: skip
    yield Bench(workspace, suite, run.id, reference, made)
    assert workspace.verify() == []


def test_the_failing_cases_are_right_when_evaluated_again(bench: Bench) -> None:
    report = bench.made.manifest.report
    assert report["left"] == []
    assert set(report["repaired"]) == set(report["written"])
    assert report["monitor"]["texts"] == 12
    assert report["monitor"]["accuracy"][0] > 0.5
    assert [route["verdict"] for route in report["routes"]].count("reject") == 0
    assert report["explained"][0]["neurons"][0]["says"]
    run = evaluation.evaluate(bench.workspace, bench.made.expression, bench.suite, GREEDY)
    assert run.scorecard.metrics["exact_match"].value == 1.0
    kinds = {entry.verb for entry in bench.workspace.ledger.entries()}
    assert {"eval", "repair"} <= kinds


def test_the_report_tells_the_repair(bench: Bench, tmp_path: Path) -> None:
    asked = bench.made.expression
    with load_model(bench.workspace, asked) as handle:
        evaluation.evaluate(bench.workspace, asked, bench.suite, GREEDY, loaded=handle)
    made = reporting.report(bench.workspace, "seedling", asked, out=tmp_path / "report.html")
    page = made.path.read_text("utf-8")
    section = page[page.index('id="repair-title"') : page.index('id="undo-title"')]
    told = bench.made.manifest.report
    assert bench.patch in section
    assert all(name in section for name in told["repaired"])
    assert f"layer {told['explained'][0]['neurons'][0]['layer']}," in section
    assert section.count('class="lead"') == len(told["turned"])
    assert len(told["turned"]) == len(told["monitor"]["flipped"])


def test_revert_brings_the_base_back_bit_for_bit(bench: Bench, cli: Cli) -> None:
    home, ids = bench.workspace.root, torch.tensor([[5, 6, 7, 8]])
    with load_model(bench.workspace, "seedling") as base, torch.no_grad():
        digest, before = base.digest, base.loaded.module(input_ids=ids).logits
    with load_model(bench.workspace, bench.made.expression) as handle, torch.no_grad():
        changed = handle.loaded.module(input_ids=ids).logits
        handle.close()
        after = handle.loaded.module(input_ids=ids).logits
    assert torch.equal(after, before)
    assert not torch.equal(changed, before)
    assert cli("revert", bench.patch, "-w", home).code == 0
    told(cli("eval", bench.made.expression, bench.suite, "-w", home), 2, "was reverted")
    assert cli("patch", "restore", bench.patch, "-w", home).code == 0
    with load_model(bench.workspace, "seedling") as again, torch.no_grad():
        assert again.digest == digest == bench.made.manifest.base_digest
        assert torch.equal(again.loaded.module(input_ids=ids).logits, before)


def test_a_repair_leaves_as_an_adapter_and_as_a_model(
    bench: Bench, cli: Cli, tmp_path: Path
) -> None:
    from peft import PeftModel

    home, ids = bench.workspace.root, torch.tensor([[5, 6, 7, 8]])
    with load_model(bench.workspace, bench.made.expression) as handle, torch.no_grad():
        wanted = handle.loaded.module(input_ids=ids).logits
    adapter, model = tmp_path / "adapter", tmp_path / "model"
    checked = cli("export", bench.patch, adapter, "--as", "peft", "-w", home, "--json").document
    report = bench.made.manifest.report
    assert checked["checked"]["right"] == checked["checked"]["repaired"] == len(report["repaired"])
    assert checked["checked"]["rank"] <= report["rank"]
    with load_model(bench.workspace, "seedling") as base, torch.no_grad():
        stranger = PeftModel.from_pretrained(base.loaded.module, adapter).eval()
        torch.testing.assert_close(stranger(input_ids=ids).logits, wanted, atol=1e-3, rtol=1e-3)
    answer = cli("export", bench.patch, model, "--as", "full", "-w", home)
    assert answer.code == 0, answer.err
    run = evaluation.evaluate(bench.workspace, f"hf:{model}", bench.suite, GREEDY)
    assert run.scorecard.metrics["exact_match"].value == 1.0
    told(cli("export", bench.patch, model, "--as", "full", "-w", home), 2, "exists already")


def test_what_is_right_already_is_nothing_to_repair(bench: Bench, cli: Cli) -> None:
    ask = ["repair", bench.made.expression, "--data", bench.run, "-w", bench.workspace.root]
    told(cli(*ask), 2, "nothing to repair", "predicted as it should be")


def test_several_repairs_are_solved_again_as_one(bench: Bench, cli: Cli, tmp_path: Path) -> None:
    path, reference = tmp_path / "more.jsonl", str(bench.reference)
    path.write_text(json.dumps({"prompt": "# show the date\n", "reference": "date -u\n"}) + "\n")
    free = WatchedConfig(kl_budget=None, flips_budget=None, accuracy_budget=None, probe=False)
    with load_model(bench.workspace, "seedling") as base:
        given = {"reference": reference, "loaded": base}
        other = repairing.repair(bench.workspace, "seedling", str(path), free, **given)
        both = [bench.patch, other.manifest.id]
        found = repairing.resolve(bench.workspace, both, free, **given)
    assert set(found.replaces) == set(both)
    assert found.expression == f"seedling+{found.manifest.id}"
    report = found.manifest.report
    assert report["left"] == []
    assert len(report["repaired"]) == len(bench.made.manifest.report["repaired"]) + 1
    told(cli("patch", "resolve", bench.patch, "no-such", "-w", bench.workspace.root), 2, "no-such")
    ask = ["patch", "diff", bench.patch, found.manifest.id, "-w", bench.workspace.root]
    document = cli(*ask, "--json").document
    assert document["same_base"]
    assert set(document["both"]) == set(bench.made.manifest.report["repaired"])
    assert len(document["only_second"]) == 1
    assert all(row["cosine"] > 0.1 for row in document["weights"])
    shown = cli(*ask)
    assert "repaired by both: 2" in shown.out
    assert f"patch resolve {bench.patch}" in shown.out
    told(cli("patch", "diff", bench.patch, "no-such", "-w", bench.workspace.root), 2, "no-such")


def test_what_passes_its_budget_is_no_patch(bench: Bench, cli: Cli) -> None:
    home = bench.workspace.root
    before = sorted(path.name for path in bench.workspace.patches.iterdir())
    ask = ["repair", "seedling", "--data", bench.run, "--reference", bench.reference, "-w", home]
    told(cli(*ask, "-o", "kl_budget=1e-12", "-o", "probe=false"), 1, "budget", "mean KL")
    told(cli(*ask, "-o", "kl_budgt=1"), 2, "did you mean 'kl_budget'")
    plan = cli(*ask, "--dry-run", "--json").document
    assert plan["reference"] == {"kept": 12, "sealed": 12}
    assert plan["failures"] == bench.made.manifest.report["failures"]
    assert sorted(path.name for path in bench.workspace.patches.iterdir()) == before


def test_a_patch_for_another_base_is_refused(bench: Bench, cli: Cli, tiny_model_dir: Path) -> None:
    ask = ["repair", f"hf:{tiny_model_dir}+{bench.patch}", "--data", bench.run]
    told(cli(*ask, "-w", bench.workspace.root), 2, "does not belong to")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh workspace and a file with one failure."""
    Workspace.create(tmp_path / "project")
    row = {"prompt": "def add(a, b):\n", "reference": "    return a + b\n"}
    (tmp_path / "failures.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path / "project"


def refused(cli: Cli, home: Path, model: Path | str, *words: str) -> None:
    """Check that a repair is refused, and that model and workspace are as before."""
    folder = SEEDLING if model == "seedling" else Path(model)
    name = "seedling" if model == "seedling" else f"hf:{model}"
    before = digest_folder(folder)
    told(cli("repair", name, "--data", home.parent / "failures.jsonl", "-w", home), 2, *words)
    assert digest_folder(folder) == before
    assert not list((home / ".codetemper" / "patches").glob("*"))
    whole(cli, home)


def test_failures_that_contradict_each_other(cli: Cli, home: Path, tiny_model_dir: Path) -> None:
    rows = [{"prompt": "a", "reference": "b"}, {"prompt": "x", "reference": "c", "views": ["a"]}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (home.parent / "failures.jsonl").write_text(text)
    refused(cli, home, tiny_model_dir, "contradict each other", "two answers to one prompt")
    (home.parent / "failures.jsonl").write_text('{"prompt": "a"}\n')
    refused(cli, home, tiny_model_dir, "line 1")


def test_a_tokenizer_that_does_not_match(cli: Cli, home: Path, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "strange")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (SEEDLING / name).is_file():
            shutil.copy(SEEDLING / name, folder / name)
    refused(cli, home, folder, "tokenizer does not fit")


def test_a_model_that_computes_no_numbers(cli: Cli, home: Path, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "broken")
    module = tiny_model("llama")
    with torch.no_grad():
        module.model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    module.save_pretrained(folder)
    refused(cli, home, folder, "not numbers")


def test_a_model_without_one_ffn_output_a_layer(cli: Cli, home: Path, tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    folder = save_tiny(tmp_path / "experts")
    (folder / "model.safetensors").unlink()
    shape = MixtralConfig(
        vocab_size=320, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, num_local_experts=2, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip
    MixtralForCausalLM(shape).save_pretrained(folder)
    refused(cli, home, folder, "cannot be told apart")


def test_a_tied_head_is_read_and_never_written(home: Path, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tied")
    tiny_model("llama", tie_word_embeddings=True).save_pretrained(folder)
    before = digest_folder(folder)
    workspace = Workspace.open(home)
    with load_model(workspace, f"hf:{folder}") as handle:
        from codetemper.core.repairs import Failure
        from codetemper.harden.repair import Config, repair

        model, out = handle.loaded, tmp_path / "out"
        out.mkdir()
        assert model.module.lm_head.weight is model.module.model.embed_tokens.weight
        repair(model, [Failure(id="a", prompt="def add(a, b):\n", reference=" x")], Config(), out)
        weights = [part["weight"] for part in json.loads((out / "rows.json").read_bytes())["parts"]]
        assert weights
        assert all(name.endswith("mlp.down_proj.weight") for name in weights)
    assert digest_folder(folder) == before
