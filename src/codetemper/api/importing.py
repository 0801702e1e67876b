# SPDX-License-Identifier: Apache-2.0
"""The verb ``patch import``: a PEFT adapter from elsewhere becomes a patch of the workspace.

    made = import_patch(workspace, "hf:./my-model", Path("downloaded"))
    made.report["warnings"]               # what its word about its base leaves open

Its two files stay byte for byte what they were, so whoever published their digests can be asked.
The patch is one like any other afterwards; nothing here says that it does no harm.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from codetemper.api.models import full_name, opened_base, patch_folders
from codetemper.api.settling import settle
from codetemper.core.accounts import PatchManifest
from codetemper.core.workspace import Workspace
from codetemper.models.expression import parse


def import_patch(
    workspace: Workspace,
    model: str,
    folder: Path,
    *,
    device: str = "cpu",
    loaded: Any | None = None,
) -> PatchManifest:
    """Make a patch of a PEFT folder; the same folder for the same model is the same patch.

    Args:
        workspace: gets the patch and a ledger entry.
        model: expression of what it goes on; its patches are under the new one.
        folder: ``adapter_config.json`` and ``adapter_model.safetensors``; others are left.
        device: torch device name.
        loaded: a handle of the bare base that is loaded already.

    Returns:
        The manifest. Its report holds ``warnings`` and the files that were left.

    Raises:
        UsageError: as ``models.foreign.take_adapter``, or names or shapes that are not those of the
            model, or patches that do not stack; nothing is kept then.
        IntegrityError: a file is not what it says, or a patch under it is damaged.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.models.attach import refuse_misfit
    from codetemper.models.foreign import take_adapter
    from codetemper.models.patch import save_patch

    begin = time.monotonic()
    model = full_name(workspace, model)
    under = patch_folders(workspace, model)
    with workspace.staged("patches") as staged:
        found = take_adapter(folder, staged)
        with opened_base(workspace, model, loaded, device=device) as handle:
            refuse_misfit(handle.loaded, staged, *under)
            digest = handle.loaded.digest
        manifest = save_patch(
            staged,
            verb="import",
            technique="importing",
            base=model,
            base_digest=digest,
            config={"form": found.form, "base_named": found.base, "revision": found.revision},
            seconds=round(time.monotonic() - begin, 3),
            seed=0,
            report={"warnings": found.doubts(parse(model)), "left_out": list(found.left_out)},
        )
        settle(
            workspace, staged, "patches", manifest.id, "import",
            inputs={"model": model, "model_digest": digest, **manifest.files},
            note=f"{found.form} of {folder.name}, {manifest.parameters_changed} parameters",
        )  # fmt: skip
    return manifest
