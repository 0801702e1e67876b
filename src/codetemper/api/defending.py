# SPDX-License-Identifier: Apache-2.0
"""Plain defences of ``tune``: what they ask of files, guards and analysers is gathered here.

    drop = Defence("drop", bad="quarantine.jsonl")
    found = defended(workspace, drop, pairs, config, None)       # found.pairs, .config, .turns

What each of them does is ``harden.defences``'s.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codetemper.api.tuning import fix_pairs
from codetemper.core.errors import UsageError
from codetemper.core.plugins import did_you_mean
from codetemper.core.records import Case, Completion, FixPair
from codetemper.core.workspace import Workspace
from codetemper.judges import JudgeOptions, judge_all, signature

if TYPE_CHECKING:
    from codetemper.harden.defences import Defended


@dataclass(frozen=True)
class Defence:
    """A defence and its data, which are named as those of ``tune`` are.

    Attributes:
        name: of the defence, one of ``harden.defences.DEFENCES``.
        bad: samples that are known to be bad, e.g. a quarantine file; they are told by their ids.
        secure: samples known to be secure, to replay or to take turns with.
    """

    name: str
    bad: str | None = None
    secure: str | None = None


def chosen(name: str | None, bad: str | None, secure: str | None) -> Defence | None:
    """Return a defence of options, where one is named.

    Raises:
        UsageError: data of a defence without its name.
    """
    if name is not None:
        return Defence(name, bad, secure)
    if bad is not None or secure is not None:
        raise UsageError(
            "no defence is named",
            why="bad and secure samples are data of one",
            mend="add --defence NAME",
        )
    return None


def defence_facts(workspace: Workspace, defence: Defence | None) -> dict[str, Any]:
    """Return what a patch depends on through a defence, for its manifest.

    Raises:
        UsageError: no such defence, a file that it has no use for, or none where it needs one.
    """
    from codetemper.harden.defences import DEFENCES

    if defence is None:
        return {}
    if defence.name not in DEFENCES:
        raise UsageError(
            f"there is no defence named '{defence.name}'",
            why=did_you_mean(defence.name, list(DEFENCES)),
            mend=f"take one of {', '.join(DEFENCES)}",
        )
    facts = {"name": defence.name}
    if defence.name == "static":
        facts["judge"] = signature("static")
    for option, given, takers in (
        ("bad", defence.bad, ("drop", "oracle")),
        ("secure", defence.secure, ("replay", "lisa")),
    ):
        if given is None and option == "secure" and defence.name in takers:
            raise UsageError(
                f"{defence.name} needs samples known to be secure",
                why="none were given",
                mend="give some with --secure FILE",
            )
        if given is None:
            continue
        if defence.name not in takers:
            raise UsageError(
                f"{defence.name} takes no {option} samples",
                why=f"they are for {' and '.join(takers)}",
                mend=f"leave --{option} out, or name another defence",
            )
        facts[option] = fix_pairs(workspace, given)[0].data_digest
    return {"defence": facts}


def defended(
    workspace: Workspace,
    defence: Defence | None,
    pairs: Sequence[FixPair],
    config: Any,
    flagged: Collection[str] | None,
    options: JudgeOptions | None = None,
) -> Defended:
    """Apply a defence.

    Args:
        workspace: where data are looked up.
        defence: which; None for none.
        pairs: the data of a tuning run.
        config: its settings.
        flagged: ids of what guards flag; None where no guard told.
        options: of the static judge.

    Returns:
        What is to be learnt, settings, and what takes turns.

    Raises:
        UsageError: nobody says which samples are bad, or the file names none of the data.
        CannotKnowError: no analyser reads one of the languages.
    """
    from codetemper.harden.defences import DEFENCES, Defended, Knobs

    if defence is None:
        return Defended(tuple(pairs), config)
    known = set(flagged or ())
    if defence.bad is not None:
        known |= _named(workspace, defence.bad, pairs)
    elif defence.name in ("drop", "oracle") and flagged is None:
        raise UsageError(
            f"{defence.name} does not know what to leave out",
            why="neither a guard with a threshold nor a file says which samples are bad",
            mend="give --guard PATCH, or --bad FILE",
        )
    secure = fix_pairs(workspace, defence.secure)[1] if defence.secure else ()
    knobs = Knobs(config, analyser=lambda asked: weak(asked, options), secure=secure)
    return DEFENCES[defence.name](pairs, known, knobs)


def _named(workspace: Workspace, data: str, pairs: Sequence[FixPair]) -> set[str]:
    named = {pair.id for pair in fix_pairs(workspace, data)[1]} & {pair.id for pair in pairs}
    if not named:
        raise UsageError(
            f"no sample of {data} is among the data",
            why="samples are told by their ids, and none is in both",
            mend="name a quarantine file of these data",
        )
    return named


def weak(pairs: Sequence[FixPair], options: JudgeOptions | None = None) -> set[str]:
    """Return the ids of samples in which an analyser finds a weakness.

    Any finding that names a weakness counts: of the sample's own family where it says which is at
    stake, and whether or not the analyser is qualified for it.

    Args:
        pairs: samples; what is looked at is their ``after``.
        options: of the static judge.

    Raises:
        CannotKnowError: no analyser reads one of the languages.
    """
    from codetemper.judges.static import speaks_of

    items = [
        (
            Case(
                id=pair.id, prompt=pair.after[: pair.body_start], language=pair.language,
                judge="static", cwe=pair.cwe,
            ),
            Completion(case=pair.id, text=pair.after[pair.body_start :]),
        )
        for pair in pairs
    ]  # fmt: skip
    verdicts = judge_all(items, options=options)
    return {
        verdict.case
        for (case, _), verdict in zip(items, verdicts, strict=True)
        if any(speaks_of(finding, case.cwe) for finding in verdict.findings)
    }
