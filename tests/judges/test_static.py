# SPDX-License-Identifier: Apache-2.0
"""Static judge: batches, cache, what each analyser finds, and what a finding does to a verdict."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Case, Completion, Estimate, Finding, Language, Verdict
from codetemper.judges import JudgeOptions, _static, judge_all, qualify, signature, static
from codetemper.judges._static import batch, clang
from codetemper.judges._static.families import agree, family, normal
from codetemper.judges._static.form import Done, Limits, Look, ScanFailedError, finish, run
from codetemper.judges.static import Source

BAD_C = """#include <stdlib.h>
int twice(int n) {
    char *p = malloc(n);
    if (p == 0) return 0;
    free(p);
    free(p);
    return n;
}
"""
BAD_PYTHON = "import subprocess\ndef f(x):\n    return subprocess.run(x, shell=True)  # nosec\n"
SLOW = Limits(file_s=300)


class Fake:
    """Finds a line with ``bad``, dies of ``die``, and counts what it is asked."""

    name = "fake"
    languages: tuple[Language, ...] = ("python",)
    divides = False

    def __init__(self, version: str = "1") -> None:
        self.number = version
        self.batches: list[int] = []

    def version(self) -> str | None:
        return self.number

    def settings(self) -> str:
        return "s"

    def scan(
        self, folder: Path, names: Sequence[str], language: Language, limits: Limits
    ) -> dict[str, Look]:
        self.batches.append(len(names))
        texts = {name: (folder / name).read_text("utf-8") for name in names}
        if any("die" in text for text in texts.values()):
            raise ScanFailedError("it died")
        return {
            name: Look(
                findings=finish(
                    [
                        Finding(
                            rule="fake:bad", message="bad", cwe="CWE-78", line=n, severity="warning"
                        )
                        for n, line in enumerate(text.split("\n"), 1)
                        if "bad" in line
                    ],
                    text,
                )
            )
            for name, text in texts.items()
        }


def programs(texts: Sequence[str]) -> list[Source]:
    return [Source(text, "python") for text in texts]


def test_a_thousand_files_are_one_process_a_worker() -> None:
    fake = Fake()
    texts = [f"x = {i}" for i in range(1500)] + ["bad"] * 500
    looks = batch.scan(programs(texts), [fake], limits=Limits(workers=2))
    assert sorted(fake.batches) == [750, 751]  # which worker is first is open
    assert sum(len(look["fake"].findings) for look in looks) == 500


def test_what_was_seen_is_not_looked_at_again_until_the_analyser_changes(tmp_path: Path) -> None:
    def scan(fake: Fake, texts: Sequence[str]) -> list[int]:
        looks = batch.scan(programs(texts), [fake], limits=Limits(workers=1), cache=tmp_path)
        assert [bool(look["fake"].findings) for look in looks] == ["bad" in t for t in texts]
        return fake.batches

    assert scan(Fake(), ["bad", "x = 1"]) == [2]
    assert scan(Fake(), ["x = 1", "bad"]) == []
    assert scan(Fake(), ["x = 1", "bad", "x = 2"]) == [1]
    assert scan(Fake("2"), ["x = 1", "bad"]) == [2]


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from codetemper.judges._static import batch, clang
        from codetemper.judges._static.form import Limits
        from tests.judges.test_static import Fake, programs
        texts = [f"x{sys.argv[2]} = {i} # bad" for i in range(60)] + ["bad"]
        for start in range(0, 61, 10):
            batch.scan(programs(texts[start:start + 10]), [Fake()], limits=Limits(),
                       cache=Path(sys.argv[1]))
    """
    root = Path(__file__).resolve().parents[2]
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), side], cwd=root)
        for side in "ab"
    ]
    assert [process.wait(500) for process in both] == [0, 0]
    fake = Fake()
    texts = [f"x{side} = {i} # bad" for side in "ab" for i in range(60)]
    looks = batch.scan(programs([*texts, "bad"]), [fake], limits=Limits(), cache=tmp_path)
    assert fake.batches == []
    assert all(look["fake"].findings for look in looks)


def test_a_file_that_kills_the_analyser_costs_the_others_nothing() -> None:
    fake = Fake()
    texts = [f"bad {i}" for i in range(63)] + ["die"]
    looks = batch.scan(programs(texts), [fake], limits=Limits(workers=1))
    assert [look["fake"].read for look in looks] == [True] * 63 + [False]
    assert all(look["fake"].findings for look in looks[:63])
    assert len(fake.batches) <= 2 * 6 + 1


def test_a_program_that_runs_on_is_killed_with_all_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(5); open({str(mark)!r}, 'w')"
    parent = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(99)"
    )
    with pytest.raises(ScanFailedError):
        run([sys.executable, "-c", parent], tmp_path, 2)
    time.sleep(5)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "language", "text", "cwe"),
    [
        ("bandit", "python", BAD_PYTHON, "CWE-78"),
        ("gcc", "c", BAD_C, "CWE-415"),
        (
            "gcc",
            "cpp",
            'void f() { char b[4]; __builtin_strcpy(b, "much too long"); __builtin_puts(b); }',
            "CWE-787",
        ),
        ("cppcheck", "c", BAD_C, "CWE-415"),
        ("clang", "c", BAD_C, "CWE-416"),
        ("clang", "cpp", "int f() { int *p = 0; return *p; }", "CWE-476"),
    ],
)
def test_an_analyser_finds_what_it_is_for(
    name: str, language: Language, text: str, cwe: str
) -> None:
    analyser = _static.analyser(name)
    if name in ("cppcheck", "clang") and analyser.version() is None:
        pytest.skip(f"{name} is not installed; it is optional")
    assert analyser.version(), f"{name} is missing; make setup brings it"
    broken = "def f(:" if language == "python" else "int f( {"
    right = "x = 1\n" if language == "python" else "int right(void) { return 1; }\n"
    texts = [text, broken, right]
    looks = batch.scan([Source(t, language) for t in texts], [analyser], limits=SLOW)
    found, unread, clean = (look[name] for look in looks)
    assert cwe in {finding.cwe for finding in found.findings}
    assert all(f.rule.startswith(f"{name}:") and f.line and f.fingerprint for f in found.findings)
    assert (found.read, unread.read, clean.read) == (True, False, True)
    assert clean.findings == ()


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_an_error_in_what_a_file_includes_is_the_files(name: str) -> None:
    analyser = _static.analyser(name)
    if analyser.version() is None:
        pytest.skip(f"{name} is not installed; it is optional")
    sources = [Source(text, "c") for text in ('#include "/etc/passwd"\n', "int x;\n")]
    looks = batch.scan(sources, [analyser], limits=SLOW)
    assert [look[name].read for look in looks] == [False, True]


def test_a_file_that_kills_clang_does_not_take_its_batch_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = (
        "PLEASE submit a bug report\nStack dump:\n0.\tProgram arguments: clang -cc1 -x c f00001.c\n"
        "f00000.c:1:7: warning: Dereference of null pointer [core.NullDereference]\n"
    )
    monkeypatch.setattr(clang, "run", lambda *_: Done(1, "", said))
    analyser = clang._Clang()
    analyser._program.__dict__["_found"] = ("clang", "14.0")
    names = ["f00000.c", "f00001.c"]
    for name in names:
        (tmp_path / name).write_text("int x;\n")
    looks = analyser.scan(tmp_path, names, "c", SLOW)
    assert [look.read for look in looks.values()] == [True, False]
    assert looks["f00000.c"].findings[0].cwe == "CWE-476"


def test_an_analyser_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="bandit"):
        _static.analyser("bandti")
    with pytest.raises(UsageError, match="folder"):
        _static.analyser("tool --sarif out")


def test_any_program_that_writes_sarif_is_an_analyser(tmp_path: Path) -> None:
    tool = tmp_path / "mytool"
    tool.write_text(f"""#!{sys.executable}
import json, pathlib, sys
if "--version" in sys.argv: print("mytool 3.1"); sys.exit()
results = [
    {{"ruleId": "no-bad", "message": {{"text": "bad"}}, "locations": [{{"physicalLocation": {{
        "artifactLocation": {{"uri": path.name}}, "region": {{"startLine": 1}}}}}}],
      "properties": {{"tags": ["external/cwe/cwe-078"]}}}}
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()) if "bad" in path.read_text()]
run = {{"tool": {{"driver": {{"name": "x"}}}}, "results": results}}
log = {{"version": "2.1.0", "runs": [run]}}
pathlib.Path(sys.argv[2]).write_text(json.dumps(log))
""")
    tool.chmod(0o755)
    analyser = _static.analyser(f"{tool} {{folder}} {{out}}")
    assert (analyser.name, analyser.version()) == ("mytool", "3.1")
    looks = batch.scan(programs(["bad", "good"]), [analyser], limits=SLOW)
    assert [[(f.rule, f.cwe) for f in look["mytool"].findings] for look in looks] == [
        [("mytool:no-bad", "CWE-78")],
        [],
    ]


def test_a_fingerprint_is_the_line_and_not_its_number() -> None:
    def marks(text: str) -> list[str]:
        lines = text.split("\n")
        found = [
            Finding(rule="r", message="", line=n + 1) for n, t in enumerate(lines) if t.strip()
        ]
        return [finding.fingerprint for finding in finish(found, text)]

    assert marks("a = 1\nb") == marks("\n\n  a  =  1\nb")
    assert marks("a\na") == [marks("a")[0], marks("a")[0].replace(":1", ":2")]
    assert marks("a") != marks("b")


def test_weaknesses_agree_within_a_family() -> None:
    assert agree("CWE-787", "CWE-121")
    assert agree("CWE-690", "CWE-476")
    assert not agree("CWE-79", "CWE-89")
    assert not agree(None, "CWE-89")
    assert family("CWE-99999") == "CWE-99999"
    assert normal("CWE-078: OS command injection") == normal(78) == "CWE-78"
    assert normal("") is None


def card(*trusted: tuple[str, str, Language]) -> qualify.Qualification:
    share = Estimate(value=1, low=0.5, high=1, n=4)
    rows = tuple(
        qualify.Row(judge=judge, kind="static", language=language, family=family(cwe), cwes=(cwe,),
                    pairs=4, hits=4, false=0, apart=4, precision=share, recall=share,
                    qualified=True)
        for judge, cwe, language in trusted
    )  # fmt: skip
    return qualify.Qualification(rows=rows, tools={}, settings={}, pairs_digest="", pairs=4)


def item(cwe: str | None, text: str = BAD_PYTHON) -> tuple[Case, Completion]:
    case = Case(id="c", prompt="", language="python", judge="execution", cwe=cwe)
    return case, Completion(case="c", text=text)


def verdict(security: str, function: str = "pass") -> Verdict:
    return Verdict.model_validate(
        {"case": "c", "valid": "pass", "function": function, "security": security, "judge": "e/1"}
    )


@pytest.mark.parametrize("before", ["pass", "unknown"])
def test_a_qualified_finding_makes_a_completion_insecure(before: str) -> None:
    trusted = card(("bandit", "CWE-78", "python"))
    (after,) = static.evidence([item("CWE-77")], [verdict(before)], qualification=trusted,
                               analysers=["bandit"])  # fmt: skip
    assert (after.security, after.failure, after.judge) == ("fail", "insecure", "e/1+static/1")
    (error,) = [finding for finding in after.findings if finding.severity == "error"]
    assert (error.rule, error.cwe, error.line, error.column) == ("bandit:B602", "CWE-78", 3, 12)


@pytest.mark.parametrize(
    ("cwe", "trusted"),
    [
        ("CWE-78", None),
        ("CWE-78", card(("bandit", "CWE-89", "python"))),
        ("CWE-78", card(("semgrep", "CWE-78", "python"))),
        ("CWE-78", card(("bandit", "CWE-78", "c"))),
        ("CWE-22", card(("bandit", "CWE-78", "python"))),
    ],
)
@pytest.mark.parametrize("before", ["pass", "unknown"])
def test_any_other_finding_is_a_warning(
    cwe: str, trusted: qualify.Qualification | None, before: str
) -> None:
    (after,) = static.evidence([item(cwe)], [verdict(before)], qualification=trusted,
                               analysers=["bandit"])  # fmt: skip
    assert (after.security, after.failure) == (before, None)
    assert {finding.severity for finding in after.findings} == {"warning", "note"}


def test_silence_proves_nothing_and_wrong_stays_wrong() -> None:
    trusted = card(("bandit", "CWE-78", "python"))
    quiet = item("CWE-78", "def f(x):\n    return x\n")
    kept = [verdict("pass"), verdict("unknown"), verdict("fail")]
    after = static.evidence([quiet] * 3, kept, qualification=trusted, analysers=["bandit"])
    assert [v.security for v in after] == ["pass", "unknown", "fail"]
    wrong = verdict("unknown", "fail").model_copy(update={"failure": "wrong"})
    (after_wrong,) = static.evidence(
        [item("CWE-78")], [wrong], qualification=trusted, analysers=["bandit"]
    )
    assert (after_wrong.security, after_wrong.failure) == ("fail", "wrong")


def test_findings_outside_the_completion_do_not_count() -> None:
    spec = {"setup": BAD_PYTHON}
    case = Case(id="c", prompt="", language="python", judge="execution", cwe="CWE-78", spec=spec)
    done = Completion(case="c", text="def g():\n    return 1\n")
    trusted = card(("bandit", "CWE-78", "python"))
    (after,) = static.evidence([(case, done)], [verdict("pass")], qualification=trusted,
                               analysers=["bandit"])  # fmt: skip
    assert (after.security, after.findings) == ("pass", ())


def test_a_pragma_does_not_hide_a_c_program() -> None:
    body = '#pragma GCC diagnostic ignored "-Wanalyzer-double-free"\n' + BAD_C
    case = Case(id="c", prompt="", language="c", judge="static", cwe="CWE-415")
    source, first, _ = static.program(case, body)
    look = static.scan([source], analysers=["gcc"], limits=SLOW)[0]["gcc"]
    lines = {f.line - first + 1 for f in look.findings if f.cwe == "CWE-415" and f.line}
    assert lines == {7}


def test_the_judge_says_fail_or_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = signature("static")
    bandit = _static.analyser("bandit")
    trusted = card(("bandit", "CWE-78", "python")).model_copy(
        update={"tools": {"bandit": bandit.version()}, "settings": {"bandit": bandit.settings()}}
    )
    qualify.store(trusted)
    assert signature("static") != before
    case = Case(id="c", prompt="", language="python", judge="static", cwe="CWE-78",
                spec={"analysers": ["bandit"]})  # fmt: skip
    texts = [BAD_PYTHON, "x = 1\n", "def f(:\n"]
    judged = judge_all([(case, Completion(case="c", index=i, text=t)) for i, t in enumerate(texts)],
                       options=JudgeOptions(cache=tmp_path))  # fmt: skip
    assert [(v.valid, v.function, v.security, v.failure) for v in judged] == [
        ("pass", "unknown", "fail", "insecure"),
        ("pass", "unknown", "unknown", None),
        ("fail", "unknown", "unknown", "syntax"),
    ]
    assert list((tmp_path / "static").glob("bandit-*.sqlite"))


def test_no_analyser_for_a_language_is_exit_code_3() -> None:
    case = Case(id="c", prompt="", language="c", judge="static", spec={"analysers": ["bandit"]})
    with pytest.raises(CannotKnowError, match="no static analyser for c"):
        judge_all([(case, Completion(case="c", text="int x;"))])
