# SPDX-License-Identifier: Apache-2.0
"""C and C++ verdicts a second: this judge against one gcc process after another.

The plain side compiles each program with the same flags and runs each check in a process, one after
another, without a sandbox. Both sides judge the same completions (all idioms, right
and wrong, of tasks drawn from the seedling's C families, and of one hand-written C++ case, made
distinct by a comment) and must
agree. Sides take turns; a third, this judge with one worker, tells what the second core gives.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.judging import sides
from codetemper.core.records import Case, Completion
from codetemper.judges import JudgeOptions, judge_all
from seedling.world.c_security import FAMILIES

SIDES = ("ours", "plain", "ours-one")
_FLAGS = ("-O0", "-g0", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
          "-fuse-ld=gold")  # fmt: skip
_COMPILERS = {"c": ("gcc", "-std=gnu11"), "cpp": ("g++", "-std=gnu++17")}
_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:exitcode=86:symbolize=0"
    ":allocator_may_return_null=1:max_allocation_size_mb=512",
    "UBSAN_OPTIONS": "halt_on_error=1:exitcode=86",
}
_CPP = Case(
    id="words", language="cpp", judge="compiled", cwe="CWE-787",
    prompt="std::string word(const std::vector<std::string> &words, size_t n) {\n",
    reference='  return n < words.size() ? words[n] : "";\n}\n',
    vulnerable="  return words[n];\n}\n",
    spec={
        "prelude": "#include <iostream>\n#include <sstream>\n#include <string>\n"
        "#include <vector>\n",
        "driver": "int main(int argc, char **argv) {\n"
        "  std::vector<std::string> words(argv + 2, argv + argc);\n"
        "  std::cout << word(words, std::stoul(argv[1])) << std::endl;\n  return 0;\n}\n",
        "checks": [
            {"name": "first", "kind": "function", "argv": ["0", "a", "b"], "expect_stdout": "a\n"},
            {"name": "last", "kind": "function", "argv": ["1", "a", "b"], "expect_stdout": "b\n"},
            {"name": "beyond", "kind": "security", "argv": ["9", "a"], "expect_stdout": "\n"},
        ],
    },
)  # fmt: skip


def jobs(language: str, tasks: int, copies: int) -> list[dict[str, Any]]:
    """Return completions: all idioms of some drawn tasks, each several times under a comment."""
    known = [(_CPP, [_CPP.reference or "", _CPP.vulnerable or ""])]
    if language == "c":
        known = []
        for name in sorted(FAMILIES)[:tasks]:
            task = FAMILIES[name](random.Random(name))  # noqa: S311
            case = Case(id=name, prompt=task.prompt, language="c", judge="compiled", spec=task.spec)
            known.append((case, [variant.text for variant in task.variants]))
    return [
        {"case": case.model_dump(mode="json"), "completion": f"{text}/* {copy} */\n"}
        for case, texts in known
        for copy in range(copies)
        for text in texts
    ]


def _plain(case: Case, text: str, folder: Path) -> str:
    """Return the verdict of the plain way: compile, run every check, one process after another."""
    spec, (name, standard) = case.spec, _COMPILERS[case.language]
    source = folder / f"program.{case.language}"
    program = folder / "program"
    source.write_text(f"{spec['prelude']}\n{case.prompt}{text}\n{spec['driver']}\n", "utf-8")
    line = [name, standard, *_FLAGS, str(source), *spec.get("flags", ()), "-o", str(program), "-lm"]
    if subprocess.run(line, capture_output=True, env=_ENVIRONMENT, check=False).returncode:
        return "fail fail unknown"
    found = {"function": "unknown", "security": "unknown"}
    for check in spec["checks"]:
        kind = check["kind"]
        if kind == "function" and found[kind] == "fail":
            continue
        done = subprocess.run([str(program), *check.get("argv", ())], capture_output=True,
                              input=check.get("stdin", "").encode(), env=_ENVIRONMENT,
                              timeout=30, check=False)  # fmt: skip
        expected = check.get("expect_stdout")
        bad = done.returncode == 86 or (expected is not None and done.stdout != expected.encode())
        bad = bad or (kind == "function" and done.returncode != 0)
        found[kind] = "fail" if bad or found[kind] == "fail" else "pass"
    return f"pass {found['function']} {found['security']}"


def _side(side: str, path: str) -> None:
    """Judge the jobs of a file in this process, in the protocol of ``sides``."""
    work = json.loads(Path(path).read_text("utf-8"))
    items = []
    for index, job in enumerate(work):
        case = Case.model_validate(job["case"])
        items.append((case, Completion(case=case.id, index=index, text=job["completion"])))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    start = time.perf_counter()
    if side == "plain":
        with tempfile.TemporaryDirectory() as folder:
            results = [_plain(case, done.text, Path(folder)) for case, done in items]
    else:
        options = JudgeOptions(workers=1 if side == "ours-one" else 2, timeout_s=10.0)
        verdicts = judge_all(items, options=options)
        results = [f"{v.valid} {v.function} {v.security}" for v in verdicts]
    answer = {"seconds": time.perf_counter() - start, "results": results}
    sys.stdout.write(f"RESULT {json.dumps(answer)}\n")
    sys.stdout.flush()
    sys.stdin.readline()


def run(side: str, work: list[dict[str, Any]]) -> sides.Run:
    """Run one side in a process of its own and measure it.

    Raises:
        RuntimeError: the process ended without a result.
    """
    meter = sides.Meter()
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as stream:
        json.dump(work, stream)
        stream.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.judging.compiled", side, stream.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=sides.ROOT,
        )  # fmt: skip
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the runner did not start")
            meter.join(process.pid)
            start = meter.read()
            answer, _ = process.communicate("go\n\n")
            cpu = meter.read() - start
        finally:
            process.kill()
            meter.close()
    said = [line for line in answer.splitlines() if line.startswith("RESULT ")]
    if not said:
        raise RuntimeError("the runner ended without a result")
    found = json.loads(said[0].removeprefix("RESULT "))
    return sides.Run(found["results"], found["seconds"], cpu, meter.kind)


def _figures(language: str, found: dict[str, list[sides.Run]], least: float) -> dict[str, Figure]:
    speed = {name: [len(r.results) / r.seconds for r in runs] for name, runs in found.items()}
    cpu = {name: [1000 * r.cpu / len(r.results) for r in runs] for name, runs in found.items()}
    middle = {name: statistics.median(values) for name, values in speed.items()}
    used = {name: statistics.median(values) for name, values in cpu.items()}
    differ = sum(
        ours != theirs
        for run, plain in zip(found["ours"], found["plain"], strict=True)
        for ours, theirs in zip(run.results, plain.results, strict=True)
    )
    wall = [ours / theirs for ours, theirs in zip(speed["ours"], speed["plain"], strict=True)]
    ratio, saved = statistics.median(wall), used["plain"] / used["ours"]
    name = f"compiled_{language}"
    return {
        f"{name}_verdicts_per_second": Figure(
            middle["ours"], min(speed["ours"]), max(speed["ours"]),
            f"at least {least:.0f} times one gcc process after another (pairs from "
            f"{min(wall):.2f} to {max(wall):.2f})", ratio >= least, middle["plain"], ratio),
        f"{name}_one_worker_per_second": Figure(
            middle["ours-one"], min(speed["ours-one"]), max(speed["ours-one"]),
            "more than the plain way on one core too", middle["ours-one"] > middle["plain"],
            middle["plain"], middle["ours-one"] / middle["plain"]),
        f"{name}_cpu_ms": Figure(
            used["ours"], min(cpu["ours"]), max(cpu["ours"]), "less than the plain way",
            saved > 1.0, used["plain"], saved),
        f"{name}_other_verdicts": Figure(differ, differ, differ, "0", differ == 0),
    }  # fmt: skip


def figures(quick: bool) -> dict[str, Figure]:
    """Return verdicts a second, CPU a verdict and disagreements, for C and for C++."""
    shown: dict[str, Figure] = {}
    for language, tasks, copies in (("c", 5, 2), ("cpp", 1, 4)) if quick else (
        ("c", 99, 2), ("cpp", 1, 16),
    ):  # fmt: skip
        work = jobs(language, tasks, copies)
        found: dict[str, list[sides.Run]] = {side: [] for side in SIDES}
        for repeat in range(1 if quick else 3):
            for side in SIDES if repeat % 2 == 0 else reversed(SIDES):
                done = run(side, work)
                found[side].append(done)
                sys.stderr.write(
                    f"{language} {side}: {len(work) / done.seconds:.1f} verdicts/s, "
                    f"{1000 * done.cpu / len(work):.1f} ms CPU ({done.meter})\n"
                )
        shown |= _figures(language, found, 2.0)
    return shown


if __name__ == "__main__":
    _side(sys.argv[1], sys.argv[2])
