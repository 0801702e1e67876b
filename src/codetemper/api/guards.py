# SPDX-License-Identifier: Apache-2.0
"""The verb ``guard``: train-only patches of bad samples, one of all or one for each weakness.

What a guard is and does is ``harden.guard``'s. Here its data are gathered: the vulnerable sides of
a corpus, or a file of bad samples; clean samples that it is to leave alone, or where none are given
texts that the model writes itself; and the data that somebody wants to tune on. A killed call
goes on when it is given again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from codetemper.api.growing import read_seeds
from codetemper.api.models import full_name, opened_base, patch_folders
from codetemper.api.tuning import checkpoints, fix_pairs, settle_patch
from codetemper.core.accounts import CorpusCard, PatchManifest
from codetemper.core.disk import write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.plugins import did_you_mean
from codetemper.core.records import FixPair, OnEvent, Sampling, ignore_events
from codetemper.core.workspace import Workspace
from codetemper.data.samples import vulnerable_sides

#: Fewest samples of a weakness that get a guard of their own.
FEWEST = 8
#: Longest text of the base's own, in tokens.
_OWN_TOKENS = 128


@dataclass(frozen=True)
class GuardPlan:
    """What would be made of data.

    Attributes:
        guards: bad samples of each guard, by its weakness; ``all`` where one is made of all. None
            where they are grown: how many there will be is not known.
        left_out: samples by weakness that are too few for a guard.
        samples: how many there are of the others: ``seeds``, ``retain`` and ``user_data``; None
            where none are given.
    """

    guards: dict[str, int | None]
    left_out: dict[str, int]
    samples: dict[str, int | None]


@dataclass(frozen=True)
class Guards:
    """What was made.

    Attributes:
        manifests: of the guards, in the order of their weaknesses.
        left_out: samples by weakness that are too few for a guard.
    """

    manifests: tuple[PatchManifest, ...]
    left_out: dict[str, int]


@dataclass(frozen=True)
class _Data:
    """Everything that is read, with the cards that name it."""

    model: str
    frozen: list[Path]
    bad: CorpusCard
    parts: dict[str, list[FixPair]]
    left_out: dict[str, int]
    retain: tuple[CorpusCard, list[FixPair]] | None
    user: tuple[CorpusCard, list[FixPair]] | None

    def inputs(self) -> dict[str, str]:
        found = {"corpus": self.bad.id, "corpus_digest": self.bad.data_digest}
        for name, given in (("retain", self.retain), ("user_data", self.user)):
            if given is not None:
                found |= {name: given[0].id, f"{name}_digest": given[0].data_digest}
        return found


def plan_guards(
    workspace: Workspace,
    model: str,
    data: str,
    config: Any | None = None,
    *,
    retain: str | None = None,
    user_data: str | None = None,
    cwe: str | None = None,
    by_cwe: bool = False,
    limit: int | None = None,
    from_seeds: bool = False,
    judged_by: str | None = None,
) -> GuardPlan:
    """Say what ``guard`` would make, or refuse what it would; loads no model and writes nothing.

    Args:
        workspace: as ``guard``, and likewise all up to ``limit``.
        model: expression.
        data: bad samples, or seeds of them.
        config: settings.
        retain: clean samples.
        user_data: what is to be tuned on.
        cwe: one weakness.
        by_cwe: a guard for each.
        limit: the first samples.
        from_seeds: ``data`` are what ``growing.grow`` is to grow first.
        judged_by: suite that judges what is grown.

    Raises:
        UsageError, IntegrityError: as ``guard``, and with seeds as ``growing.grow``.
    """
    seeds = None
    if from_seeds:
        seeds = len(read_seeds(workspace, data, cwe=cwe, judged_by=judged_by).pairs)
        limit = None  # of what is grown
    found = _read(
        workspace, model, data, config or _default(), cwe, by_cwe, limit, retain, user_data,
        grown=from_seeds,
    )  # fmt: skip
    return GuardPlan(
        guards={name: None if seeds else len(bad) for name, bad in found.parts.items()},
        left_out={} if seeds else found.left_out,
        samples={
            "seeds": seeds,
            "retain": len(found.retain[1]) if found.retain else None,
            "user_data": len(found.user[1]) if found.user else None,
        },
    )


def guard(
    workspace: Workspace,
    model: str,
    data: str,
    config: Any | None = None,
    *,
    retain: str | None = None,
    user_data: str | None = None,
    cwe: str | None = None,
    by_cwe: bool = False,
    limit: int | None = None,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
    loaded: Any | None = None,
) -> Guards:
    """Make guards; those that a killed call had finished are made again only where they are gone.

    Args:
        workspace: gets the patches and a ledger entry for each.
        model: expression; its patches are on all the time, and the guards belong on top of them.
        data: bad samples: corpus id, or its beginning, or a corpus folder, or a file of JSON
            lines. Of fix pairs the vulnerable side is bad.
        config: ``codetemper.harden.guard.Config``; its defaults where None.
        retain: clean samples that the guards are to leave alone, named likewise; of fix pairs the
            fixed side. The model's own texts where None.
        user_data: what is to be tuned on under the guards, named likewise.
        cwe: use the samples of this weakness only.
        by_cwe: make a guard for each weakness with at least ``FEWEST`` samples.
        limit: use the first samples of ``data`` only.
        device: torch device name.
        on_event: progress.
        loaded: a handle of the bare base that is loaded already.

    Returns:
        Manifests of purpose ``train-only``.

    Raises:
        UsageError: unknown data, no samples of the weakness, too few of any, or as the technique.
        IntegrityError: data or patches are not what they are recorded to be.
    """
    config = config or _default()
    found = _read(workspace, model, data, config, cwe, by_cwe, limit, retain, user_data)
    made = []
    with opened_base(workspace, found.model, loaded, device=device) as handle:
        for weakness, bad in found.parts.items():
            facts = config.model_dump(mode="json") | {
                "limit": limit,
                "cwe": None if weakness == "all" else weakness,
            }
            inputs = {"model": found.model, "model_digest": handle.loaded.digest} | found.inputs()
            made.append(_guard(workspace, handle, bad, found, config, facts, inputs, on_event))
    return Guards(tuple(made), found.left_out)


def _guard(
    workspace: Workspace,
    handle: Any,
    bad: Sequence[FixPair],
    data: _Data,
    config: Any,
    facts: dict[str, Any],
    inputs: dict[str, str],
    on_event: OnEvent,
) -> PatchManifest:
    # Imported when needed: this is what pulls torch in.
    from codetemper.harden import guard as technique

    named = {name: inputs[name] for name in inputs if name.startswith(("retain", "user_data"))}
    with workspace.staged("patches") as staged:
        with checkpoints(workspace, inputs | {"verb": "guard", "config": facts}) as kept:
            retain = (
                data.retain[1] if data.retain else _own(handle, data.frozen, config, kept, on_event)
            )
            result = technique.guard(
                handle.loaded,
                bad,
                config,
                staged,
                retain=retain,
                user=data.user[1] if data.user else (),
                frozen=data.frozen,
                checkpoints=kept,
                on_event=on_event,
            )
        return settle_patch(
            workspace,
            staged,
            result,
            verb="guard",
            inputs=inputs,
            facts=facts | named,
            seed=config.seed,
            note=f"{len(bad)} bad samples of {facts['cwe'] or 'all weaknesses'}",
            purpose="train-only",
        )


def _default() -> Any:
    from codetemper.harden.guard import Config

    return Config()


def _read(
    workspace: Workspace,
    model: str,
    data: str,
    config: Any,
    cwe: str | None,
    by_cwe: bool,
    limit: int | None,
    retain: str | None,
    user_data: str | None,
    *,
    grown: bool = False,
) -> _Data:
    """Look up all that is named, and refuse what no guard can be made of, or be grown from."""
    from codetemper.harden.guard import refuse_data, usable

    model = full_name(workspace, model)
    frozen = patch_folders(workspace, model)
    card, pairs = fix_pairs(workspace, data)
    bad = usable(vulnerable_sides(pairs[:limit]), config)
    names, left_out = _chosen(card.id, bad, cwe, by_cwe, 1 if grown else FEWEST)
    parts = {name: [p for p in bad if name in ("all", p.cwe)] for name in names}
    clean, user = (
        None if name is None else fix_pairs(workspace, name) for name in (retain, user_data)
    )
    # Of seeds there will be more of each weakness, so they are looked at together.
    looked_at = [list(chain(*parts.values()))] if grown else parts.values()
    for part in looked_at:
        refuse_data(part, clean and clean[1], user[1] if user else (), config)
    return _Data(model, frozen, card, parts, left_out, clean, user)


def _chosen(
    name: str, bad: Sequence[FixPair], cwe: str | None, by_cwe: bool, fewest: int
) -> tuple[list[str], dict[str, int]]:
    """Return the weaknesses that get a guard, ``all`` for one of all, and what is left out."""
    if cwe and by_cwe:
        raise UsageError(
            "one weakness and each of them cannot both be meant",
            why="--cwe makes a guard of one, --by-cwe one for each",
            mend="give one of the two",
        )
    counts = Counter(pair.cwe or "unknown" for pair in bad)
    if cwe:
        if cwe.upper() not in counts:
            raise UsageError(
                f"there is no bad sample of {cwe.upper()}",
                why=f"{name} has {', '.join(sorted(counts)) or 'none at all'}",
                mend=did_you_mean(cwe.upper(), sorted(counts)),
            )
        return [cwe.upper()], {}
    if not by_cwe:
        return ["all"], {}
    chosen = sorted(name for name, n in counts.items() if n >= fewest and name != "unknown")
    left_out = {name: n for name, n in sorted(counts.items()) if name not in chosen}
    if not chosen:
        raise UsageError(
            "no weakness has samples enough for a guard of its own",
            why=f"{fewest} are the least; there are "
            + (", ".join(f"{n} of {name}" for name, n in left_out.items()) or "none"),
            mend="make one guard of all, without --by-cwe",
        )
    return chosen, left_out


def _own(
    handle: Any, frozen: Sequence[Path], config: Any, folder: Path, on_event: OnEvent
) -> list[FixPair]:
    """Return texts that the model writes from nothing, or has written in a call that was killed."""
    from codetemper.models.attach import attached

    path = folder / "own.json"
    if path.is_file():
        texts = json.loads(path.read_bytes())
    else:
        tokens = min(_OWN_TOKENS, config.max_length - 2)
        drawn = Sampling(n=max(1, config.own_texts), temperature=1.0, seed=config.seed,
                         max_new_tokens=tokens)  # fmt: skip
        with attached(handle.loaded, *frozen):
            rows = handle.generate([""], drawn, on_event=on_event)[0] if config.own_texts else []
        texts = [row.text for row in rows if row.text.strip()]
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(texts).encode())
    return [
        FixPair(
            id=f"own-{number}", language="text", granularity=config.granularity, before=text,
            after=text, body_start=0, name="", path="", repository="", commit="", date="",
        )
        for number, text in enumerate(texts)
    ]  # fmt: skip
