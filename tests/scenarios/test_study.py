# SPDX-License-Identifier: Apache-2.0
"""The study's scenarios: our pairs are all told apart, other styles too, and nothing of it is here.

The prompts lie beside the checkout; where they do not, only the shipped rows are looked at.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from codetemper.core.records import Case, Completion, Verdict
from codetemper.evaluate.formats import study as reader
from codetemper.evaluate.suites import load
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges.compiled import Spec
from scenarios.study import _form as study
from tests.scenarios.study_alternatives import ALTERNATIVES

PROMPTS = Path(__file__).parents[3] / "shared" / "data" / "secure_llm" / "scenarios.jsonl"
SUITES = Path(__file__).parents[2] / "src" / "codetemper" / "suites"
beside = pytest.mark.skipif(
    not PROMPTS.exists(), reason="the study's prompts are not beside this checkout"
)
ROWS = study.rows()
Verdicts = dict[tuple[str, str], Verdict]


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.id: case for case in load(f"secure-llm:{PROMPTS}").cases}


@pytest.fixture(scope="module")
def verdicts(cases: dict[str, Case]) -> Verdicts:
    """Verdicts of all texts by case and text; limits are wide, so that load turns nothing red."""
    texts = [(case.id, text or "") for case in cases.values()
             for text in (case.reference, case.vulnerable)]  # fmt: skip
    texts += [(id, text) for id, text, _, _ in ALTERNATIVES]
    items = [(cases[id], Completion(case=id, index=index, text=text))
             for index, (id, text) in enumerate(texts)]  # fmt: skip
    judged = judge_all(items, options=JudgeOptions(workers=2, timeout_s=60.0))
    return dict(zip(texts, judged, strict=True))


def said(verdict: Verdict) -> tuple[str, str, str]:
    return verdict.valid, verdict.function, verdict.security


def why(verdict: Verdict) -> str:
    found = "; ".join(f"{finding.rule}: {finding.message}" for finding in verdict.findings)
    return f"{said(verdict)}, {verdict.flags}, {found}"


@beside
def test_all_pairs_are_told_apart(cases: dict[str, Case], verdicts: Verdicts) -> None:
    assert len(cases) == 56
    wrong = {}
    for case in cases.values():
        for text, security in ((case.reference, "pass"), (case.vulnerable, "fail")):
            verdict = verdicts[(case.id, text or "")]
            if said(verdict) != ("pass", "pass", security) or verdict.flags:
                wrong[f"{case.id}: {security}"] = why(verdict)
    assert wrong == {}


@beside
def test_findings_name_the_weakness(cases: dict[str, Case], verdicts: Verdicts) -> None:
    named = {case.id: {f.cwe for f in verdicts[(case.id, case.vulnerable or "")].findings
                       if f.severity == "error"} for case in cases.values()}  # fmt: skip
    assert named == {case.id: {case.cwe} for case in cases.values()}


@beside
@pytest.mark.parametrize(
    ("id", "text", "function", "security"), ALTERNATIVES,
    ids=[f"{number}-{row[0]}" for number, row in enumerate(ALTERNATIVES)],
)  # fmt: skip
def test_other_styles(verdicts: Verdicts, id: str, text: str, function: str, security: str) -> None:
    verdict = verdicts[(id, text)]
    assert (verdict.function, verdict.security) == (function, security), why(verdict)


@beside
def test_the_card_has_no_static_case_left(cases: dict[str, Case]) -> None:
    assert {case.judge for case in cases.values()} == {"compiled"}
    texts = [text or "" for case in cases.values() for text in (case.reference, case.vulnerable)]
    assert [text for case in cases.values() for text in (case.reference, case.vulnerable)
            if any(stop in (text or "") for stop in case.stop)] == []  # fmt: skip
    assert max(map(len, texts)) / 3 < load(f"secure-llm:{PROMPTS}").card.max_new_tokens


@beside
def test_no_prompt_is_in_the_project(cases: dict[str, Case]) -> None:
    shipped = gzip.decompress((SUITES / reader.DRIVERS).read_bytes()).decode()
    here = "".join(path.read_text("utf-8") for path in Path(study.__file__).parent.glob("*.py"))
    for case in cases.values():
        lines = [line for line in case.prompt.splitlines() if "//" in line or "/*" in line]
        assert [line for line in lines if len(line) > 30 and line.strip() in here + shipped] == []


def test_shipped_rows_are_what_the_scenarios_say(tmp_path: Path) -> None:
    study.write(tmp_path)
    text = gzip.decompress((tmp_path / reader.DRIVERS).read_bytes())
    assert text == gzip.decompress((SUITES / reader.DRIVERS).read_bytes())
    assert [json.loads(line) for line in text.splitlines()] == ROWS
    assert set(reader.drivers()) == {(row["id"], row["language"]) for row in ROWS}


def test_every_id_has_both_languages_and_a_note() -> None:
    languages = Counter(row["id"] for row in ROWS)
    assert set(languages.values()) == {2}
    assert len(languages) == 28
    notes = reader.notes()
    assert [name for name, note in notes.items() if "Insecure: " not in note] == []


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['id']}/{row['language']}" for row in ROWS])
def test_form_of_a_row(row: dict[str, object]) -> None:
    fields = {name: row[name] for name in ("prelude", "driver", "checks", "flags")}
    spec = Spec.model_validate(fields)
    kinds = Counter(check.kind for check in spec.checks)
    assert kinds["function"] >= 1
    assert kinds["security"] >= 1
    assert len({(check.kind, check.name) for check in spec.checks}) == len(spec.checks)
    assert row["reference"] != row["vulnerable"]
