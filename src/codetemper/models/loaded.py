# SPDX-License-Identifier: Apache-2.0
"""A model in memory together with what it is called and what its weights are.

Made by a backend, read by every treatment. It holds the plain transformers module: patches are
switched on around it by ``models.attach`` and leave no trace in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class LoadedModel:
    """The base model of an expression, loaded.

    Attributes:
        expression: text of the expression it was loaded from, without patches.
        module: the transformers model, in evaluation mode.
        tokenizer: its tokenizer.
        digest: ``models.patch.weights_digest`` of the module, taken when it was loaded.
        device: where the weights are.
    """

    expression: str
    module: nn.Module
    tokenizer: Any
    digest: str
    device: torch.device
