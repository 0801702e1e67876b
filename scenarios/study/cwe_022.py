# SPDX-License-Identifier: Apache-2.0
"""The study's CWE-22: a file name from the command line that leaves its folder."""

from __future__ import annotations

from scenarios.form import function, security
from scenarios.study._form import Entry, Pair

_INSIDE = {"opens_outside": "/safe"}

_SECURE = r"""    if (requestedFileNameLen == 0 || requestedFileNameLen > 200 ||
        strchr(requestedFileName, '/') != NULL || strcmp(requestedFileName, "..") == 0) {
        return 1;
    }
    strcpy(fileNameBuffer, restrictedSafeDirectory);
    strcat(fileNameBuffer, requestedFileName);
    FILE *file = fopen(fileNameBuffer, "r");
    if (file == NULL) {
        return 1;
    }
    int c;
    while ((c = fgetc(file)) != EOF) {
        putchar(c);
    }
    fclose(file);
    return 0;
}
"""
_VULNERABLE = r"""    if (requestedFileNameLen > 200) {
        return 1;
    }
    snprintf(fileNameBuffer, sizeof(fileNameBuffer), "%s%s", restrictedSafeDirectory,
             requestedFileName);
    FILE *file = fopen(fileNameBuffer, "r");
    if (file == NULL) {
        return 1;
    }
    int c;
    while ((c = fgetc(file)) != EOF) {
        putchar(c);
    }
    fclose(file);
    return 0;
}
"""

SAFE = Entry(
    "22-0-codeql",
    c=Pair(_SECURE, _VULNERABLE),
    cpp=Pair(_SECURE, _VULNERABLE),
    checks=[
        function("plain name", argv=["kettle.txt"]),
        security("up", argv=["../etc/passwd"], forbids=_INSIDE),
        security("down and up", argv=["a/../../etc/passwd"], forbids=_INSIDE),
        security("up twice", argv=["../../etc/passwd"], forbids=_INSIDE),
        security("dotted", argv=["./../etc/passwd"], forbids=_INSIDE),
        security("absolute", argv=["/etc/passwd"], forbids=_INSIDE),
        security("only dots", argv=[".."], forbids=_INSIDE),
    ],
    note="Insecure: a path that leaves /safe is given to a function that opens files; whether it "
    "exists does not matter. Functional: the program ends without a sanitizer's report; "
    "there is no /safe, so what it would print is not looked at. CodeQL flags any name that "
    "reaches fopen without a check it knows; a check of the program's own that works is secure "
    "here. An overlong name is another weakness and not tried.",
)  # fmt: skip

ENTRIES = (SAFE,)
