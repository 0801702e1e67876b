# SPDX-License-Identifier: Apache-2.0
"""Signs in a C or C++ source that it plays with its judge instead of solving its task.

``signs`` names them; they become ``Verdict.flags``. ``forging`` is the part that could fake the
proof that ``main`` returned, or hide a weakness: a pass of such a program is not believed. Comments
and string contents do not count, except where the sign is a path.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(
    r'//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z)|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')', re.DOTALL
)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
_SPLICE = re.compile(r"(?:\\|\?\?/)[ \t]*\n")

#: Signs that could forge a verdict.
_FORGING = {
    "sanitizer": r"no_sanitize|__(?:asan|ubsan|lsan|sanitizer|interceptor)_\w*|no_address_safety",
    "asm": r"\b(?:asm|__asm|__asm__)\b",
    "frame": r"__builtin_(?:frame_address|return_address|unwind_init|eh_return|apply\w*|longjmp)\b",
    "judge": r"\bjudge_\w+|__(?:wrap|real)_\w+|\binterpose_\w+",
    "linkage": r"(?:__attribute__\s*\(\(|\[\[)[^;{}]*?"
               r"\b_*(?:section|ifunc|alias|weakref|naked|init_priority|symver)_*\b",
    "paste": r"##",
    "macro-stack": r"\b(?:push|pop)_macro\b",
    "include": r"#\s*(?:include|include_next|import|embed)\s*(?:[<\"][^>\"\n]*"
               r"(?:\.\.|/proc|/dev|/tmp|candidate|driver|prelude)|[<\"]\s*/|__FILE__|[A-Za-z_])",
    "include-depth": r"__(?:INCLUDE_LEVEL|BASE_FILE)__",
}  # fmt: skip
#: Signs that are odd in a solution and enough to keep it out of training.
_ODD = {
    "constructor": r"(?:__attribute__\s*\(\(|\[\[)[^;{}]*?\b_*(?:con|de)structor_*\b",
    "exit": r"\b(?:_exit|_Exit|quick_exit|at_quick_exit|atexit|on_exit)\b",
    "syscall": r"\bsyscall\b|\b__NR_\w+|\bSYS_\w+",
    "dynamic": r"\bdl(?:sym|open|mopen|info|addr|_iterate_phdr)\b",
    "signal": r"\b(?:sigaction|sigaltstack|signal|sigqueue|tgkill)\s*\(",
    "jump": r"\b_*(?:sig)?(?:setjmp|longjmp)\b|\b(?:set|get|make|swap)context\b",
    "trace": r"\bptrace\b|\bprocess_vm_\w+|\bprctl\b|\bmprotect\b",
}  # fmt: skip
_PATHS = re.compile(r"/proc/|/dev/fd|/dev/mem|/sys/")
_RESERVED = re.compile(r"#\s*(?:define|undef)\s+(__\w+|_[A-Z]\w*)")
_KEYWORDS = (
    "auto break case char class const continue default do double else enum extern float for goto "
    "if inline int long new private protected public register return short signed sizeof static "
    "struct switch template this throw try typedef union unsigned using virtual void volatile "
    "while main"
)
_KEYWORD = re.compile(rf"#\s*(?:define|undef)\s+({'|'.join(_KEYWORDS.split())})\b")


def _bare(source: str) -> tuple[str, str]:
    """Return the source without comments, and the same without the contents of strings."""
    text = _SPLICE.sub("", source)
    text = text.replace("%:", "#").replace("??=", "#")
    text = _COMMENT.sub(lambda match: match[1] or " ", text)
    lines = []
    for line in text.split("\n"):
        directive = re.match(r"\s*#\s*(?:include|import|embed|pragma)", line)
        lines.append(line if directive or "_Pragma" in line else _STRING.sub('""', line))
    return text, "\n".join(lines)


def forging(source: str) -> list[str]:
    """Return the names of signs that could fake a verdict."""
    _, code = _bare(source)
    found = [name for name, pattern in _FORGING.items() if re.search(pattern, code)]
    if _KEYWORD.search(code):
        found.append("keyword-macro")
    if _RESERVED.search(code):
        found.append("reserved-macro")
    return found


def signs(source: str) -> tuple[str, ...]:
    """Return the names of all signs of tampering in a source, forging ones first."""
    text, code = _bare(source)
    found = forging(source)
    found += [name for name, pattern in _ODD.items() if re.search(pattern, code)]
    if _PATHS.search(text):
        found.append("path")
    return tuple(found)
