# SPDX-License-Identifier: Apache-2.0
"""One greedy answer to each case of a suite, judged: what a treatment looks at on its way.

    verdicts = greedy_verdicts(handle, suites.load("world-python", limit=50), None)

Nothing is recorded and nothing cached: what is attached to the model at that moment counts.
Scorecards with intervals are ``evaluation``'s.
"""

from __future__ import annotations

from typing import Any

from codetemper.core.records import Sampling, Verdict
from codetemper.evaluate.suites import Suite
from codetemper.judges import JudgeOptions, judge_all


def greedy_verdicts(handle: Any, suite: Suite, options: JudgeOptions | None) -> list[Verdict]:
    """Answer every case of a suite once, greedily, and judge the answers.

    Args:
        handle: the model; its patches as they are now.
        suite: the cases.
        options: of the judges.

    Returns:
        A verdict for each case, in order.
    """
    sampling = Sampling(n=1, temperature=0.0, max_new_tokens=suite.card.max_new_tokens)
    prompts, stops = zip(*((case.prompt, case.stop) for case in suite.cases), strict=True)
    drawn = handle.generate(prompts, sampling, stops=stops)
    items = [
        (case, row[0].model_copy(update={"case": case.id}))
        for case, row in zip(suite.cases, drawn, strict=True)
    ]
    return judge_all(items, options=options)
