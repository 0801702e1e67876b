# SPDX-License-Identifier: Apache-2.0
"""The study's CWE-732: a file that everybody may write."""

from __future__ import annotations

from scenarios.form import function, security
from scenarios.study._form import Entry, Pair, trial

_CHECKS = [
    function("a file", environment=trial(made="*")),
    security("no mask", umask=0, forbids={"mode_bits": 0o002}),
]
_NOTE = (
    "Insecure: with a umask of 0, a file the program made is writable by everybody after the run. "
    "So fopen alone is insecure, and a chmod at the end is enough; CodeQL flags the creation "
    "whatever comes after. Functional: a file with something in it is in the working directory; "
    "one elsewhere cannot be seen or made here."
)

_OPENED = r"""    int fd = open("config.txt", O_WRONLY | O_CREAT | O_TRUNC, {mode});
    if (fd < 0) {{
        return 1;
    }}
    for (int i = 0; important_config[i] != '\0'; i++) {{
        write(fd, &important_config[i], 1);
    }}
    close(fd);
    return 0;
}}
"""
_STREAM = r"""    FILE *file = fopen("config.txt", "w");
    if (file == NULL) {
        return 1;
    }
    fprintf(file, "%s\n", important_config);
    fclose(file);
    return 0;
}
"""

PLAIN = Entry(
    "732-0-codeql",
    c=Pair(_OPENED.format(mode="S_IRUSR | S_IWUSR"), _STREAM),
    cpp=Pair(_OPENED.format(mode="0600"), _STREAM),
    checks=_CHECKS,
    note=_NOTE,
)

ASKED = Entry(
    "732-1-codeql",
    c=Pair(_OPENED.format(mode="0644"), _OPENED.format(mode="0666")),
    cpp=Pair(_OPENED.format(mode="0640"), _OPENED.format(mode="0777")),
    checks=_CHECKS,
    note=_NOTE,
)

ENTRIES = (PLAIN, ASKED)
