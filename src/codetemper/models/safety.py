# SPDX-License-Identifier: Apache-2.0
"""What the files of a model would do when they are opened, told without opening them.

    for finding in inspect_files(folder):
        finding.severity, finding.path, finding.rule, finding.message

Pickles are read as lists of opcodes and never unpickled, under whatever name they lie there; of
safetensors the header is read before anything trusts its length; configurations and chat templates
are searched for code that a loader would run. Learned behaviour is not looked at: a folder without
findings may hold a poisoned model, and a model that is clean may lie beside a bad file.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Finding
from codetemper.models.patch import PICKLE_ENDINGS, check_tensors
from codetemper.models.pickle_opcodes import PickleReading, read_pickle

#: Longest header that the safetensors library reads, in bytes.
_LONGEST_HEADER = 100_000_000
#: Longest configuration that is read.
_LONGEST_CONFIG = 1 << 24
#: Members of an archive that are looked at; more than any model has.
_MEMBERS = 100_000

_ZIP, _NUMPY = b"PK\x03\x04", b"\x93NUMPY"
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-zip",
    b"\x78\x9c": "zlib",
    b"\x78\x01": "zlib",
    b"\x78\xda": "zlib",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstandard",
}
_OTHER = {".h5": "HDF5", ".keras": "Keras", ".hdf5": "HDF5", ".pb": "TensorFlow"}
_CODE_KEYS = ("auto_map", "custom_pipelines")
#: What a chat template has no use for: Python's own attributes, and filters that fetch them.
_INTERNALS = re.compile(r"__\w+__|\|\s*attr\b|\bcycler\b|\bjoiner\b|\blipsum\b")


def inspect_files(folder: Path) -> tuple[Finding, ...]:
    """Look through a model's or a patch's folder before anything in it is loaded.

    Args:
        folder: the folder; files below it count too.

    Returns:
        Findings, errors first, then by path. ``error``: code would run, or a file is not what it
        says. ``warning``: a loader that trusts the folder would run code. ``note``: a file that is
        not looked into.

    Raises:
        UsageError: no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder} cannot be looked through",
            why="it is no folder" if folder.exists() else "there is no such folder",
            mend="give the folder of a model or a patch",
        )
    found: list[Finding] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        try:
            found += _file(path, name)
        except OSError as error:
            found.append(_finding("file:unreadable", f"it cannot be read: {error}", name))
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda each: (order[each.severity], each.path or "")))


def _file(path: Path, name: str) -> Iterator[Finding]:
    ending = path.suffix.lower()
    if ending == ".safetensors":
        yield from _tensors(path, name)
    elif ending in (".json", ".jinja"):
        yield from _configuration(path, name)
    elif ending == ".py":
        yield _finding("code:file", "source code; nothing here runs it", name, "warning")
    elif ending in _OTHER:
        yield _finding("file:form", f"{_OTHER[ending]} files are not looked into", name, "note")
    yield from _pickles(path, name, meant=ending in PICKLE_ENDINGS)


def _tensors(path: Path, name: str) -> Iterator[Finding]:
    """Check a header by hand as far as its length and names go, then let the library check all."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8 or length > _LONGEST_HEADER:
            said = f"its header says {length} bytes, in a file of {size}"
            yield _finding("safetensors:header", said, name)
            return
        header = file.read(length)
    twice: list[str] = []

    def pairs(fields: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [key for key, _ in fields]
        twice.extend(sorted({key for key in names if names.count(key) > 1}) if names else [])
        return dict(fields)

    try:
        json.loads(header, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        yield _finding("safetensors:header", f"its header is not JSON: {error}", name)
        return
    if twice:
        said = f"its header names {twice[0]!r} twice: readers need not take the same"
        yield _finding("safetensors:header", said, name)
    try:
        check_tensors(path)
    except IntegrityError as error:
        yield _finding("safetensors:tensors", error.why, name)


def _configuration(path: Path, name: str) -> Iterator[Finding]:
    wanted = path.name.endswith(("config.json", ".index.json", "chat_template.json"))
    if path.suffix == ".json" and not wanted:
        return
    if path.stat().st_size > _LONGEST_CONFIG:
        yield _finding("config:size", f"more than {_LONGEST_CONFIG >> 20} MiB, not read", name)
        return
    data = path.read_bytes()
    if path.suffix == ".jinja":
        yield from _template(data.decode(errors="replace"), name)
        return
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        yield _finding("config:broken", f"it is not JSON: {error}", name)
        return
    for key, value in _fields(config):
        if key in _CODE_KEYS and value:
            yield from _custom_code(key, value, name)
        elif key == "trust_remote_code" and value:
            said = "it asks its loader to run code of the model's folder"
            yield _finding("config:trust-remote-code", said, name)
        elif key in ("chat_template", "template") and isinstance(value, str):
            yield from _template(value, name)
        elif key == "weight_map" and isinstance(value, dict):
            yield from _outside(value.values(), name)


def _fields(config: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value.items()
            left += value.values()
        elif isinstance(value, list):
            left += value


def _custom_code(key: str, value: Any, name: str) -> Iterator[Finding]:
    entries = value.items() if isinstance(value, dict) else [(key, value)]
    for slot, target in entries:
        for each in target if isinstance(target, list) else [target]:
            if each is None:
                continue
            repository, apart, code = str(each).rpartition("--")
            origin = f" of the repository {repository}" if apart else " of this folder"
            said = f"{slot} is {code}{origin}: a loader that trusts remote code runs it"
            yield _finding(f"config:{key.replace('_', '-')}", said, name)


def _template(text: str, name: str) -> Iterator[Finding]:
    found = _INTERNALS.search(text)
    if found:
        said = f"its chat template reaches for {found[0]!r}, which leads out of the template"
        yield _finding("template:internals", said, name)


def _outside(files: Iterable[Any], name: str) -> Iterator[Finding]:
    for each in sorted({str(file) for file in files}):
        if Path(each).is_absolute() or ".." in Path(each).parts:
            yield _finding("index:path", f"it names {each}, outside of its folder", name)


def _pickles(path: Path, name: str, *, meant: bool) -> Iterator[Finding]:
    """Read what is a pickle by its name or by its first bytes."""
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        packed = next((form for magic, form in _PACKED.items() if head.startswith(magic)), None)
        if head.startswith(_ZIP):
            yield from _archive(path, name, meant=meant)
        elif head.startswith(_NUMPY):
            yield from _array(file, name)
        elif packed and meant:
            said = f"a pickle by its name, packed with {packed}: what it would run is not known"
            yield _finding("pickle:packed", said, name)
        elif meant or head[:1] == b"\x80":
            yield from _opcodes(read_pickle(file), name, meant=meant)


def _archive(path: Path, name: str, *, meant: bool) -> Iterator[Finding]:
    """Read the pickles in an archive: torch's ``data.pkl``, the arrays of numpy's ``.npz``."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist()[:_MEMBERS]:
                inner = f"{name}/{member.filename}"
                with archive.open(member) as file:
                    head = file.read(6)
                with archive.open(member) as file:
                    if head == _NUMPY:
                        yield from _array(file, inner)
                    elif Path(member.filename).suffix.lower() in PICKLE_ENDINGS:
                        yield from _opcodes(read_pickle(file), inner, meant=True)
                    elif head[:1] == b"\x80":
                        yield from _opcodes(read_pickle(file), inner, meant=False)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        if meant:
            said = f"a pickle by its name, in an archive that cannot be read: {error}"
            yield _finding("pickle:packed", said, name)


def _array(file: IO[bytes], name: str) -> Iterator[Finding]:
    """Read a numpy file: one of objects has a pickle after its header."""
    head = file.read(8)
    length = int.from_bytes(file.read(2 if head[6:7] == b"\x01" else 4), "little")
    if length > _LONGEST_CONFIG:
        yield _finding("numpy:header", f"its header says {length} bytes", name)
        return
    try:
        header = ast.literal_eval(file.read(length).decode("latin-1").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        yield _finding("numpy:header", f"its header is broken: {error}", name)
        return
    if "O" in str(header.get("descr") if isinstance(header, dict) else header):
        yield from _opcodes(read_pickle(file), name, meant=True)


def _opcodes(reading: PickleReading, name: str, *, meant: bool) -> Iterator[Finding]:
    if not meant and not reading.imports and not (reading.whole and reading.opcodes > 2):
        return
    for each in reading.imports:
        if not each.harmless:
            call = f", called by {each.called}" if each.called else ""
            said = f"{each.opcode} at byte {each.position} fetches {each.name}{call}"
            yield _finding("pickle:import", said, name)
    if not reading.whole:
        said = f"a pickle that breaks off after {reading.opcodes} opcodes: {reading.why}"
        yield _finding("pickle:broken", said, name)
    elif all(each.harmless for each in reading.imports):
        said = "a pickle; it fetches nothing but what rebuilds tensors, and is not opened"
        yield _finding("pickle:tensors", said, name, "warning")


def _finding(rule: str, message: str, path: str, severity: Any = "error") -> Finding:
    return Finding(rule=rule, message=message, path=path, severity=severity)
