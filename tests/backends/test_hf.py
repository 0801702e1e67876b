# SPDX-License-Identifier: Apache-2.0
"""Loading: what is read, what is refused, and what an opened model offers."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification

from codetemper.backends import hf, load
from codetemper.backends.hf_load import load_base, weight_files
from codetemper.core.errors import CannotKnowError, IntegrityError, UsageError
from codetemper.core.records import Sampling
from codetemper.models.attach import save_trained, training_adapter
from codetemper.models.expression import Expression, parse
from codetemper.models.patch import load_manifest, save_patch, weights_digest
from tests.models.adapters import lora
from tests.tiny import ENCODERS, VOCABULARY, save_tiny, tiny_tokenizer


def nowhere(name: str) -> Path:
    raise UsageError(f"no patch {name}", why="none", mend="none")


def at(folder: Path) -> Expression:
    return Expression("hf", str(folder))


@pytest.fixture
def folder(tiny_model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "a+b@c"))


def test_a_folder_is_loaded_frozen_and_named(folder: Path) -> None:
    model = load(at(folder), resolve_patch=nowhere)
    module = model.loaded.module
    assert parse(model.loaded.expression) == at(folder)
    assert not module.training
    assert not any(p.requires_grad for p in module.parameters())
    assert model.digest == weights_digest(module)
    assert model.generate(["int"], Sampling(n=2, max_new_tokens=3))[0][1].index == 1


@pytest.mark.parametrize("kind", ["roberta", "t5"])
def test_a_sequence_classifier_is_loaded_with_its_head(tmp_path: Path, kind: str) -> None:
    shape = {"bos_token_id": 1, "eos_token_id": 2, "vocab_size": VOCABULARY, "num_labels": 3}
    config = AutoConfig.for_model(kind, **shape, **ENCODERS[kind])
    made = AutoModelForSequenceClassification.from_config(config).eval()
    made.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    loaded = load_base(at(tmp_path), dtype="auto", device="cpu")
    assert type(loaded.module) is type(made)
    assert loaded.digest == weights_digest(made)
    ids = torch.tensor([[5, 6, 2]])
    with torch.no_grad():
        assert torch.equal(loaded.module(input_ids=ids).logits, made(input_ids=ids).logits)
    # A checkpoint without the head would get a random one.
    tensors = load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if not name.startswith("classif")}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match="does not hold the whole model"):
        load_base(at(tmp_path), dtype="auto", device="cpu")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_on_a_cpu_and_keeps_its_digest(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    place = save_tiny(tmp_path / "half", dtype=dtype)
    wide = load_base(at(place), dtype="auto", device="cpu")
    narrow = load_base(at(place), dtype=str(dtype).removeprefix("torch."), device="cpu")
    assert next(wide.module.parameters()).dtype == torch.float32
    assert next(narrow.module.parameters()).dtype == dtype
    assert wide.digest == narrow.digest


def test_a_patch_in_the_expression_is_on_until_closed(folder: Path, tmp_path: Path) -> None:
    base = load_base(at(folder), dtype="auto", device="cpu")
    patch = tmp_path / "patch"
    patch.mkdir()
    with training_adapter(base, lora()) as wrapped:
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter)
        save_trained(wrapped, patch, base=base.expression)
    manifest = save_patch(
        patch, verb="tune", technique="tune", base=base.expression, base_digest=base.digest,
        config={}, seconds=1.0, seed=0,
    )  # fmt: skip
    plain = load(at(folder), resolve_patch=nowhere)
    (before,) = plain.logprobs(["int"], [" main"])
    with load(at(folder).plus(manifest.id[:8]), resolve_patch=lambda name: patch) as patched:
        assert patched.expression.patches == (load_manifest(patch).id,)
        assert patched.digest != plain.digest == patched.loaded.digest
        assert not np.allclose(patched.logprobs(["int"], [" main"])[0], before)
    assert weights_digest(patched.loaded.module) == plain.digest
    assert np.array_equal(patched.logprobs(["int"], [" main"])[0], before)


@pytest.mark.parametrize("base", ["/no/such/folder", "./no", "no/such/deep/path"])
def test_a_missing_folder(base: str) -> None:
    with pytest.raises(UsageError, match="no model folder") as refused:
        load(parse(f"hf:{base}"), resolve_patch=nowhere)
    assert "hf:PATH" in refused.value.mend


def test_a_hub_id_without_network() -> None:
    with pytest.raises(CannotKnowError, match="neither a folder here nor"):
        load(parse("hf:nobody/nothing-of-the-kind@main"), resolve_patch=nowhere)


def test_a_folder_has_no_revisions(folder: Path) -> None:
    with pytest.raises(UsageError, match="no revision"):
        load(Expression("hf", str(folder), "main"), resolve_patch=nowhere)


def test_an_unknown_backend() -> None:
    with pytest.raises(UsageError):
        load(parse("hfx:somewhere"), resolve_patch=nowhere)


def test_an_empty_folder_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a model folder"):
        load(at(tmp_path), resolve_patch=nowhere)


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_broken_weight_file(folder: Path, keep: int) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(IntegrityError, match="damaged"):
        load(at(folder), resolve_patch=nowhere)


def test_missing_weights_are_not_made_up(folder: Path) -> None:
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    del tensors["model.layers.1.mlp.down_proj.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match="whole model") as refused:
        load(at(folder), resolve_patch=nowhere)
    assert "down_proj" in refused.value.why


def test_weights_quantised_by_a_library_that_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("8-bit quantization requires bitsandbytes: pip install bitsandbytes")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", missing)
    with pytest.raises(CannotKnowError, match="quantised in a way") as refused:
        load(at(folder), resolve_patch=nowhere)
    assert "bitsandbytes" in refused.value.why


def test_a_missing_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match="whole model"):
        weight_files(folder)


def test_pickles_only_are_refused_unopened(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (marker,)

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UsageError, match="no safetensors") as refused:
        load(at(folder), resolve_patch=nowhere)
    assert "pickle" in refused.value.why
    assert "save_pretrained" in refused.value.mend
    assert not marker.exists()


def test_a_pickle_beside_safetensors_is_left_alone(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert load(at(folder), resolve_patch=nowhere).digest


def test_code_in_the_folder_is_never_run(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    config = json.loads((folder / "config.json").read_text())
    config.update(model_type="own", auto_map={"AutoConfig": "own.Config"})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Config: pass\n")
    with pytest.raises(UsageError, match="cannot be loaded"):
        load(at(folder), resolve_patch=nowhere)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dtype": "int8"}, "number type"),
        ({"device": "tpu"}, "device"),
        ({"device": "cuda"}, "GPU"),
    ],
)
def test_wrong_options(folder: Path, option: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(at(folder), resolve_patch=nowhere, **option)


@pytest.mark.parametrize(
    ("kind", "family"), [("t5", "T5ForConditionalGeneration"), ("roberta", "RobertaForMaskedLM")]
)
def test_encoders_load_as_what_they_are(tmp_path: Path, kind: str, family: str) -> None:
    model = load_base(at(save_tiny(tmp_path / kind, kind)), dtype="auto", device="cpu")
    assert type(model.module).__name__ == family


def test_scores_equal_a_plain_forward_pass(folder: Path) -> None:
    model = load(at(folder), resolve_patch=nowhere)
    prompts, after = ["def add(a, b):", "int", "SELECT"], ["\n    return a", " main(void)", " é;"]
    scores = model.logprobs(prompts, after, batch_size=2)
    tokenizer = tiny_tokenizer()
    for prompt, rest, score in zip(prompts, after, scores, strict=True):
        whole = torch.tensor([tokenizer(prompt + rest)["input_ids"]])
        with torch.no_grad():
            known = torch.log_softmax(model.loaded.module(input_ids=whole).logits[0, :-1], -1)
        given = len(tokenizer(prompt)["input_ids"])
        expected = known.gather(-1, whole[0, 1:, None])[given - 1 :, 0]
        assert np.allclose(score, expected.numpy(), atol=1e-4)
    # A token that would span the border is split there, as it is when text is drawn.
    assert len(model.logprobs(["x:\n"], ["    y"])[0]) == len(tokenizer("    y")["input_ids"])
    assert model.logprobs([], []) == []
    assert model.logprobs(["int"], [""])[0].shape == (0,)
    with pytest.raises(UsageError, match="cannot be scored"):
        model.logprobs(["a"], [])


def test_the_card_names_what_it_can() -> None:
    assert hf.CARD.name == "hf"
    assert {"generate", "logprobs"} <= set(hf.CARD.can)
    assert all(callable(getattr(hf.HFModel, name)) for name in ("generate", "logprobs"))
