# SPDX-License-Identifier: Apache-2.0
"""A patch as a folder: tensors as safetensors, what says how to read them, and our manifest.

    adapter_config.json  adapter_model.safetensors  manifest.json       kind adapter: plain PEFT
    rows.json            rows.safetensors           manifest.json       kind rows

``save_patch`` completes such a folder with its manifest, ``load_manifest`` reads it,
``verify_patch`` rehashes everything and checks who signed it. ``weights_digest`` names the weights
a patch belongs to. Nothing here touches a live model's structure (that is ``attach``) and nothing
is ever unpickled: a folder with a pickle file in it is refused before any of its files is opened.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import nn

from codetemper.core.accounts import PatchManifest
from codetemper.core.contents import SIGNATURE
from codetemper.core.digests import digest_bytes, digest_file, digest_json
from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.signatures import Trust, check_signature
from codetemper.core.workspace import content_id_of, trust_at
from codetemper.models.rows_folder import ROWS_INDEX, ROWS_WEIGHTS, read_rows

MANIFEST = "manifest.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TENSORS = {"adapter": ADAPTER_WEIGHTS, "rows": ROWS_WEIGHTS}

#: File name endings that mean "running this executes code".
PICKLE_ENDINGS = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".npy", ".npz", ".mar"}
)
#: Libraries whose versions decide what a patch computes.
_VERSIONED = ("codetemper", "torch", "transformers", "peft", "safetensors")
_THREADS = 4


def tensor_digest(tensor: torch.Tensor) -> str:
    """Return the SHA-256 of a tensor's values.

    Half-precision values are hashed as the float32 numbers they are equal to, so the digest of a
    model does not depend on whether it was loaded in its stored type or widened.
    """
    plain = tensor.detach()
    if plain.dtype in (torch.float16, torch.bfloat16):
        plain = plain.to(torch.float32)
    plain = plain.cpu().contiguous().reshape(-1)
    return digest_bytes(memoryview(plain.view(torch.uint8).numpy()).cast("B"))  # type: ignore[arg-type]


def weights_digest(module: nn.Module) -> str:
    """Return one digest for all weights and persistent buffers of a module.

    It covers names, shapes and values, sorted by name; tied tensors are read once. Any changed
    bit of any weight changes it; the storage type alone (fp16, bf16 or the equal fp32) does not.
    """
    state = module.state_dict()
    places = {name: (t.data_ptr(), tuple(t.shape), tuple(t.stride())) for name, t in state.items()}
    unique = {place: state[name] for name, place in places.items()}
    with ThreadPoolExecutor(_THREADS) as pool:
        hashed = dict(zip(unique, pool.map(tensor_digest, unique.values()), strict=True))
    return digest_json(
        [[name, _kind(state[name]), list(state[name].shape), hashed[places[name]]]
         for name in sorted(state)]
    )  # fmt: skip


def _kind(tensor: torch.Tensor) -> str:
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return "float32" if half else str(tensor.dtype).removeprefix("torch.")


def refuse_pickles(folder: Path) -> None:
    """Refuse a folder that holds a pickle file, by name, without opening anything.

    Raises:
        UsageError: names the first such file.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICKLE_ENDINGS:
            raise UsageError(
                f"{path} is not opened",
                why=f"'{path.suffix}' files are pickles: opening one runs whatever is in it",
                mend="convert the weights to safetensors on a machine you can lose, "
                "and delete the file from the folder",
            )


def adapter_config(folder: Path) -> dict[str, Any]:
    """Read ``adapter_config.json`` of a PEFT folder.

    Raises:
        UsageError: no such file.
        IntegrityError: not a JSON object.
    """
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        raise UsageError(
            f"{folder} is not a PEFT adapter",
            why=f"there is no {ADAPTER_CONFIG} in it",
            mend="give the folder that peft's save_pretrained wrote",
        )
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise _broken(path, f"it is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise _broken(path, "it is not a JSON object")
    return config


def check_tensors(path: Path) -> int:
    """Check that a safetensors file is whole; return how many numbers it holds.

    Raises:
        IntegrityError: the header or the length of the file is wrong.
    """
    try:
        with safe_open(path, framework="pt") as tensors:
            return sum(_count(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _broken(path, f"it is not a whole safetensors file: {error}") from error


def _count(shape: Iterable[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def save_patch(
    folder: Path,
    *,
    verb: str,
    technique: str,
    base: str,
    base_digest: str,
    config: dict[str, Any],
    seconds: float,
    seed: int,
    corpus: str | None = None,
    corpus_digest: str | None = None,
    purpose: Literal["inference", "train-only"] = "inference",
    report: dict[str, Any] | None = None,
) -> PatchManifest:
    """Complete a folder of tensors with its manifest and so make it a patch.

    Args:
        folder: a PEFT folder, or what ``rows.write_rows`` wrote; every other file in it becomes
            part of the patch too, but a signature, which was of something else and is deleted.
        verb: the treatment; the first part of the patch's id.
        technique: the file that made it.
        base: expression of the model it was made for.
        base_digest: that model's ``weights_digest``.
        config: resolved configuration, plain JSON data.
        seconds: wall seconds the treatment took.
        seed: its seed.
        corpus: id of the training corpus.
        corpus_digest: digest of the training data.
        purpose: ``train-only`` patches may be active while training, never for inference.
        report: what was measured on the way, plain JSON data.

    Returns:
        The manifest, as written to ``manifest.json``. Making the same patch again gives the same
        id: seconds and report do not count in it.

    Raises:
        UsageError: a pickle in the folder, neither adapter nor rows, or a train-only adapter that
            carries whole modules (``modules_to_save``), which could not be switched off as a sum.
        IntegrityError: the tensors are broken.
    """
    refuse_pickles(folder)
    (folder / SIGNATURE).unlink(missing_ok=True)
    kind: Literal["adapter", "rows"] = "rows" if (folder / ROWS_INDEX).is_file() else "adapter"
    parameters = _check(folder, kind, purpose)
    files = folder_files(folder)
    manifest = PatchManifest(
        id="",
        kind=kind,
        verb=verb,
        technique=technique,
        base=base,
        base_digest=base_digest,
        corpus=corpus,
        corpus_digest=corpus_digest,
        config=config,
        purpose=purpose,
        parameters_changed=parameters,
        bytes=(folder / _TENSORS[kind]).stat().st_size,
        seconds=seconds,
        seed=seed,
        versions=library_versions(),
        files=files,
        report=report or {},
    )
    manifest = manifest.model_copy(update={"id": manifest_id(manifest)})
    write_atomic(folder / MANIFEST, _manifest_bytes(manifest))
    return manifest


def manifest_id(manifest: PatchManifest) -> str:
    """Return the id this manifest's content has; its seconds and report do not count in it."""
    return content_id_of(manifest.model_dump(mode="json"))


def _manifest_bytes(manifest: PatchManifest) -> bytes:
    return manifest.model_dump_json(indent=2).encode() + b"\n"


def folder_files(folder: Path) -> dict[str, str]:
    """Return SHA-256 by relative path of every file of a patch but manifest and signature."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    apart = (MANIFEST, SIGNATURE)
    return {name: digest_file(path) for name, path in names.items() if name not in apart}


def library_versions() -> dict[str, str]:
    """Return the installed versions of the libraries that decide what a patch computes."""
    found = {d.metadata["Name"].lower() for d in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in _VERSIONED if name in found}


def load_manifest(folder: Path) -> PatchManifest:
    """Read the manifest of a patch folder.

    Raises:
        UsageError: no folder, or no manifest in it.
        IntegrityError: the manifest is not one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(
            f"{folder} is not a patch",
            why=f"there is no {MANIFEST} in it" if folder.is_dir() else "there is no such folder",
            mend="'codetemper patch' lists the patches of the workspace",
        )
    try:
        return PatchManifest.from_json(path.read_bytes())
    except ValidationError as error:
        raise _broken(path, f"{error.error_count()} fields are wrong or missing") from error


def verify_patch(folder: Path, trust: Trust | None = None) -> PatchManifest:
    """Rehash a patch folder against its manifest, and check its signature.

    Args:
        folder: the patch.
        trust: whose signatures count; by default what the workspace says that the folder lies
            in, and nobody's elsewhere.

    Returns:
        The manifest, where every file is what it says.

    Raises:
        UsageError: not a patch, or a pickle in it (refused unopened).
        IntegrityError: a file is changed, missing or added, the tensors are broken, the id is
            not that of the content, or a signature is there or required and does not hold.
        MissingExtraError: a signature is to be checked, and the extra ``sign`` is not installed.
    """
    manifest = load_manifest(folder)
    refuse_pickles(folder)
    present = folder_files(folder)
    for name in sorted({*present, *manifest.files}):
        if name not in present:
            raise _broken(folder / name, "the manifest names it, but it is gone")
        if name not in manifest.files:
            raise _broken(folder / name, "the manifest does not know it")
        if present[name] != manifest.files[name]:
            raise _broken(folder / name, "its SHA-256 is not the one in the manifest")
    if manifest.id != manifest_id(manifest):
        raise _broken(folder / MANIFEST, "the id is not that of the content")
    if (folder / MANIFEST).read_bytes() != _manifest_bytes(manifest):
        raise _broken(folder / MANIFEST, "it is not written the way it was saved")
    _check(folder, manifest.kind, manifest.purpose)
    check_signature(folder, trust_at(folder) if trust is None else trust)
    return manifest


def _check(folder: Path, kind: Literal["adapter", "rows"], purpose: str) -> int:
    """Check the tensors of a folder and what describes them; return how many numbers change."""
    if kind == "adapter":
        _refuse_whole_modules(folder, adapter_config(folder), purpose)
        return check_tensors(folder / ADAPTER_WEIGHTS)
    check_tensors(folder / ROWS_WEIGHTS)
    return read_rows(folder).numbers


def _refuse_whole_modules(folder: Path, config: dict[str, Any], purpose: str) -> None:
    whole = config.get("modules_to_save") or config.get("trainable_token_indices")
    if purpose == "train-only" and whole:
        raise UsageError(
            f"{folder} cannot be a train-only patch",
            why=f"it carries whole modules ({whole}), which do not come off as a sum does",
            mend="train it with modules_to_save=None and without trainable tokens",
        )


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is damaged",
        why=why,
        mend="restore it from a copy, or make the patch again from the ledger's inputs",
    )
