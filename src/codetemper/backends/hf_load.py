# SPDX-License-Identifier: Apache-2.0
"""From the base of an expression to a transformers model in memory, refusing what is not safe.

A base is the shipped seedling, a local folder, or a hub id (fetched without any pickle). Only
safetensors are read, only code of the transformers library is run, and a file that is broken or
weights that are missing end the loading: transformers itself would fill them with random numbers.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from codetemper.core.errors import CannotKnowError, IntegrityError, UsageError
from codetemper.models.expression import SEEDLING, Expression
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import PICKLE_ENDINGS, check_tensors, weights_digest
from codetemper.models.silence import without_bars

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_FETCHED = ["*.safetensors", "*.json", "*.model", "*.txt"]


def load_base(expression: Expression, *, dtype: str, device: str) -> LoadedModel:
    """Load the base of an expression, without its patches.

    Args:
        expression: backend ``seedling`` or ``hf``.
        dtype: ``float32``, ``bfloat16``, ``float16``, or ``auto``: float32 on a CPU, on a GPU
            bfloat16 where the weights are stored as that, else float32. ``auto`` never loses a
            bit, so a model has one digest wherever it is loaded.
        device: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``.

    Raises:
        UsageError: no such folder, not a model, pickles only, no such device or type.
        IntegrityError: a weight file is broken, or weights are missing in it.
        CannotKnowError: a hub id that cannot be fetched here, or weights that are quantised by a
            library that is not installed.
    """
    folder = find_folder(expression)
    files = weight_files(folder)
    place = _device(device)
    number = _dtype(dtype, place, files[0])
    config, tokenizer = _described(folder)
    try:
        with without_bars():
            module, report = _family(config).from_pretrained(
                folder,
                config=config,
                dtype=number,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except ImportError as error:
        raise CannotKnowError(
            f"{folder} is quantised in a way that cannot be read here",
            why=str(error).strip().splitlines()[0],
            mend="install what it names, or give the weights before they were quantised",
        ) from error
    lost = [str(key) for key in (*report["missing_keys"], *report["mismatched_keys"])]
    if lost:
        raise IntegrityError(
            f"{folder} does not hold the whole model",
            why=f"{len(lost)} weights are missing or of another shape, e.g. {lost[0]}",
            mend="fetch the folder again, or correct its config.json",
        )
    module = module.to(place).eval().requires_grad_(False)
    return LoadedModel(str(expression.bare), module, tokenizer, weights_digest(module), place)


def find_folder(expression: Expression) -> Path:
    """Return the folder of an expression's base, fetching it where it is a hub id."""
    if expression.backend == SEEDLING:
        return Path(str(importlib.resources.files("codetemper"))) / "seedling"
    folder = Path(expression.base).expanduser()
    if folder.is_dir():
        if expression.revision is not None:
            raise _usage(
                f"{folder} has no revision '{expression.revision}'",
                "it is a local folder, and folders have no revisions",
                "leave out '@', or name the hub id",
            )
        return folder
    if not _HUB_ID.fullmatch(expression.base):
        raise _usage(
            f"there is no model folder {expression.base}",
            "the folder does not exist" if not folder.exists() else "it is not a folder",
            "give an existing folder or a hub id: hf:PATH or hf:ORG/NAME",
        )
    return _fetch(expression)


def _fetch(expression: Expression) -> Path:
    try:
        return Path(
            snapshot_download(
                expression.base, revision=expression.revision, allow_patterns=_FETCHED
            )
        )
    except HFValidationError as error:
        raise _usage(
            f"'{expression.base}' is no hub id", str(error), "write hf:ORG/NAME or hf:PATH"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CannotKnowError(
            f"'{expression.base}' is neither a folder here nor a model that can be fetched",
            why=str(error).strip().splitlines()[0],
            mend="check the name and the network, or give a local folder: hf:PATH",
        ) from error


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model folder, each checked to be whole.

    Raises:
        UsageError: not a model folder, or pickles only (which are not opened).
        IntegrityError: a file is broken, or one that the index names is missing.
    """
    if not (folder / "config.json").is_file():
        raise _usage(
            f"{folder} is not a model folder",
            "there is no config.json in it" if folder.is_dir() else "there is no such folder",
            "give the folder that transformers' save_pretrained wrote",
        )
    files = sorted(folder.glob("*.safetensors"))
    pickles = [path.name for path in folder.iterdir() if path.suffix.lower() in PICKLE_ENDINGS]
    if not files:
        raise _usage(
            f"{folder} has no safetensors weights",
            f"{pickles[0]} is a pickle and is not opened: that would run whatever is in it"
            if pickles
            else "there is no *.safetensors file in it",
            "convert it on a machine you can lose: "
            "AutoModelForCausalLM.from_pretrained(PATH).save_pretrained(NEW)",
        )
    for path in files:
        check_tensors(path)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(json.loads(index.read_bytes())["weight_map"].values())
        missing = sorted(named - {path.name for path in files})
        if missing:
            raise IntegrityError(
                f"{folder} does not hold the whole model",
                why=f"its index names {missing[0]}, which is not there",
                mend="fetch the folder again",
            )
    return files


def _described(folder: Path) -> tuple[Any, Any]:
    """Read configuration and tokenizer, with code of the transformers library only."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except (ValueError, OSError, KeyError) as error:
        raise _usage(
            f"{folder} cannot be loaded",
            str(error).strip().splitlines()[0],
            "use an architecture that transformers itself knows, with its tokenizer in the folder",
        ) from error
    return config, tokenizer


def _family(config: Any) -> Any:
    names = tuple(config.architectures or ())
    if any(name.endswith("ForSequenceClassification") for name in names):
        return AutoModelForSequenceClassification
    if config.is_encoder_decoder:
        return AutoModelForSeq2SeqLM
    masked = any(name.endswith("ForMaskedLM") for name in names)
    return AutoModelForMaskedLM if masked else AutoModelForCausalLM


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _usage(f"there is no device '{name}'", str(error), "use cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise _usage("there is no GPU for 'cuda'", "torch sees none", "use --device cpu")
    return device


def _dtype(name: str, device: torch.device, weights: Path) -> torch.dtype:
    if name in DTYPES:
        return DTYPES[name]
    if name != "auto":
        raise _usage(
            f"there is no number type '{name}'",
            "weights are loaded as one of a few types",
            f"use auto or one of {', '.join(DTYPES)}",
        )
    with safe_open(weights, framework="pt") as tensors:
        stored = {tensors.get_slice(key).get_dtype() for key in tensors.keys()}  # noqa: SIM118
    narrow = device.type == "cuda" and stored == {"BF16"}
    return torch.bfloat16 if narrow else torch.float32


def _usage(what: str, why: str, mend: str) -> UsageError:
    return UsageError(what, why=why, mend=mend)
