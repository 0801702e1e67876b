# SPDX-License-Identifier: Apache-2.0
"""The verb ``export``: patches handed out, to be used without this package.

    export(workspace, "tune-3fa9", Path("adapter"))                 # the patch as it is
    export(workspace, "repair-5c1e", Path("adapter"), form="peft")  # changed rows as a LoRA adapter
    export(workspace, "repair-5c1e", Path("whole"), form="full")    # the whole model with the patch

What another form holds is loaded again as a stranger would, before it is handed out: a whole model
must have the weights of the patched one, bit for bit; under an adapter every answer that the patch
repaired must be right. What is not, is not exported.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from codetemper.api.account import patches
from codetemper.api.models import load_model
from codetemper.core.accounts import PatchManifest
from codetemper.core.digests import digest_folder
from codetemper.core.disk import mendable, write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.repairs import FAILURES
from codetemper.core.workspace import Workspace
from codetemper.models.expression import Expression, parse

if TYPE_CHECKING:
    from torch import nn

Form = Literal["patch", "peft", "full"]

#: File that says which patch another form was made of.
SOURCE = "codetemper.json"


@dataclass(frozen=True)
class Exported:
    """What was handed out.

    Attributes:
        manifest: of the patch.
        form: how.
        checked: what was found when it was loaded again; empty for a patch as it is.
    """

    manifest: PatchManifest
    form: Form
    checked: dict[str, Any] = field(default_factory=dict)


def export(workspace: Workspace, patch: str, target: Path, *, form: Form = "patch") -> Exported:
    """Copy a patch out, to be loaded without this package.

    As it is, a patch of kind ``adapter`` is a plain PEFT folder. One of kind ``rows`` is a state
    dict in safetensors: new values by name of the weight, and by ``NAME@index`` their places where
    they are not the whole weight (see ``models.rows_folder``).

    Args:
        workspace: holds the patch; gets a ledger entry.
        patch: id or its beginning.
        target: new folder.
        form: ``patch``, as it is; ``peft``, an adapter as it is, changed rows as a LoRA adapter of
            at most as many ranks as tokens were solved for; ``full``, the model with the changed
            rows in it.

    Raises:
        UsageError: the target exists, the patch is train-only, it holds much of a guard of this
            workspace, or it cannot have that form.
        IntegrityError: the patch is damaged, or what was written is not what it should be.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.models.patch import verify_patch

    folder = workspace.resolve("patches", patch)
    manifest = verify_patch(folder)
    if manifest.purpose == "train-only":
        raise UsageError(
            f"{manifest.id} may not leave the workspace",
            why="it is a train-only patch: attached for inference it does harm",
            mend="export the patch that was tuned with it",
        )
    if target.exists():
        raise UsageError(
            f"{target} exists already", why="export does not overwrite", mend="name a new folder"
        )
    _refuse_leaked(workspace, folder, manifest)
    writers: dict[Form, Callable[[Workspace, Path, PatchManifest, Path], dict[str, Any]]] = {
        "patch": _as_it_is,
        "peft": _as_peft,
        "full": _as_full,
    }
    # Made beside it and renamed: what is at the target is whole, whenever this is stopped.
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        mendable(target),
        tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as beside,
    ):
        made = Path(beside, "made")
        checked = writers[form](workspace, folder, manifest, made)
        made.rename(target)
    workspace.ledger.append(
        "export",
        inputs={"patch": manifest.id},
        outputs={f"export:{target}": digest_folder(target)},
        note="" if form == "patch" else f"as {form}",
    )
    return Exported(manifest, form, checked)


def _as_it_is(
    workspace: Workspace, folder: Path, manifest: PatchManifest, made: Path
) -> dict[str, Any]:
    shutil.copytree(folder, made)
    return {}


def _as_peft(
    workspace: Workspace, folder: Path, manifest: PatchManifest, made: Path
) -> dict[str, Any]:
    """Write a LoRA adapter, and look whether repaired answers are right under it."""
    from codetemper.models.factors import read_factors, write_lora

    if manifest.kind == "adapter":
        return _as_it_is(workspace, folder, manifest, made)
    under = parse(manifest.base).patches
    if under:
        raise UsageError(
            f"{manifest.id} cannot be exported as an adapter alone",
            why=f"it was made on top of {', '.join(under)}",
            mend="export the whole model: --as full, or solve repairs together: patch resolve",
        )
    factors = read_factors(folder)
    made.mkdir()
    with load_model(workspace, manifest.base) as handle:
        lost = write_lora(
            made,
            factors,
            handle.loaded.module,
            rank=max(1, int(manifest.report.get("rank", 1))),
            base=str(parse(manifest.base).bare),
        )
    _tell(made, manifest, "peft")
    checked: dict[str, Any] = {"rank": _rank(made), "change_lost": max(lost.values())}
    if (folder / FAILURES).is_file():
        checked |= _checked_answers(workspace, folder, manifest, made)
    return checked


def _as_full(
    workspace: Workspace, folder: Path, manifest: PatchManifest, made: Path
) -> dict[str, Any]:
    """Write the whole model, and load it again."""
    from codetemper.backends.hf_load import load_base
    from codetemper.models.patch import weights_digest

    expression = f"{manifest.base}+{manifest.id}"
    _refuse_adapter(manifest)
    with load_model(workspace, expression) as handle:
        module = handle.loaded.module
        if _adapted(module):
            raise UsageError(
                f"{expression} cannot be written as one model",
                why="an adapter is on it, and adapters are not merged into weights here",
                mend="export the adapter by itself, or use PEFT's merge_and_unload",
            )
        digest = weights_digest(module)
        module.save_pretrained(made)
        handle.loaded.tokenizer.save_pretrained(made)
    _tell(made, manifest, "full")
    again = load_base(Expression("hf", str(made)), dtype="auto", device="cpu")
    if again.digest != digest:
        raise IntegrityError(
            f"the model with {manifest.id} could not be written as it is",
            why="loaded again, its weights are others",
            mend="export the patch as it is",
        )
    return {"model_digest": digest}


def _checked_answers(
    workspace: Workspace, folder: Path, manifest: PatchManifest, made: Path
) -> dict[str, Any]:
    """Put the adapter on with PEFT alone, and count the repaired answers that are right."""
    from peft import PeftModel

    from codetemper.harden.repair.engine import Engine
    from codetemper.harden.repair.failures import tokens_of
    from codetemper.harden.repair.monitor import still_right
    from codetemper.harden.repair.run import failures_of
    from codetemper.models.anatomy import anatomy

    repaired = set(manifest.report.get("repaired") or ())
    failures = [failure for failure in failures_of(folder) if failure.id in repaired]
    with load_model(workspace, manifest.base) as handle:
        model = handle.loaded
        parts = anatomy(model.module)
        PeftModel.from_pretrained(model.module, made).eval()
        right = still_right(Engine(model.module, parts), tokens_of(model.tokenizer, failures))
    wrong = sorted(name for name, is_right in right.items() if not is_right)
    if wrong:
        raise UsageError(
            f"{manifest.id} cannot be exported as an adapter",
            why=f"under it {len(wrong)} of {len(right)} repaired answers are wrong again, e.g. "
            f"{wrong[0]}",
            mend="export the whole model: --as full",
        )
    return {"repaired": len(right), "right": len(right)}


def _refuse_adapter(manifest: PatchManifest) -> None:
    if manifest.kind != "rows":
        raise UsageError(
            f"{manifest.id} cannot be exported as a whole model",
            why="it is an adapter, which is a plain PEFT folder as it is",
            mend="leave out --as; PEFT's merge_and_unload makes a whole model of it",
        )


def _adapted(module: nn.Module) -> bool:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return any(isinstance(part, BaseTunerLayer) for part in module.modules())


def _tell(made: Path, manifest: PatchManifest, form: Form) -> None:
    """Write down which patch this is a form of."""
    told = manifest.model_copy(update={"report": {}}).model_dump_json(indent=1)
    write_atomic(made / SOURCE, f'{{"form": "{form}", "patch": {told}}}\n'.encode())


def _rank(made: Path) -> int:
    from codetemper.models.patch import adapter_config

    return int(adapter_config(made)["r"])


def _refuse_leaked(workspace: Workspace, folder: Path, manifest: PatchManifest) -> None:
    """Refuse a patch whose weight change projects onto a guard for the same base."""
    from codetemper.models.projection import LIMIT, needs_weights, projection

    made = [state.manifest for state in patches(workspace)]
    guards = [
        found
        for found in made
        if found.purpose == "train-only" and found.base_digest == manifest.base_digest
    ]
    if not guards:
        return
    with ExitStack() as scope:
        module = None
        if needs_weights(folder):
            handle = scope.enter_context(load_model(workspace, manifest.base))
            module = handle.loaded.module
        for guard in guards:
            share = projection(folder, workspace.patches / guard.id, module)
            if share > LIMIT:
                raise UsageError(
                    f"{manifest.id} may not leave the workspace",
                    why=f"its weight change holds {share:.0%} of {guard.id}, which writes what "
                    "training is to be kept from",
                    mend="tune again, with the guard frozen beside the task: tune --guard",
                )
