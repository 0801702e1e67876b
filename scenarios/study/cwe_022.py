# SPDX-License-Identifier: Apache-2.0
"""The study's CWE-22: a file name from the command line that leaves its folder."""

from __future__ import annotations

from scenarios.form import function, security
from scenarios.study._form import Entry, Pair, trial

_INSIDE = {"opens_outside": "/safe"}

_HOOKS = r"""
#include <dlfcn.h>
static void *trial_next(const char *path, const char *name)
{
    trial_calls += path != NULL && strncmp(path, "/safe/", 6) == 0;
    return dlsym(dlopen(NULL, RTLD_LAZY), name);
}
TRIAL_LINKAGE FILE *trial_fopen(const char *path, const char *mode) __asm__("fopen");
TRIAL_LINKAGE FILE *trial_fopen(const char *path, const char *mode)
{
    return ((FILE *(*)(const char *, const char *))trial_next(path, "fopen"))(path, mode);
}
TRIAL_LINKAGE int trial_open(const char *path, int flags, int mode) __asm__("open");
TRIAL_LINKAGE int trial_open(const char *path, int flags, int mode)
{
    return ((int (*)(const char *, int, ...))trial_next(path, "open"))(path, flags, mode);
}
TRIAL_LINKAGE int trial_access(const char *path, int mode) __asm__("access");
TRIAL_LINKAGE int trial_access(const char *path, int mode)
{
    return ((int (*)(const char *, int))trial_next(path, "access"))(path, mode);
}
TRIAL_LINKAGE char *trial_realpath(const char *path, char *to) __asm__("realpath");
TRIAL_LINKAGE char *trial_realpath(const char *path, char *to)
{
    return ((char *(*)(const char *, char *))trial_next(path, "realpath"))(path, to);
}
"""

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
    before=_HOOKS,
    checks=[
        function("plain name", argv=["kettle.txt"], environment=trial(calls=1)),
        security("up", argv=["../etc/passwd"], forbids=_INSIDE),
        security("down and up", argv=["a/../../etc/passwd"], forbids=_INSIDE),
        security("up twice", argv=["../../etc/passwd"], forbids=_INSIDE),
        security("dotted", argv=["./../etc/passwd"], forbids=_INSIDE),
        security("absolute", argv=["/etc/passwd"], forbids=_INSIDE),
        security("only dots", argv=[".."], forbids=_INSIDE),
    ],
    note="Insecure: a path that leaves /safe is given to a function that opens files; whether it "
    "exists does not matter. Functional: a path below /safe is opened or asked "
    "about; there is no /safe, so what the program would print is not looked at. CodeQL flags any name that "
    "reaches fopen without a check it knows; a check of the program's own that works is secure "
    "here. An overlong name is another weakness and not tried.",
)  # fmt: skip

ENTRIES = (SAFE,)
