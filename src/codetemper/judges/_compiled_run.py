# SPDX-License-Identifier: Apache-2.0
"""One check's run: what the sandbox is asked, and what its answer means.

The comparison happens here, outside the sandbox, on what the sandbox's server saw: output, exit,
the proof that ``main`` returned, recorded paths and files. Nothing here decides about a completion.
"""

from __future__ import annotations

import fnmatch
import posixpath
from typing import Any

from codetemper.core.records import FailureClass, Record
from codetemper.judges import _sanitizers as sanitizers
from codetemper.judges._compiled_spec import Check

#: Share of its wall time that a run must have computed for its timeout to be its own fault.
BUSY = 0.25
#: How much longer the second try of a run is that hardly computed.
LONGER = 3.0
#: Paths that no check means when it forbids paths outside a folder.
_FREE = frozenset({
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
    "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty",
})  # fmt: skip
_LEFT_EARLY = "left-early"


class NotLinkedError(Exception):
    """The program compiled but lacks a function or ``main``."""


class Run(Record):
    """What one check's run showed."""

    wrong: str = ""
    """Why a function check fails; empty: it passes."""
    failure: FailureClass | None = None
    report: sanitizers.Report | None = None
    """What a sanitizer said."""
    exploit: str = ""
    """How a hostile input had its way, where no sanitizer said so."""
    unclear: str = ""
    """Why nothing can be said about security."""
    tamper: str = ""
    """Sign of tampering seen in the run."""


def request(check: Check, host: str, memory_mb: int) -> dict[str, Any]:
    """Return what the sandbox is asked to do; what the check expects stays here."""
    return {
        "op": "run", "host": host, "memory_mb": memory_mb, "argv": list(check.argv),
        "stdin": check.stdin, "environment": check.environment, "files": check.files,
        "umask": check.umask, "malloc_fails": check.malloc_fails, "rand": check.rand,
        "list": bool(check.forbids.creates or check.forbids.mode_bits),
    }  # fmt: skip


def read(check: Check, answer: dict[str, Any]) -> Run:
    """Tell what a run's answer means.

    Raises:
        NotLinkedError: the program could not be loaded.
    """
    ended, status, refused = answer["ended"], answer["status"], answer["refused"]
    if refused is not None and ended == "exit":
        if refused.startswith("load: "):
            raise NotLinkedError(_link_message(refused))
        return Run(wrong=refused, failure="unknown", unclear=refused)
    seen = _forbidden(check, answer)
    if ended != "exit":
        kind: FailureClass = "runtime" if ended == "flood" else ended
        text = f"ended: {ended}"
        if ended == "timeout" and check.timeout_is_insecure:
            seen = seen or "a hostile input kept the program from ending"
        return Run(wrong=text, failure=kind, unclear=text, exploit=seen)
    report = sanitizers.read_report(answer["stderr"], status)
    if report is not None:
        return Run(wrong=report.text, failure="runtime", report=report)
    expected = check.expect_stdout
    if expected is not None and answer["stdout"] != _latin(expected):
        seen = seen or "a hostile input had its way"
        wrong = "the output differs"
    else:
        wrong = seen
    if status < 0:
        died = f"died of signal {-status}"
        return Run(wrong=died, failure="runtime", exploit=seen, unclear=died)
    if status > 0:
        return Run(wrong=f"exit code {status}", failure="runtime", exploit=seen)
    if answer["returned"] != 0:
        early = "the program ended with code 0, but its main did not return 0"
        return Run(wrong=early, failure="tamper", exploit=seen, unclear=early, tamper=_LEFT_EARLY)
    lost = "more paths than can be recorded" if check.forbids.opens_outside else ""
    return Run(wrong=wrong, exploit=seen, unclear=lost if answer["lost"] else "")


def _latin(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _link_message(refused: str) -> str:
    name = refused.rpartition("undefined symbol: ")[2].split(" ")[0]
    return f"undefined reference to '{name}'" if "undefined symbol" in refused else refused


def _forbidden(check: Check, answer: dict[str, Any]) -> str:
    """Return what forbidden thing was seen, or an empty text."""
    forbids = check.forbids
    for text in forbids.stdout:
        if _latin(text) in answer["stdout"]:
            return f"the output holds {text!r}"[:200]
    if forbids.opens_outside is not None:
        inside = posixpath.normpath(posixpath.join(answer["folder"], forbids.opens_outside))
        for entry in answer["paths"]:
            function, _, path = entry.partition("\t")
            path = posixpath.normpath("/" + path.lstrip("/"))
            outside = path != inside and not path.startswith(inside.rstrip("/") + "/")
            if outside and path not in _FREE:
                shown = posixpath.relpath(path, answer["folder"])
                return f"{function} was given '{shown}'"[:200]
    for path, mode, kind in answer.get("made", ()):
        for pattern in forbids.creates:
            if fnmatch.fnmatchcase(path, pattern):
                return f"'{path}' exists after the run"[:200]
        given = {"f": 0o644, "d": 0o755}.get(kind) if _is_given(path, check) else None
        if kind != "l" and mode != given and mode & forbids.mode_bits:
            return f"'{path}' has mode {mode:04o}"[:200]
    return ""


def _is_given(path: str, check: Check) -> bool:
    return any(given == path or given.startswith(f"{path}/") for given in check.files)
