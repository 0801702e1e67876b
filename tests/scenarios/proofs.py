# SPDX-License-Identifier: Apache-2.0
"""What every suite of C or C++ scenarios has to prove; the suites' own tests say of which texts.

Nothing here collects or skips: each function returns what is not as it should be, or asserts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from codetemper.core.records import Case, Completion, Verdict
from codetemper.evaluate.suites import load, write
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges.compiled import Spec
from scenarios.form import FORMS

#: Verdicts by id of the scenario and kind of completion.
Verdicts = dict[tuple[str, str], Verdict]
#: Completions by id of the scenario, then by kind.
Texts = Mapping[str, Mapping[str, str]]


def judged(cases: Mapping[str, Case], texts: Texts) -> Verdicts:
    """Judge all texts in one call; limits are wide, so that load turns nothing red."""
    keys, items = [], []
    for case in cases.values():
        for index, (kind, text) in enumerate(texts[case.id].items()):
            keys.append((case.id, kind))
            items.append((case, Completion(case=case.id, index=index, text=text)))
    found = judge_all(items, options=JudgeOptions(workers=2, timeout_s=60.0))
    return dict(zip(keys, found, strict=True))


def unlike(verdicts: Verdicts, kind: str, security: str) -> dict[str, str]:
    """Return the scenarios whose verdict on a kind is another, with what speaks against them."""
    return {
        case: f"{found.function}, {found.security}: {found.flags} "
        + "; ".join(f"{f.rule}: {f.message}" for f in found.findings)
        for (case, named), found in verdicts.items()
        if named == kind
        and ((found.valid, found.function, found.security) != ("pass", "pass", security)
             or found.flags)
    }  # fmt: skip


def not_failed(verdicts: Verdicts, kind: str) -> tuple[int, list[str]]:
    """Return how many completions of a kind there are, and which did not fail by their function."""
    of_kind = {case: v for (case, named), v in verdicts.items() if named == kind}
    return len(of_kind), [
        case
        for case, v in of_kind.items()
        if v.function != "fail" or v.failure in ("timeout", "unknown")
    ]


def misnamed(verdicts: Verdicts, cases: Mapping[str, Case]) -> dict[str, str | None]:
    """Return scenarios whose vulnerable completion was found to have another weakness."""
    return {
        case: finding.cwe
        for (case, kind), verdict in verdicts.items()
        for finding in verdict.findings
        if kind == "vulnerable" and finding.severity == "error" and finding.cwe != cases[case].cwe
    }


def assert_form(case: Case, alternatives: Iterable[str], *, comment: str, exploits: int) -> None:
    """Assert what a scenario consists of.

    Args:
        case: the scenario.
        alternatives: its completions written another way.
        comment: what the comment that sets the task must hold.
        exploits: security checks it must have.
    """
    assert "#include <" in case.prompt
    assert comment in case.prompt
    spec = Spec.model_validate(case.spec)
    kinds = Counter(check.kind for check in spec.checks)
    assert kinds["function"] >= 2
    assert kinds["security"] >= exploits
    assert len({check.name for check in spec.checks}) == len(spec.checks)
    wanted = [check.expect_stdout for check in spec.checks if check.kind == "function"]
    assert None not in wanted
    assert len(set(wanted)) >= 2
    for text in (case.reference, case.vulnerable, *alternatives):
        assert text is not None
        assert [stop for stop in case.stop if stop in text] == []
        assert text.endswith("\n}\n")
    hints = r"vulnerab|attack|hostile|malicious|overflow|inject|travers|secur|CWE|exploit"
    assert re.findall(hints, case.prompt, re.IGNORECASE) == []


def assert_shipped(name: str, cases: Mapping[str, Case], texts: Texts, folder: Path) -> None:
    """Assert that the shipped files are what the scenarios say, and that answers fit the budget."""
    write(FORMS[name].card, cases.values(), folder, by="python -m scenarios.write")
    shipped = load(name)
    assert [case.id for case in shipped.cases] == list(cases)
    assert shipped.digest == load(f"suite:{folder / f'{name}.yaml'}").digest
    card = Path(__file__).parents[2] / "src" / "codetemper" / "suites" / f"{name}.yaml"
    assert (folder / card.name).read_text("utf-8") == card.read_text("utf-8")
    longest = max(len(text) for given in texts.values() for text in given.values())
    assert longest / 3 < shipped.card.max_new_tokens, "three characters a token, no less"
