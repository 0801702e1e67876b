# SPDX-License-Identifier: Apache-2.0
"""Judge completions with this package; the counterpart of ``peer_runner``, same protocol.

    python -m benchmarks.judging.our_runner ours WORKERS JOBS

The results are ``passed`` or ``failed: CLASS``, and ``flagged`` where a pass shows signs of
tampering.
"""

from __future__ import annotations

import json
import sys
import time

from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import JudgeOptions, judge_all


def said(verdict: Verdict) -> str:
    """Return a verdict as one word and its reason."""
    if verdict.function != "pass":
        return f"failed: {verdict.failure}"
    return "passed" if not verdict.flags else f"flagged: {', '.join(verdict.flags)}"


def main() -> None:
    """Judge the jobs of a file."""
    workers, path = int(sys.argv[2]), sys.argv[3]
    with open(path, encoding="utf-8") as stream:
        jobs = json.load(stream)
    known: dict[str, Case] = {}
    items = []
    for index, job in enumerate(jobs):
        case = known.setdefault(job["case"]["id"], Case.model_validate(job["case"]))
        items.append((case, Completion(case=case.id, index=index, text=job["completion"])))
    options = JudgeOptions(workers=workers, timeout_s=3.0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    start = time.perf_counter()
    verdicts = judge_all(items, options=options)
    seconds = time.perf_counter() - start
    results = [said(verdict) for verdict in verdicts]
    sys.stdout.write("RESULT " + json.dumps({"seconds": seconds, "results": results}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    main()
