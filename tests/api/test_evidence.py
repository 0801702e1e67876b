# SPDX-License-Identifier: Apache-2.0
"""Qualified analysers may accuse, nobody's silence acquits, and an unfit judge gives no metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codetemper.api.evidence import add_evidence, evidence_for
from codetemper.core.records import Case, Completion, Estimate, SuiteCard, Verdict
from codetemper.evaluate.suites import Suite
from codetemper.judges import JudgeOptions, qualify

SHELL = "    import subprocess\n    subprocess.call('ls ' + name, shell=True)\n"
QUIET = "    return name.upper()\n"
SUITE = Suite(
    SuiteCard(name="toy", summary="Toy.", language="python", metrics=("secure@1",), cases="x"),
    tuple(
        Case(id=cwe, prompt="def listing(name):\n", language="python", judge="execution", cwe=cwe,
             spec={"checks": [{"name": "x", "kind": "security", "code": "result = 1",
                               "expect": 1}]})
        for cwe in ("CWE-78", "CWE-330")
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def card(**changes: Any) -> qualify.Qualification:
    """Return a card on which bandit is qualified for commands, and behaviour for nothing else."""
    share = Estimate(value=1.0, low=0.6, high=1.0, n=5)
    fields: dict[str, Any] = {
        "judge": "bandit", "kind": "static", "language": "python", "family": "CWE-78",
        "cwes": ("CWE-78",), "pairs": 5, "hits": 5, "false": 0, "apart": 5, "precision": share,
        "recall": share, "qualified": True,
    }  # fmt: skip
    rows = (
        qualify.Row(**fields | changes),
        qualify.Row(**fields | {"judge": "execution", "kind": "behaviour", "qualified": False,
                                "family": "CWE-330", "cwes": ("CWE-330",), "apart": 4}),
    )  # fmt: skip
    measured = qualify.measure([], analysers=("bandit",))
    return measured.model_copy(update={"rows": rows})


def judged(texts: dict[str, str]) -> tuple[Any, list[Verdict]]:
    completions = [Completion(case=name, text=text) for name, text in texts.items()]
    verdicts = [
        Verdict(case=name, valid="pass", function="pass", security="pass", judge="execution/3")
        for name in texts
    ]
    options = JudgeOptions()
    found = evidence_for(SUITE, options)
    return found, add_evidence(found, SUITE, completions, verdicts, options)


def test_without_a_card_behaviour_alone_decides() -> None:
    found, verdicts = judged({"CWE-78": SHELL})
    assert (found.analysers, found.unqualified, found.state) == ((), (), "")
    assert verdicts[0].security == "pass"


def test_a_qualified_analyser_accuses_in_its_own_weakness() -> None:
    qualify.store(card())
    found, verdicts = judged({"CWE-78": SHELL, "CWE-330": SHELL})
    assert found.analysers == ("bandit",)
    assert found.state
    assert [v.security for v in verdicts] == ["fail", "pass"]
    assert verdicts[0].failure == "insecure"
    assert any(f.rule.startswith("bandit:") and f.severity == "error" for f in verdicts[0].findings)


def test_silence_changes_nothing() -> None:
    qualify.store(card())
    _, verdicts = judged({"CWE-78": QUIET})
    assert verdicts[0].security == "pass"
    assert verdicts[0].findings == ()


def test_a_judge_that_failed_its_pairs_gives_no_metric() -> None:
    qualify.store(card())
    assert evidence_for(SUITE, JudgeOptions()).unqualified == ("CWE-330",)


@pytest.mark.parametrize("changes", [{"qualified": False}, {"language": "c"}])
def test_who_did_not_qualify_here_is_not_asked(changes: dict[str, Any]) -> None:
    qualify.store(card(**changes))
    assert evidence_for(SUITE, JudgeOptions()).analysers == ()


def test_behaviour_alone_on_demand() -> None:
    qualify.store(card())
    assert evidence_for(SUITE, JudgeOptions(static=False)).card is None
