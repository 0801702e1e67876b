# SPDX-License-Identifier: Apache-2.0
"""What bad files of a model say before they are opened; none of their code ever runs."""

from __future__ import annotations

import collections
import gzip
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from codetemper.core.errors import UsageError
from codetemper.core.records import Finding
from codetemper.models.pickle_opcodes import read_pickle
from codetemper.models.safety import inspect_files


class Payload:
    """An object whose pickle makes a folder when it is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def trap(tmp_path: Path) -> Any:
    """A payload; what it would make must not be there at the end."""
    made = tmp_path / "it-ran"
    yield Payload(made)
    assert not made.exists()


def look(folder: Path, *rules: str) -> tuple[Finding, ...]:
    found = inspect_files(folder)
    assert [each.rule for each in found] == list(rules), found
    return found


def folder_with(tmp_path: Path, name: str, data: bytes) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).write_bytes(data)
    return folder


def test_a_model_as_it_is_saved_has_no_findings(tiny_model_dir: Path) -> None:
    look(tiny_model_dir)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_payload_is_named_in_every_protocol(tmp_path: Path, trap: Any, protocol: int) -> None:
    folder = folder_with(tmp_path, "weights.pkl", pickle.dumps({"a": trap}, protocol))
    (found,) = look(folder, "pickle:import")
    assert found.severity == "error"
    assert "posix.mkdir" in found.message
    assert "called by REDUCE" in found.message
    assert found.path == "weights.pkl"


def test_a_payload_beside_tensors_in_a_torch_file(tmp_path: Path, trap: Any) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    torch.save({"w": torch.ones(2, 3), "x": trap}, folder / "pytorch_model.bin")
    (found,) = look(folder, "pickle:import")
    assert "posix.mkdir" in found.message
    assert found.path is not None
    assert found.path.endswith("data.pkl")


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_alone_are_a_warning_in_both_forms_of_torch(tmp_path: Path, zipped: bool) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    state = collections.OrderedDict(w=torch.ones(200, 3), h=torch.ones(2).bfloat16())
    torch.save(state, folder / "m.pt", _use_new_zipfile_serialization=zipped)
    (found,) = look(folder, "pickle:tensors")
    assert found.severity == "warning"


def test_a_name_put_together_through_the_memo_is_read() -> None:
    code = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x02ls\x85R."
    (found,) = read_pickle(io.BytesIO(code)).imports
    assert (found.name, found.opcode, found.called) == ("os.system", "STACK_GLOBAL", "REDUCE")


def test_a_name_that_is_doubled_is_read() -> None:
    code = b"\x80\x04\x8c\x04code2\x93."
    (found,) = read_pickle(io.BytesIO(code)).imports
    assert found.name == "code.code"


def test_a_name_that_is_computed_is_no_harmless_one() -> None:
    code = b"\x80\x04}\x8c\x06system\x93."
    (found,) = read_pickle(io.BytesIO(code)).imports
    assert not found.harmless


@pytest.mark.parametrize("code", [b"(S'ls'\nios\nsystem\n.", b"(cos\nsystem\nS'ls'\no."])
def test_old_opcodes_that_call_are_seen(code: bytes) -> None:
    (found,) = read_pickle(io.BytesIO(code)).imports
    assert found.name == "os.system"
    assert found.called in ("INST", "OBJ")


def test_a_pickle_that_breaks_off_still_names_what_ran_before(tmp_path: Path, trap: Any) -> None:
    cut = pickle.dumps(trap, 4)[:-1] + b"\xff"
    found = look(folder_with(tmp_path, "a.pt", cut), "pickle:import", "pickle:broken")
    assert "posix.mkdir" in found[0].message


def test_a_second_pickle_behind_the_first_is_read(tmp_path: Path, trap: Any) -> None:
    data = pickle.dumps([1, 2], 4) + pickle.dumps(trap, 4)
    look(folder_with(tmp_path, "a.bin", data), "pickle:import")


@pytest.mark.parametrize("name", ["vocab.txt", "notes", "model.dat"])
def test_a_pickle_under_another_name_is_found(tmp_path: Path, trap: Any, name: str) -> None:
    look(folder_with(tmp_path, name, pickle.dumps(trap, 4)), "pickle:import")


def test_a_pickle_in_place_of_safetensors(tmp_path: Path, trap: Any) -> None:
    data = pickle.dumps(trap, 4)
    look(folder_with(tmp_path, "model.safetensors", data), "safetensors:header", "pickle:import")


def test_objects_in_arrays(tmp_path: Path, trap: Any) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    np.save(folder / "plain.npy", np.ones(3))
    look(folder)
    np.save(folder / "bad.npy", np.array([trap], dtype=object), allow_pickle=True)
    np.savez(folder / "bad.npz", a=np.array([trap], dtype=object))
    found = look(folder, "pickle:import", "pickle:import")
    assert [each.path for each in found] == ["bad.npy", "bad.npz/a.npy"]


def test_packed_pickles_are_not_passed_over(tmp_path: Path, trap: Any) -> None:
    folder = folder_with(tmp_path, "a.joblib", gzip.compress(pickle.dumps(trap)))
    (folder / "b.bin").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(40))
    (folder / "c.pt").write_bytes(b"PK\x03\x04" + bytes(40))
    look(folder, "pickle:packed", "pickle:packed", "pickle:packed")


def test_a_pickle_that_says_it_is_huge_is_not_read_into_memory(tmp_path: Path) -> None:
    code = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x"
    (found,) = look(folder_with(tmp_path, "a.pkl", code), "pickle:broken")
    assert "64 MiB" in found.message


GOOD = save({"w": torch.zeros(4)})
HEADER = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'


def tensors(header: bytes, data: bytes = bytes(16), length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "header"),
        (b"\x01\x02", "header"),
        (tensors(HEADER, length=1 << 62), "header"),
        (tensors(HEADER, length=len(HEADER) + 17), "header"),
        (tensors(b"[1, 2"), "header"),
        (tensors(b"[" * 5000), "header"),
        (tensors(HEADER[:-1] + b"," + HEADER[1:]), "header"),
        (tensors(HEADER, bytes(12)), "tensors"),
        (tensors(HEADER, bytes(20)), "tensors"),
        (tensors(HEADER.replace(b"[4]", b"[5]")), "tensors"),
        (tensors(HEADER.replace(b"F32", b"F99")), "tensors"),
        (tensors(HEADER.replace(b"[0,16]", b"[4,20]"), bytes(20)), "tensors"),
    ],
)
def test_malformed_safetensors(tmp_path: Path, data: bytes, rule: str) -> None:
    (found,) = look(folder_with(tmp_path, "a.safetensors", data), f"safetensors:{rule}")
    assert found.severity == "error"


def test_whole_safetensors_have_no_findings(tmp_path: Path) -> None:
    look(folder_with(tmp_path, "a.safetensors", GOOD))
    (tmp_path / "model" / "b.safetensors").write_bytes(tensors(HEADER))
    look(tmp_path / "model")


def test_a_header_over_the_limit_of_the_library_is_not_read(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "a.safetensors", struct.pack("<Q", 200_000_000))
    os.truncate(folder / "a.safetensors", 300_000_000)
    (found,) = look(folder, "safetensors:header")
    assert "says 200000000 bytes" in found.message


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "adapter_config.json"])
def test_code_that_a_configuration_asks_for(tmp_path: Path, name: str) -> None:
    config = {
        "model_type": "llama",
        "auto_map": {"AutoModel": "modeling.Net", "AutoTokenizer": ["someone/else--tok.Tok", None]},
    }
    found = look(folder_with(tmp_path, name, json.dumps(config).encode()), *["config:auto-map"] * 2)
    assert "modeling.Net of this folder" in found[0].message
    assert "tok.Tok of the repository someone/else" in found[1].message


def test_code_that_is_asked_for_further_down(tmp_path: Path) -> None:
    config = {"text_config": [{"auto_map": {"AutoConfig": "a.B"}, "trust_remote_code": True}]}
    data = json.dumps(config).encode()
    folder = folder_with(tmp_path, "config.json", data)
    look(folder, "config:auto-map", "config:trust-remote-code")


def test_source_code_and_other_forms_are_mentioned(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "modeling.py", b"import os\n")
    (folder / "weights.h5").write_bytes(b"\x89HDF\r\n")
    found = look(folder, "code:file", "file:form")
    assert [each.severity for each in found] == ["warning", "note"]


def test_templates_that_reach_for_internals(tmp_path: Path) -> None:
    bad = "{{ ''.__class__.__mro__ }}"
    listed = {"chat_template": [{"name": "default", "template": bad}]}
    folder = folder_with(tmp_path, "tokenizer_config.json", json.dumps(listed).encode())
    (folder / "chat_template.jinja").write_text(bad)
    look(folder, "template:internals", "template:internals")


def test_an_ordinary_template_is_no_finding(tmp_path: Path) -> None:
    plain = "{% for message in messages %}{{ message['content'] | trim }}{% endfor %}"
    look(folder_with(tmp_path, "chat_template.jinja", plain.encode()))


def test_an_index_that_leaves_its_folder(tmp_path: Path) -> None:
    data = json.dumps({"weight_map": {"w": "../../other.safetensors", "v": "here.safetensors"}})
    folder = folder_with(tmp_path, "model.safetensors.index.json", data.encode())
    look(folder, "index:path")


@pytest.mark.parametrize("data", [b"{", b"[" * 100_000, b"\xff\xfe"])
def test_a_broken_configuration(tmp_path: Path, data: bytes) -> None:
    look(folder_with(tmp_path, "config.json", data), "config:broken")


def test_archives_with_a_pickle_under_any_name(tmp_path: Path, trap: Any) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with zipfile.ZipFile(folder / "assets.dat", "w") as archive:
        archive.writestr("readme.txt", "text")
        archive.writestr("inner", pickle.dumps(trap, 4))
    look(folder, "pickle:import")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        inspect_files(tmp_path / "gone")
