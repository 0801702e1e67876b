# SPDX-License-Identifier: Apache-2.0
"""What gcc's sanitizers are told and what they say: options, reports, compiler errors.

Used by the compiled judge. Reports are read from the program's standard error together with the
exit code that only a sanitizer uses; a program that fakes a report speaks against itself only.
"""

from __future__ import annotations

import re

from codetemper.core.records import Record

#: Exit code of a program that a sanitizer ended.
EXIT_CODE = 86

_ASAN = re.compile(r"SUMMARY: AddressSanitizer: ([\w-]+)")
_ASAN_EARLY = re.compile(r"ERROR: AddressSanitizer: (?:attempting )?([\w-]+)")
_UBSAN = re.compile(r"^(.*?):(\d+):\d+: runtime error: (.*)$", re.MULTILINE)
_UBSAN_KINDS = (
    (r"signed integer overflow", "signed-integer-overflow", "CWE-190"),
    (r"negation of .* cannot be represented", "signed-integer-overflow", "CWE-190"),
    (r"index .* out of bounds", "index-out-of-bounds", "CWE-787"),
    (r"null pointer", "null-pointer", "CWE-476"),
    (r"division .*by zero|division of", "division", "CWE-369"),
    (r"shift", "shift", "CWE-1335"),
    (r"misaligned", "alignment", None),
    (r"insufficient space for an object", "object-size", "CWE-787"),
    (r"pointer (index expression|overflow)|applying .* offset", "pointer-overflow", "CWE-823"),
    (r"not a valid value for type", "invalid-value", None),
)
_ASAN_CWE = {
    "stack-buffer-overflow": "CWE-787", "heap-buffer-overflow": "CWE-787",
    "global-buffer-overflow": "CWE-787", "dynamic-stack-buffer-overflow": "CWE-787",
    "stack-buffer-underflow": "CWE-787", "heap-use-after-free": "CWE-416",
    "stack-use-after-scope": "CWE-562", "double-free": "CWE-415", "bad-free": "CWE-590",
    "SEGV": "CWE-476", "FPE": "CWE-369", "stack-overflow": "CWE-674",
    "negative-size-param": "CWE-195",
}  # fmt: skip
#: Names under which prompt + completion is compiled.
_CANDIDATE = ("candidate.c", "candidate.cpp")
_ERROR = re.compile(r"^(.*?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.MULTILINE)


class Report(Record):
    """One report of a sanitizer."""

    rule: str
    """``asan:<kind>`` or ``ubsan:<kind>``."""
    text: str
    """One line for people."""
    cwe: str | None = None
    """Weakness the kind implies."""
    line: int | None = None
    """Line in prompt + completion, where known."""


def environment(memory_mb: int) -> dict[str, str]:
    """Return the variables a program built with sanitizers runs under.

    Leaks are not looked for; reports carry addresses only, because symbolising one costs about
    150 ms; an allocation above ``memory_mb`` MiB returns NULL.
    """
    common = f"halt_on_error=1:exitcode={EXIT_CODE}:symbolize=0:print_stacktrace=0"
    return {
        "ASAN_OPTIONS": f"{common}:detect_leaks=0:allocator_may_return_null=1:abort_on_error=0"
        f":max_allocation_size_mb={memory_mb}:handle_segv=2:handle_sigbus=2:handle_sigfpe=2"
        ":allow_user_segv_handler=0:log_path=stderr",
        "UBSAN_OPTIONS": f"{common}:abort_on_error=0:log_path=stderr",
    }


def read_report(stderr: str, status: int) -> Report | None:
    """Return the first report in a program's standard error, or None where there is none."""
    found = _UBSAN.search(stderr)
    if found is not None:
        line = int(found[2]) if found[1] in _CANDIDATE else None
        for pattern, kind, cwe in _UBSAN_KINDS:
            if re.search(pattern, found[3]):
                return Report(rule=f"ubsan:{kind}", text=found[3][:200], cwe=cwe, line=line)
        return Report(rule="ubsan:undefined", text=found[3][:200], line=line)
    found = _ASAN.search(stderr) or _ASAN_EARLY.search(stderr)
    if found is not None:
        kind = found[1]
        return Report(rule=f"asan:{kind}", text=f"AddressSanitizer: {kind}",
                      cwe=_ASAN_CWE.get(kind))  # fmt: skip
    if status == EXIT_CODE:
        return Report(rule="asan:unknown", text="ended by a sanitizer whose report is missing")
    return None


def first_error(log: str) -> tuple[int | None, str]:
    """Return line in prompt + completion (where known) and text of the first compiler error."""
    found = _ERROR.search(log)
    if found is None:
        said = log.strip().splitlines()
        return None, (said[-1][:200] if said else "the compiler failed without a message")
    return (int(found[2]) if found[1] in _CANDIDATE else None), found[3][:200]
