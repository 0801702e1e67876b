# SPDX-License-Identifier: Apache-2.0
r"""The white-box backend: any model transformers can load, from a folder or the hub.

    with load(parse("seedling+tune-7f3a9c"), resolve_patch=workspace_patch) as model:
        model.generate(["def add(a, b):"], Sampling(n=10), stops=[("\ndef ",)])
        model.logprobs(["def add(a, b):"], [" return a + b"])

The patches of the expression are attached while the model is open and come off when it is closed;
``model.loaded`` is the plain base for treatments, which attach what they need themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from codetemper.backends.card import BackendCard
from codetemper.backends.generation import generate
from codetemper.backends.hf_load import load_base
from codetemper.backends.scoring import logprobs
from codetemper.core.digests import digest_json
from codetemper.core.records import Completion, OnEvent, Sampling, ignore_events
from codetemper.models.attach import attached
from codetemper.models.expression import Expression
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest

CARD = BackendCard(
    name="hf",
    summary="Hugging Face models in this process, by folder or hub id; safetensors only.",
    needs=("hf",),
    can=("generate", "logprobs", "activations", "weights", "gradients"),
)


class HFModel:
    """A base with its patches on.

    Attributes:
        loaded: the base: module, tokenizer, digest of its weights.
        expression: what was asked for, patches by their full ids.
        digest: names the weights and the patches together.
    """

    def __init__(
        self, loaded: LoadedModel, expression: Expression, patches: Sequence[Path]
    ) -> None:
        self._scope = ExitStack()
        self.loaded, self.expression = loaded, expression
        self.digest = loaded.digest
        if patches:
            self._scope.enter_context(attached(loaded, *patches))
            files = [load_manifest(folder).files for folder in patches]
            self.digest = digest_json({"base": loaded.digest, "patches": files})

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        *,
        stops: Sequence[Sequence[str]] | None = None,
        batch_size: int = 64,
        on_event: OnEvent = ignore_events,
    ) -> list[list[Completion]]:
        """Write ``sampling.n`` completions of each prompt; see ``generation.generate``."""
        module, tokenizer = self.loaded.module, self.loaded.tokenizer
        return generate(
            module, tokenizer, prompts, sampling, stops, batch_size=batch_size, on_event=on_event
        )

    def logprobs(
        self, prompts: Sequence[str], continuations: Sequence[str], *, batch_size: int = 16
    ) -> list[npt.NDArray[np.float64]]:
        """Score continuations, in nats a token; see ``scoring.logprobs``."""
        module, tokenizer = self.loaded.module, self.loaded.tokenizer
        return logprobs(module, tokenizer, prompts, continuations, batch_size=batch_size)

    def close(self) -> None:
        """Take the patches off; ``loaded`` is the plain base afterwards. May be called twice."""
        self._scope.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def load(
    expression: Expression,
    *,
    resolve_patch: Callable[[str], Path],
    dtype: str = "auto",
    device: str = "cpu",
) -> HFModel:
    """Load a model and attach the patches its expression names.

    Args:
        expression: backend ``hf`` or ``seedling``.
        resolve_patch: finds the folder of a patch by its id or a prefix of it.
        dtype: type of the weights in memory; see ``hf_load.load_base``.
        device: where they go.

    Raises:
        UsageError, IntegrityError, CannotKnowError: as ``hf_load.load_base`` and ``attached``.
    """
    folders = [resolve_patch(patch) for patch in expression.patches]
    ids = tuple(load_manifest(folder).id for folder in folders)
    loaded = load_base(expression, dtype=dtype, device=device)
    full = Expression(expression.backend, expression.base, expression.revision, ids)
    return HFModel(loaded, full, folders)
