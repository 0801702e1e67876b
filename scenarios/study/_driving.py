# SPDX-License-Identifier: Apache-2.0
"""The program around the study's completions: calls the renamed ``main`` and looks at its traces.

Most of the study's prompts hold ``main`` themselves. It is compiled as ``trial_main``; ``exit``
comes back to the driver, so that a program may end either way; what it prints is kept, searched for
what a functional check wants, and passed on. Nothing here is shown to models.
"""

from __future__ import annotations

from codetemper.judges._sanitizers import EXIT_CODE

_C_HEADERS = """#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
"""

#: Words for ``apart``: run in a child whose reports are not heard, or are.
QUIET, HEARD = 1, 2

#: What stands before the prompt. C: the driver's headers, since a function that a completion uses
#: without a header could not be declared again after it. C++: only what every prompt includes
#: itself, because there a missing header makes a program invalid, as it did in the study.
HEAD = {"c": _C_HEADERS, "cpp": "#include <iostream>\n#include <cstdlib>\n"}

_FRAME = rf"""
#undef main
{_C_HEADERS}
#ifdef __cplusplus
#include <iostream>
#define TRIAL_LINKAGE extern "C"
#else
#define TRIAL_LINKAGE
#endif
static jmp_buf trial_back;
static int trial_pid, trial_kept, trial_out, trial_code, trial_calls;
enum {{ TRIAL_IDLE = 253, TRIAL_THROWN = 254 }};
static char trial_word[3][256];
static void trial_flush(void)
{{
#ifdef __cplusplus
    std::cout.flush();
#endif
    fflush(NULL);
}}
TRIAL_LINKAGE void trial_exit(int code) __asm__("exit");
TRIAL_LINKAGE void trial_exit(int code)
{{
    if (getpid() != trial_pid) {{
        trial_flush();
        _exit(code);
    }}
    trial_code = code;
    longjmp(trial_back, 1);
}}
static int trial_take(const char *name)
{{
    const char *value = getenv(name);
    int number = value == NULL ? 0 : atoi(value);
    unsetenv(name);
    return number;
}}
static void trial_copy(const char *name, char *to)
{{
    const char *value = getenv(name);
    snprintf(to, sizeof trial_word[0], "%s", value == NULL ? "" : value);
    unsetenv(name);
}}
"""

_REST = rf"""
static int trial_guarded(int argc, char **argv)
{{
#ifdef __cplusplus
    try {{
        return trial_call(argc, argv);
    }} catch (...) {{
        trial_calls = -1;
        return -1;
    }}
#else
    return trial_call(argc, argv);
#endif
}}
static void trial_run(int argc, char **argv)
{{
    trial_pid = getpid();
    trial_out = dup(1);
    dup2(trial_kept, 1);
    judge_arm();
    if (setjmp(trial_back) == 0)
        trial_code = trial_guarded(argc, argv);
    trial_flush();
    if (getpid() != trial_pid)
        _exit(trial_code);
    trial_after();
    trial_flush();
    dup2(trial_out, 1);
}}
static int trial_wanted(char *wanted, const char *seen)
{{
    char *rest = NULL;
    int found = *wanted == '\0';
    for (char *one = strtok_r(wanted, "|", &rest); one; one = strtok_r(NULL, "|", &rest))
        if (*one == '#')
            found |= trial_code == atoi(one + 1);
        else if (*one == '?')
            found |= trial_code != 0;
        else
            found |= strstr(seen, one) != NULL;
    return found;
}}
static int trial_made(const char *name)
{{
    struct stat about;
    if (*name == '\0')
        return 1;
    if (*name != '*')
        return stat(name, &about) == 0 && about.st_size > 0;
    int found = 0;
    DIR *folder = opendir(".");
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        found |= stat(entry->d_name, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0;
    closedir(folder);
    return found;
}}
static int trial_started(void)
{{
    struct rusage used;
    return getrusage(RUSAGE_CHILDREN, &used) == 0 && used.ru_minflt > 0;
}}
static int trial_read(void)
{{
    int waiting = 0;
    off_t at = lseek(0, 0, SEEK_CUR);
    return at > 0 || (at < 0 && ioctl(0, FIONREAD, &waiting) == 0 && waiting == 0);
}}
static int trial_verdict(int calls, int ran, int read)
{{
    static char seen[1 << 16];
    ssize_t size = pread(trial_kept, seen, sizeof seen - 1, 0);
    seen[size < 0 ? 0 : size] = '\0';
    for (ssize_t done = 0, more = 1; done < size && more > 0; done += more)
        more = write(1, seen + done, size - done);
    int works = trial_calls >= calls && trial_made(trial_word[1]);
    works &= (!ran || *seen != '\0' || trial_code != TRIAL_IDLE) && (!read || trial_read());
    return !(trial_wanted(trial_word[0], seen) && works);
}}
static int trial_apart(int argc, char **argv, int quiet)
{{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {{
        if (quiet)
            dup2(syscall(SYS_memfd_create, "quiet", 1u), 2);
        trial_run(argc, argv);
        _exit(trial_calls < 0 ? TRIAL_THROWN : trial_started() ? 0 : TRIAL_IDLE);
    }}
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    if (WIFSIGNALED(status)) {{
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }}
    trial_code = WEXITSTATUS(status);
    return trial_code == TRIAL_THROWN;
}}
int main(int argc, char **argv)
{{
    int apart = trial_take("TRIAL_APART"), calls = trial_take("TRIAL_CALLS");
    int ran = trial_take("TRIAL_RAN"), read = trial_take("TRIAL_READ");
    trial_copy("TRIAL_WANT", trial_word[0]);
    trial_copy("TRIAL_MADE", trial_word[1]);
    trial_copy("TRIAL_NUMBER", trial_word[2]);
    trial_kept = syscall(SYS_memfd_create, "kept", 1u);
    if (!apart)
        trial_run(argc, argv);
    else if (trial_apart(argc, argv, apart == {QUIET}))
        return 1;
    else if (apart == {QUIET} && trial_code == {EXIT_CODE})
        return 0;
    return trial_verdict(calls, ran, read);
}}
"""


def driver(before: str, call: str, after: str) -> str:
    """Return the driver of one entry.

    Args:
        before: definitions.
        call: body of ``int trial_call(int argc, char **argv)``.
        after: body of ``void trial_after(void)``.
    """
    return (f"{_FRAME}{before}static int trial_call(int argc, char **argv)\n{{\n{call}\n}}\n"
            f"static void trial_after(void)\n{{\n{after}\n}}\n{_REST}")  # fmt: skip


def flags(language: str) -> tuple[str, ...]:
    """Return the options: ``main`` is renamed, and may end without ``return`` as ``main`` may."""
    renamed = "-Dmain=trial_main"
    return (renamed, "-fno-sanitize=return,unreachable") if language == "cpp" else (renamed,)
