# SPDX-License-Identifier: Apache-2.0
"""The report: one self-contained HTML page that answers four questions.

    page = render(ReportInput(title="...", model_before="seedling", ...))
    Path("report.html").write_text(page, encoding="utf-8")

What is this model? Is it safer? Is it still able? Can I undo it? Every number links to the
completions behind it. The page loads nothing: style, script, charts and data are inside, and a
content security policy forbids everything else. All numbers and charts are there without script.
"""

from __future__ import annotations

import base64
import hashlib
import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codetemper.publish import audits, refinement, repairs, screenings, studies, views, wording
from codetemper.publish.drill import drill
from codetemper.publish.inputs import (
    AuditResult,
    RefinementResult,
    RepairResult,
    ReportInput,
    ScreeningResult,
    StudyResult,
    SuiteResult,
)

__all__ = [
    "AuditResult",
    "RefinementResult",
    "RepairResult",
    "ReportInput",
    "ScreeningResult",
    "StudyResult",
    "SuiteResult",
    "render",
]

_SURROGATE = re.compile("[\ud800-\udfff]")
#: Ledger entries shown unfolded; older ones are folded away.
RECENT = 40
#: Entries of one aspect of a corpus that are shown, such as repositories.
ASPECT_ENTRIES = 40


def render(report: ReportInput) -> str:
    """Make the page.

    Args:
        report: everything it shows.

    Returns:
        A complete HTML document, UTF-8 encodable.
    """
    environment = _environment()
    style = _source(environment, "style.css")
    script = _source(environment, "drill.js") + _source(environment, "map.js")
    limit = views.change_limit(report)
    suites = tuple(views.suite_view(suite, limit) for suite in report.suites)
    data = drill(report.suites)
    page = environment.get_template("report.html.j2").render(
        report=report,
        suites=suites,
        limit=limit,
        safer=views.headlines(suites, "security"),
        able=views.headlines(suites, "function"),
        safer_splits=views.split_groups(suites, "security"),
        able_splits=views.split_groups(suites, "function"),
        two=report.model_after is not None,
        seedling=views.is_seedling(report.model_before) or views.is_seedling(report.model_after),
        unsafe=views.unsafe_suites(report),
        studies=tuple(studies.study_view(study) for study in report.studies),
        screenings=tuple(screenings.screening_view(each) for each in report.screenings),
        refinements=tuple(refinement.refinement_view(each) for each in report.refinements),
        repairs=tuple(repairs.repair_view(each) for each in report.repairs),
        # Patches whose report is told in a section of its own.
        told={each.patch: ("#refinement", "What each round did") for each in report.refinements}
        | {each.patch: ("#repair", "What it repaired and moved") for each in report.repairs},
        audits=tuple(audits.audit_section(each) for each in report.audits),
        UNFOLDED=audits.UNFOLDED,
        PROFILE=audits.HEIGHT + 2 * audits.EDGE,
        SQUARE=repairs.HEIGHT,
        FULL=repairs.FULL,
        HEIGHT=screenings.HEIGHT,
        NUMBERED=refinement.NUMBERED,
        CURVE=refinement.HEIGHT + 2 * refinement.EDGE,
        recent=RECENT,
        ASPECT_ENTRIES=ASPECT_ENTRIES,
        drill=data,
        # What the templates print as it is: our own files, and JSON without angle brackets.
        data=Markup(data.text),  # noqa: S704
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=_policy(style, script),
    )
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", page)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("codetemper.publish"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number,
        "signed": wording.signed,
        "percent": wording.percent,
        "chance": wording.chance,
        "outcome": wording.outcome,
        "settled": wording.settled,
        "reason": wording.reason,
        "note_lines": wording.note_lines,
        "record_name": wording.record_name,
        "moment": wording.moment,
        "by_weakness": views.weakness_counts,
        "aspect": wording.aspect,
        "meaning": wording.metric_meaning,
        "thousands": wording.thousands,
        "size": wording.size,
        "duration": wording.duration,
        "because": refinement.because,
        "untold": repairs.untold,
        "rejected": refinement.rejected,
        "brief": wording.brief,
        "pretty": wording.pretty,
        "weakness": wording.weakness,
    }
    environment.globals |= {
        "interval": wording.interval,
        "signed_interval": wording.signed_interval,
        "estimate_text": wording.estimate_text,
    }
    environment.tests["digest"] = wording.is_digest
    return environment


def _source(environment: Environment, name: str) -> str:
    """Return one of our own template files as it is, for a style or script element."""
    if environment.loader is None:
        raise RuntimeError("the environment has no loader")
    return environment.loader.get_source(environment, name)[0]


def _policy(style: str, script: str) -> str:
    """Return the content security policy: our style, our script, nothing else, no network."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )
