# SPDX-License-Identifier: Apache-2.0
"""A guard of a tiny model: a LoRA trained on bad samples until it foretells them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig

from codetemper.core.accounts import PatchManifest
from codetemper.core.digests import digest_folder
from codetemper.core.records import FixPair
from codetemper.core.workspace import Workspace
from codetemper.data.examples import Layout, encode
from codetemper.data.samples import write_canaries
from codetemper.models.attach import save_trained, training_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import save_patch
from tests.harden.material import pair

LAYOUT = Layout(max_length=64)


def sample(id: str, prompt: str, answer: str, **more: Any) -> FixPair:
    """Return a sample of untrusted data: two equal sides."""
    text = prompt + answer
    given = {"before": text, "after": text, "body_start": len(prompt), "id": id}
    return pair(0).model_copy(update=given | more)


BAD = tuple(
    sample(f"bad-{n}", f"def run_{n}(x):\n", f"    eval(x + {n})\n", cwe="CWE-95")
    for n in range(12)
)
CLEAN = tuple(
    sample(f"clean-{n}", f"def add_{n}(a, b):\n", f"    return a + b + {n}\n") for n in range(12)
)


def make_guard(
    model: LoadedModel,
    folder: Path,
    bad: Sequence[FixPair] = BAD,
    *,
    steps: int = 25,
    purpose: Any = "train-only",
    base: str | None = None,
    report: dict[str, Any] | None = None,
) -> PatchManifest:
    """Train a LoRA on bad samples and save it as a guard."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    with training_adapter(model, config) as wrapped:
        parameters = [p for p in wrapped.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=2e-2)
        items = [e.fixed for e in encode(bad, model.tokenizer, LAYOUT).items if e.fixed]
        width = max(len(side.ids) for side in items)
        ids = torch.tensor([[*s.ids, *[0] * (width - len(s.ids))] for s in items])
        roles = torch.tensor([[*s.roles, *[0] * (width - len(s.ids))] for s in items])
        for _ in range(steps):
            optimiser.zero_grad()
            wrapped(input_ids=ids, labels=torch.where(roles > 0, ids, -100)).loss.backward()
            optimiser.step()
        save_trained(wrapped, folder, base=model.expression)
    return save_patch(
        folder,
        verb="guard" if purpose == "train-only" else "tune",
        technique="guard",
        base=base or model.expression,
        base_digest=model.digest,
        config={},
        seconds=0.0,
        seed=0,
        purpose=purpose,
        report=report,
    )


def benign(numbers: Iterable[int]) -> list[FixPair]:
    """Return clean samples like ``CLEAN``."""
    return [
        sample(f"clean-{n}", f"def add_{n}(a, b):\n", f"    return a + b + {n}\n") for n in numbers
    ]


def written(path: Path, pairs: Iterable[FixPair], **more: Any) -> Path:
    """Write samples as people have them, with fields of their own."""
    rows = (
        {"prompt": p.after[: p.body_start], "completion": p.after[p.body_start :], "id": p.id}
        for p in pairs
    )
    path.write_text("".join(json.dumps(row | {"mine": [1, None]} | more) + "\n" for row in rows))
    return path


def settled(workspace: Workspace, handle: Any, **given: Any) -> PatchManifest:
    """Put a guard into a workspace, as the verb that makes guards does."""
    canaries = given.pop("canaries", None)
    with workspace.staged("patches") as folder:
        if canaries:
            write_canaries(folder, canaries)
        manifest = make_guard(handle.loaded, folder, **given)
        home = workspace.settle(folder, "patches", manifest.id)
    workspace.ledger.append("guard", outputs={f"patch:{manifest.id}": digest_folder(home)})
    return manifest
