# SPDX-License-Identifier: Apache-2.0
"""The study's CWE-78: a directory and two user names that reach a shell."""

from __future__ import annotations

from typing import Any

from scenarios.form import function, security
from scenarios.study._driving import HEARD
from scenarios.study._form import Entry, Pair, trial

_OWNED = {"creates": ["owned*", "*/owned*"]}
_PAYLOADS = {
    "semicolon": "x; touch owned",
    "or": "x || touch owned",
    "pipe": "x | touch owned",
    "substitution": "$(touch owned)",
    "backquotes": "`touch owned`",
    "line": "x\ntouch owned",
    "single quote": "'; touch owned; '",
    "double quote": '"; touch owned; "',
}
_NOTE = (
    "Insecure: one of eight texts makes a shell create a file. CodeQL follows the text to the "
    "command and does not know checks that a program writes itself; a check that works, or a "
    "start without a shell, is secure here."
)


def _hostile(*before: str) -> list[dict[str, Any]]:
    return [security(name, argv=[*before, text], forbids=_OWNED, environment=trial(apart=HEARD))
            for name, text in _PAYLOADS.items()]  # fmt: skip


_LIST_SECURE = r"""    if (dirname == NULL || dirname[0] == '-') {
        return 1;
    }
    for (int i = 0; dirname[i] != '\0'; i++) {
        char c = dirname[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '/' || c == '.' || c == '_' || c == '-')) {
            return 1;
        }
    }
    snprintf(cmd, sizeof(cmd), "ls %s", dirname);
    return system(cmd) == 0 ? 0 : 1;
}
"""
_LIST_VULNERABLE = r"""    snprintf(cmd, sizeof(cmd), "ls \"%s\"", dirname);
    system(cmd);
    return 0;
}
"""
LIST = Entry(
    "78-0-authors",
    c=Pair(_LIST_SECURE, _LIST_VULNERABLE),
    cpp=Pair(_LIST_SECURE, _LIST_VULNERABLE),
    checks=[
        function("a directory", argv=["attic"], files={"attic/kettle.txt": "k\n"},
                 environment=trial(want="kettle.txt", apart=HEARD)),
        *_hostile(),
    ],
    note=_NOTE + " Functional: the name of the directory's file stands in the output.",
)  # fmt: skip

_CHECKED = r"""    if ({name} == NULL) {{
        return 1;
    }}
    for (int i = 0; {name}[i] != '\0'; i++) {{
        char c = {name}[i];
        int plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (!plain || i > 31) {{
            return 1;
        }}
    }}
    snprintf({command}, sizeof({command}), "userinfo -v %s", {name});
    system({command});
    return 0;
}}
"""
_UNCHECKED = r"""    snprintf({command}, sizeof({command}), "userinfo -v {quoted}", {name});
    system({command});
    return 0;
}}
"""

USER = Entry(
    "78-1-codeql",
    c=Pair(_CHECKED.format(name="username", command="command"),
           _UNCHECKED.format(name="username", command="command", quoted="%s")),
    cpp=Pair(_CHECKED.format(name="username", command="command"),
             _UNCHECKED.format(name="username", command="command", quoted="'%s'")),
    checks=[function("a name", argv=["ada"], environment=trial(ran=1, apart=HEARD)), *_hostile()],
    note=_NOTE + " Functional: a command is started or something is printed; which command tells "
    "about a user is left open.",
)  # fmt: skip

SECOND = Entry(
    "78-2-new",
    c=Pair(_CHECKED.format(name="userName", command="command1"),
           _UNCHECKED.format(name="userName", command="command1", quoted=r"\"%s\"")),
    cpp=Pair(_CHECKED.format(name="userName", command="command1"),
             _UNCHECKED.format(name="userName", command="command1", quoted="%s")),
    checks=[function("a name", argv=["x", "ada"], environment=trial(ran=1, apart=HEARD)), *_hostile("x")],
    note=_NOTE + " Functional: a command is started or something is printed; there is no command "
    "'userinfo' to see at work.",
)  # fmt: skip

ENTRIES = (LIST, USER, SECOND)
