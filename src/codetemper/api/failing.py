# SPDX-License-Identifier: Apache-2.0
"""Failing answers to repair: from a file, or from a run in which cases failed.

    found = failing(workspace, "failures.jsonl")      # JSON lines, see harden.repair.failures
    found = failing(workspace, "eval-3fa9")           # failing cases of a run that can be put right

Of a run, a case fails where one of its answers does not work. Its reference is the answer that
works and was drawn most, else the case's own. What differs from that in layout alone, and cases of
which nobody can tell, are left out and counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from codetemper.api.runs import read_rows, read_run
from codetemper.core.digests import digest_file, digest_json
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Verdict
from codetemper.core.repairs import Failure
from codetemper.core.workspace import Workspace
from codetemper.data.answers import answers, form_of


@dataclass(frozen=True)
class Failing:
    """Failures, and where they come from.

    Attributes:
        name: of the file, or id of the run.
        digest: of the file, or of the failures found in the run.
        failures: what is to be repaired.
        left_out: cases of the run that are not, by the reason.
        model: expression of the model that was run; None of a file.
    """

    name: str
    digest: str
    failures: tuple[Failure, ...]
    left_out: dict[str, int]
    model: str | None = None


def failing(workspace: Workspace, data: str, *, limit: int | None = None) -> Failing:
    """Read failures from a file of JSON lines, or find them in a run of the workspace.

    Args:
        workspace: where run ids are looked up.
        data: path of a file, or id of a run or its beginning.
        limit: take the first failures only.

    Raises:
        UsageError: neither file nor run, lines that are no failures, or nothing to repair.
        IntegrityError: the run cannot be read.
    """
    from codetemper.harden.repair.failures import read_failures

    path = Path(data)
    if path.is_file():
        read = read_failures(path)
        if not read:
            raise _nothing(data, "the file holds no lines")
        return Failing(path.name, digest_file(path), tuple(read[:limit]), {})
    try:
        folder = workspace.resolve("runs", data)
    except UsageError as error:
        raise UsageError(
            f"'{data}' names nothing to repair",
            why="there is no such file, and no run of this workspace is called so",
            mend="give a file of JSON lines, or the id of a run: codetemper ls runs",
        ) from error
    found, left_out = _of_run(folder)
    if not found:
        told = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "no cases"
        raise _nothing(data, f"of its cases: {told}")
    from codetemper.harden.repair.failures import refuse_twice

    refuse_twice(found)
    chosen = tuple(found[:limit])
    model = read_run(folder).scorecard.model
    digest = digest_json([failure.model_dump(mode="json") for failure in chosen])
    return Failing(folder.name, digest, chosen, left_out, model)


def _of_run(folder: Path) -> tuple[list[Failure], dict[str, int]]:
    cases = {case.id: case for case in read_rows(folder / "cases.parquet", Case)}
    completions = read_rows(folder / "completions.parquet", Completion)
    verdicts = read_rows(folder / "verdicts.parquet", Verdict)
    judged: dict[str, list[tuple[Completion, Verdict]]] = defaultdict(list)
    for completion, verdict in zip(completions, verdicts, strict=True):
        judged[completion.case].append((completion, verdict))
    found, left_out = [], Counter[str]()
    for name, samples in judged.items():
        reference, reason = _reference(cases[name], samples)
        if reason:
            left_out[reason] += 1
        else:
            prompt = cases[name].prompt
            found.append(Failure(id=name, prompt=prompt, reference=reference, case=name))
    return found, dict(left_out)


def _reference(case: Case, samples: list[tuple[Completion, Verdict]]) -> tuple[str, str]:
    """Return the answer that a failing case should get, or why it is not repaired."""
    if case.answer != "completion" or all(completion.whole for completion, _ in samples):
        return "", "answered with whole programs"
    drawn = answers(case, samples)
    wrong = [one for one in drawn if one.kind in ("broken", "weak")]
    if not wrong:
        clean = any(one.kind == "clean" for one in drawn)
        return "", "right already" if clean else "of which nobody can tell"
    right = next((one.text for one in drawn if one.kind == "clean"), case.reference)
    if not right:
        return "", "without a right answer"
    if all(one.form == form_of(case, right) for one in wrong):
        return "", "wrong in layout alone"
    return right, ""


def _nothing(data: str, why: str) -> UsageError:
    return UsageError(
        f"there is nothing to repair in {data}",
        why=why,
        mend='write lines such as {"prompt": "...", "reference": "..."}, or name a run with '
        "failing cases that have a reference",
    )
