# SPDX-License-Identifier: Apache-2.0
"""The page as a whole: its four answers, what hostile text may do (nothing), and a real browser."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from codetemper.publish.inputs import ReportInput
from codetemper.publish.report import render
from tests.publish import material

QUESTIONS = ["What is this model?", "Is it safer?", "Is it still able?", "Can I undo it?"]
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Elements(HTMLParser):
    """Collects start tags and the text of script elements, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.stack = [tag]
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.stack = []

    def handle_data(self, data: str) -> None:
        if self.stack == ["script"]:
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def report() -> ReportInput:
    return material.small_report()


@pytest.fixture(scope="module")
def page(report: ReportInput) -> str:
    return render(report)


def elements(page: str) -> Elements:
    parser = Elements()
    parser.feed(page)
    return parser


def block(page: str) -> Any:
    return json.loads(elements(page).scripts[0])


def words(page: str) -> str:
    """Return the page's text outside script and style, white space folded."""
    bare = re.sub(r"<(script|style).*?</\1>|<[^>]+>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(bare))


def test_four_questions_in_order(page: str) -> None:
    found = re.findall(r'<h2 id="\w+-title">([^<]+)</h2>', page)
    assert [name for name in found if name != "Cases"] == QUESTIONS


def test_numbers_carry_interval_and_count(report: ReportInput, page: str) -> None:
    estimate = report.suites[0].before.metrics["secure@1"]
    shown = f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}], n = {estimate.n}"
    assert shown in words(page)
    difference = report.suites[0].differences["secure@1"]
    assert f"{difference.difference:+.3f}".replace("-", "\u2212") in words(page)


def test_every_estimate_opens_its_cases(page: str) -> None:
    links = {a["href"] for tag, a in elements(page).tags if tag == "a" and a.get("class") == "open"}
    assert "#cases=world-security-python&metric=secure%401&side=after" in links
    assert "#cases=world-security-python&metric=secure%401&cwe=CWE-22&side=before" in links
    assert all(link and link.startswith("#cases=") for link in links)


def test_hostile_text_makes_no_element(page: str) -> None:
    parser = elements(page)
    assert not [tag for tag, _ in parser.tags if tag == "img"]
    assert len(parser.scripts) == 2
    assert not [a for _, a in parser.tags for name in a if name.startswith("on") or name == "style"]


def test_data_block_round_trips(report: ReportInput, page: str) -> None:
    data = block(page)
    suite, first = data["suites"][0], data["suites"][0]["cases"][0]
    assert data["texts"][first["after"][0]["t"]] == material.HOSTILE
    assert data["texts"][first["prompt"]] == report.suites[0].cases[0].prompt
    assert len(suite["cases"]) == len(report.suites[0].cases)
    for packed, case in zip(suite["cases"], report.suites[0].cases, strict=True):
        written = [c.text for c in report.suites[0].before_completions if c.case == case.id]
        assert [data["texts"][sample["t"]] for sample in packed["before"]] == written


def test_page_is_self_contained(page: str) -> None:
    parser = elements(page)
    assert not [a for _, a in parser.tags if "src" in a]
    assert not [a for tag, a in parser.tags if tag in ("link", "iframe", "object", "base")]
    outside = [a["href"] for _, a in parser.tags if "href" in a]
    assert all(str(link).startswith("#") for link in outside)
    policies = [a["content"] for _, a in parser.tags if a.get("http-equiv")]
    assert len(policies) == 1
    assert str(policies[0]).startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in str(policies[0])
    page.encode("utf-8")


@pytest.mark.parametrize("decision", ["accept", "refuse", "undecided"])
def test_decision_banner(report: ReportInput, decision: Any) -> None:
    assert report.decision is not None
    answer = report.decision.model_copy(update={"decision": decision})
    assert f'class="banner {decision}"' in render(dataclasses.replace(report, decision=answer))


def test_seedling_says_what_it_is_not(report: ReportInput, page: str) -> None:
    claim = "no number from it is a claim about real LLMs"
    assert claim in words(page)
    other = dataclasses.replace(report, model_before="hf:a/code", model_after="hf:a/code+tune-1")
    assert claim not in words(render(other))


def test_no_sandbox_is_flagged(report: ReportInput, page: str) -> None:
    assert "Sandbox: none" not in page
    first = report.suites[0]
    unsafe = first.before.model_copy(update={"sandbox": "none"})
    suites = (dataclasses.replace(first, before=unsafe),)
    changed = render(dataclasses.replace(report, suites=suites))
    assert 'class="notice fail" role="alert"' in changed
    assert f"without isolation on {first.card.name}" in words(changed)


def test_unknown_is_reported(report: ReportInput, page: str) -> None:
    first = report.suites[0]
    assert first.before.unknown > 0
    total = len(first.before_verdicts)
    assert f"before: {first.before.unknown} of {total} completions unknown" in words(page)


def test_a_corpus_shows_what_it_holds_and_folds_long_lists(page: str) -> None:
    assert "left out for suites" in page
    assert re.search(r"project-0 .{0,40}90", page)
    assert "project-45" not in page
    assert "and 20 others" in page


def test_one_model_alone() -> None:
    suite = material.suite_of("world-security-c", "c", 12, 2, two=False)
    page = render(material.report((suite,), decision=None, two=False))
    assert "Nothing to undo" in words(page)
    assert 'class="banner' not in page
    assert ">After<" not in page
    assert "two" in block(page)["suites"][0]
    assert block(page)["suites"][0]["two"] is False


def test_nothing_measured_is_said() -> None:
    text = words(render(material.report((), decision=None)))
    assert "No suite here measures security" in text
    assert "No suite was run" in text


def test_undo_shows_command_and_ledger(report: ReportInput, page: str) -> None:
    assert report.revert_command
    assert report.revert_command in words(page)
    assert f'title="{material.DIGEST}">{material.DIGEST[:12]}<' in page
    entries = page.partition('id="undo-title"')[2]
    assert [entries.index(f"<b>{e.verb}</b>") >= 0 for e in report.ledger]


def test_long_ledger_is_folded(report: ReportInput) -> None:
    many = tuple(report.ledger[0].model_copy(update={"seq": n}) for n in range(55))
    page = render(dataclasses.replace(report, ledger=many))
    assert "15 older entries" in words(page)
    assert all(f"entry {n}<" in page for n in (0, 54))


def browse(page: str, folder: Path, fragment: str) -> str:
    """Open the page in headless Chromium and return the document after its script ran."""
    if BROWSER is None:
        pytest.skip("no chromium binary on this machine")
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", f"--user-data-dir={folder / 'profile'}", "--window-size=1280,1000",
         "--dump-dom", f"{path.as_uri()}#{fragment}"],
        capture_output=True, timeout=240, check=True,
    )  # fmt: skip
    return done.stdout.decode("utf-8")


def test_browser_shows_hostile_completion_as_text(
    report: ReportInput, page: str, tmp_path: Path
) -> None:
    case = report.suites[0].cases[0].id
    document = browse(page, tmp_path, f"case={quote(case)}")
    shown = document.partition('id="drill-case"')[2].partition("</article>")[0]
    assert f'data-case="{case}"' in document
    assert "&lt;/script&gt;&lt;img src=x onerror=" in shown
    assert "U+202E" in shown  # what hides code is shown by name
    assert "U+D800" in shown
    assert "exploit:&lt;/script&gt;&lt;b&gt;" in shown  # the finding, on its line
    assert 'class="row bad"' in shown
    assert 'class="row add"' in shown  # the difference to the base's answer
    assert 'class="row del"' in shown
    assert "<img" not in document
    assert f"<title>{report.title}</title>" in document  # nothing hostile ran


def test_browser_lists_cases_behind_a_number(
    report: ReportInput, page: str, tmp_path: Path
) -> None:
    suite = report.suites[0]
    fragment = f"cases={suite.card.name}&metric=secure%401&cwe=CWE-89&side=after"
    document = browse(page, tmp_path, fragment)
    behind = [case.id for case in suite.cases if case.cwe == "CWE-89"]
    listed = re.findall(r'<span class="id">([^<]+)</span>', document)
    assert listed == behind
    assert f"{len(behind)} cases of {len(suite.cases)}" in document
