# SPDX-License-Identifier: Apache-2.0
"""Synthetic results of realistic shape for the report's tests: suites, verdicts, a ledger.

Numbers are computed from the drawn verdicts, so that page, scorecard and data block agree.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict

from codetemper.core import stats
from codetemper.core.accounts import CorpusCard, LedgerEntry, PatchManifest
from codetemper.core.records import (
    Case,
    Completion,
    Decision,
    Estimate,
    Finding,
    Sampling,
    Scorecard,
    SuiteCard,
    Verdict,
)
from codetemper.publish.inputs import ReportInput, SuiteResult

HOSTILE = (
    "    </script><img src=x onerror=\"document.title='owned'\">\n"
    "    <script>document.title = 'owned'</script>\n"
    "    s = 'naïve – 日本語 \U0001f512 \u202e reversed \ud800'\n"
    "    <!-- --> ]]> {{ 7 * 7 }} &lt; \x00 \u2028\n"
    f"    return '{'x' * 900}'\n"
)
DIGEST = "3fa2" * 16
CWES = {"c": ("CWE-787", "CWE-125", "CWE-190", "CWE-416", "CWE-476", "CWE-134"),
        "python": ("CWE-22", "CWE-78", "CWE-79", "CWE-89", "CWE-327", "CWE-502")}  # fmt: skip
SECURE = (
    "{\n    if (strlen(text) >= 32)\n        return -1;\n"
    "    strcpy(name, text);\n    return 0;\n}\n"
)
VULNERABLE = "{\n    strcpy(name, text);\n    return 0;\n}\n"
PY_SECURE = '    return connection.execute("SELECT name FROM users WHERE id = ?", (key,))\n'
PY_VULNERABLE = '    return connection.execute(f"SELECT name FROM users WHERE id = {key}")\n'
DRAWS = 300


def case_of(suite: str, language: str, number: int) -> Case:
    """Return one case; security cases carry a weakness."""
    cwes = CWES.get(language, ()) if "security" in suite else ()
    prompt = {
        "c": f"/* Copy the user name into a field of 32 bytes ({number}). */\n"
        "int set_name(char *name, const char *text)\n",
        "python": f'def lookup_{number}(connection, key):\n    """Return the row of a key."""\n',
        "sql": f"-- Names of the {number} oldest members\n",
    }[language]
    return Case(
        id=f"{suite}/{number:03d}", prompt=prompt, language=language,  # type: ignore[arg-type]
        judge={"c": "compiled", "sql": "sql"}.get(language, "execution"),
        reference={"c": SECURE, "python": PY_SECURE, "sql": "SELECT name FROM member"}[language],
        cwe=cwes[number % len(cwes)] if cwes else None, family=f"{language}.family{number % 7}",
        split="transfer" if number % 9 == 0 else "combination",
    )  # fmt: skip


def sample_of(
    case: Case, index: int, good: float, able: float, luck: random.Random
) -> tuple[Completion, Verdict]:
    """Draw a completion and its verdict: secure with chance ``good``, right with ``able``."""
    secure, right = luck.random() < good, luck.random() < able
    valid, known = luck.random() < 0.95, luck.random() < 0.98
    texts = {
        "c": (VULNERABLE, SECURE),
        "python": (PY_VULNERABLE, PY_SECURE),
        "sql": ("SELECT name FROM member LIMIT 1", "SELECT name FROM member"),
    }
    text = texts[case.language][secure if case.cwe else right] + f"/* {luck.randrange(40)} */\n"
    findings: tuple[Finding, ...] = ()
    if valid and known and case.cwe and not secure:
        rule = "asan:stack-buffer-overflow" if case.language == "c" else "exploit:quote"
        findings = (Finding(rule=rule, message="an exploit input worked", cwe=case.cwe, line=4),)
    security = "unknown"
    if case.cwe and valid and known:
        security = "pass" if secure else "fail"
    function = "pass" if valid and right else "fail"
    failure = None
    if not valid:
        failure = "build" if case.language == "c" else "syntax"
    elif function == "fail":
        failure = "wrong"
    elif security == "fail":
        failure = "insecure"
    elif not known:
        failure = "unknown"
    verdict = Verdict(
        case=case.id, index=index, valid="pass" if valid else "fail", function=function,
        security=security, findings=findings, failure=failure, judge=f"{case.judge}/1",
    )  # type: ignore[arg-type]  # fmt: skip
    return Completion(case=case.id, index=index, text=text, finished=luck.random() < 0.97), verdict


def card_of(
    suite: SuiteCard, cases: list[Case], verdicts: list[Verdict], model: str, sandbox: str
) -> Scorecard:
    """Sum verdicts up, with real intervals."""
    good: dict[str, dict[str, list[bool]]] = {m: defaultdict(list) for m in suite.metrics}
    for v in verdicts:
        says = {"valid": v.valid == "pass", "pass": v.function == "pass",
                "exec_match": v.function == "pass",
                "secure": v.valid == v.security == "pass",
                "secure_pass": v.function == v.security == "pass"}  # fmt: skip
        for metric in suite.metrics:
            good[metric][v.case].append(says[metric.partition("@")[0]])

    def estimates(part: list[Case]) -> dict[str, Estimate]:
        return {
            metric: stats.cluster_bootstrap(
                [sum(good[metric][c.id]) / len(good[metric][c.id]) for c in part], draws=DRAWS
            )
            for metric in suite.metrics
        }

    def parts(name: str) -> dict[str, dict[str, Estimate]]:
        labels = sorted({getattr(case, name) for case in cases} - {None, ""})
        return {x: estimates([c for c in cases if getattr(c, name) == x]) for x in labels}

    return Scorecard(
        model=model, model_digest=DIGEST, suite=suite.name, suite_digest=DIGEST, cases=len(cases),
        samples=len(verdicts) // len(cases), metrics=estimates(cases), by_cwe=parts("cwe"),
        by_split=parts("split"), failures=dict(Counter(v.failure for v in verdicts if v.failure)),
        unknown=sum(v.failure == "unknown" for v in verdicts), sandbox=sandbox,
        per_case={m: {c: sum(x) / len(x) for c, x in good[m].items()} for m in suite.metrics},
        sampling=Sampling(n=len(verdicts) // len(cases)),
    )  # fmt: skip


def suite_of(
    name: str, language: str, count: int, samples: int, *, two: bool = True, sandbox: str = "bwrap"
) -> SuiteResult:
    """Return one suite, improved by its patch where it is about security."""
    luck = random.Random(name)
    secure = "security" in name
    main = "exec_match" if language == "sql" else "pass@1"
    metrics = ("secure@1", "secure_pass@1", main, "valid@1") if secure else (main, "valid@1")
    card = SuiteCard(
        name=name, summary="Functions of the seedling world.", language=language,  # type: ignore[arg-type]
        metrics=metrics, cases=f"{name}.jsonl.gz",
    )  # fmt: skip
    cases = [case_of(name, language, number) for number in range(count)]
    drawn = {
        side: [sample_of(c, i, good, able, luck) for c in cases for i in range(samples)]
        for side, good, able in (("before", 0.45, 0.6), ("after", 0.74, 0.59))
    }
    if not two:
        drawn["after"] = []
    verdicts = {side: [v for _, v in pairs] for side, pairs in drawn.items()}
    before = card_of(card, cases, verdicts["before"], "seedling", sandbox)
    patched = "seedling+tune-7f3a9c"
    after = card_of(card, cases, verdicts["after"], patched, sandbox) if two else None
    differences = {
        metric: stats.paired_bootstrap(
            list(before.per_case[metric].values()), list(after.per_case[metric].values()),
            draws=DRAWS,
        )
        for metric in (metrics if after else ())
        if after
    }  # fmt: skip
    return SuiteResult(
        card=card, cases=tuple(cases), before=before, after=after, differences=differences,
        before_completions=tuple(c for c, _ in drawn["before"]),
        before_verdicts=tuple(verdicts["before"]),
        after_completions=tuple(c for c, _ in drawn["after"]),
        after_verdicts=tuple(verdicts["after"]),
    )  # fmt: skip


def ledger() -> tuple[LedgerEntry, ...]:
    """Return an account of a small piece of work."""
    steps = (
        ("init", {}, {}, "workspace made"),
        ("eval", {"model": "seedling", "model_digest": DIGEST},
         {"run:eval-11aa22bb33cc": DIGEST}, ""),
        ("mine", {"repository": "example"}, {"corpus:mine-0a1b2c3d4e5f": DIGEST}, "143 pairs"),
        ("tune", {"model": "seedling", "corpus": "mine-0a1b2c3d4e5f"},
         {"patch:tune-7f3a9c1b02d4": DIGEST}, ""),
        ("eval", {"model": "seedling+tune-7f3a9c"}, {"run:eval-44dd55ee66ff": DIGEST}, ""),
        ("gate", {"before": "seedling", "after": "seedling+tune-7f3a9c"}, {"decision": DIGEST},
         "accept: world-security-c secure@1 gains"),
    )  # fmt: skip
    return tuple(
        LedgerEntry(seq=i, prev="0" * 64, time=f"2026-01-12T09:{10 + 3 * i:02d}:00+00:00",
                    actor="ada@bench", verb=verb, inputs=inputs, outputs=outputs, note=note)
        for i, (verb, inputs, outputs, note) in enumerate(steps)
    )  # fmt: skip


def manifest() -> PatchManifest:
    """Return the patch that the second model wears."""
    return PatchManifest(
        id="tune-7f3a9c1b02d4", kind="adapter", verb="tune", technique="tune", base="seedling",
        base_digest=DIGEST, corpus="mine-0a1b2c3d4e5f", corpus_digest=DIGEST,
        config={"rank": 8, "alpha": 16, "epochs": 3, "rate": 2e-4}, parameters_changed=147_456,
        bytes=594_312, seconds=83.4, seed=0, versions={"torch": "2.13.0", "peft": "0.21.2"},
        files={"adapter_model.safetensors": DIGEST, "adapter_config.json": DIGEST},
        report={"loss": [1.9, 1.1, 0.7], "steps": 120},
    )  # fmt: skip


def corpus() -> CorpusCard:
    """Return what the patch learned from."""
    return CorpusCard(
        id="mine-0a1b2c3d4e5f", rows=143, record="FixPair", data_digest=DIGEST,
        files={"data.parquet": DIGEST}, sources=("example-repository",), seconds=12.1,
        counts={"cwe": {"CWE-787": 41, "CWE-89": 30, "CWE-22": 28, "CWE-416": 23, "none": 21},
                "language": {"c": 80, "python": 63}, "dropped": {"merge": 14, "no function": 9},
                "repository": {f"project-{n}": 90 - n for n in range(60)},
                "split": {"test": 12, "train": 131}, "contaminated": {"secure-c": 4}},
        config={"languages": ["c", "python"], "max_lines": 60},
    )  # fmt: skip


def report(
    suites: tuple[SuiteResult, ...], *, decision: str | None = "accept", two: bool = True
) -> ReportInput:
    """Return a whole page's input over the given suites."""
    differences = {f"{s.card.name}/{m}": d for s in suites for m, d in s.differences.items()}
    answer = Decision(
        decision=decision,  # type: ignore[arg-type]
        reasons=("world-security-c secure@1: +0.29 [+0.22, +0.36] lies above 0.00",
                 "world-python pass@1: −0.01 [−0.03, +0.02] stays within 0.03"),
        metrics=differences, thresholds={"security_gain": 0.0, "function_loss": 0.03},
    ) if decision else None  # fmt: skip
    return ReportInput(
        title="Hardening seedling: 12 January 2026", model_before="seedling",
        model_after="seedling+tune-7f3a9c" if two else None,
        facts={"parameters": "3.1 M", "architecture": "Llama, 6 layers of 192", "digest": DIGEST,
               "licence": "Apache-2.0", "vocabulary": "4,096 tokens"},
        suites=suites, decision=answer, manifests=(manifest(),) if two else (),
        corpora=(corpus(),) if two else (), ledger=ledger(), made="2026-01-12T09:30:00+00:00",
        revert_command="codetemper revert tune-7f3a9c" if two else None, version="0.1.0",
    )  # fmt: skip


def small_report() -> ReportInput:
    """Return a page over two small suites, one completion of which is hostile."""
    secure = suite_of("world-security-python", "python", 18, 2)
    first, *others = secure.after_completions
    hostile = first.model_copy(update={"text": HOSTILE})
    odd = Verdict(
        case=first.case, index=first.index, valid="pass", function="pass", security="fail",
        findings=(Finding(rule="exploit:</script><b>", message="<img src=x onerror=alert(1)>",
                          cwe="CWE-22", line=4),),
        failure="insecure", judge="execution/1",
    )  # fmt: skip
    secure = SuiteResult(
        card=secure.card, cases=secure.cases, before=secure.before,
        before_completions=secure.before_completions, before_verdicts=secure.before_verdicts,
        after=secure.after, after_completions=(hostile, *others),
        after_verdicts=(odd, *secure.after_verdicts[1:]), differences=secure.differences,
    )  # fmt: skip
    return report((secure, suite_of("world-sql", "sql", 10, 2)))
