# SPDX-License-Identifier: Apache-2.0
"""Names that a C program has from its headers, from the compiler, and from what analysers know.

Looked up with the preprocessor, each header once a process. Nothing is parsed: a name counts as a
header's wherever it stands in its text.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from codetemper.judges._static.form import Installed, ScanFailedError, run

NAME = re.compile(r"\b[A-Za-z_]\w*", re.ASCII)
CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(", re.ASCII)
_MACRO = re.compile(r"^#define (\w+)", re.MULTILINE)
_MARK = re.compile(r"^#.*$", re.MULTILINE)


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


#: Keywords of GNU C.
WORDS = words(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "typeof union unsigned void volatile while _Alignas _Alignof _Atomic _Bool _Complex _Generic "
    "_Noreturn _Static_assert _Thread_local __VA_ARGS__"
)
#: Headers of the system that programs may share, without their ending.
HEADERS = words(
    "aio alloca arpa/inet assert complex ctype dirent dlfcn err errno error fcntl fenv float "
    "fnmatch getopt glob grp iconv inttypes iso646 langinfo libgen libintl limits link locale "
    "malloc math mntent mqueue net/if netdb netinet/in obstack poll printf pthread pty pwd regex "
    "resolv sched search semaphore setjmp shadow signal spawn stdalign stdarg stdatomic stdbool "
    "stddef stdint stdio stdio_ext stdlib stdnoreturn string strings sys/file sys/inotify "
    "sys/ioctl sys/ipc sys/mman sys/mount sys/msg sys/poll sys/prctl sys/ptrace sys/random "
    "sys/resource sys/select sys/sem sys/sendfile sys/shm sys/socket sys/stat sys/statvfs "
    "sys/syscall sys/time sys/times sys/types sys/uio sys/un sys/utsname sys/wait sys/xattr "
    "syslog tar termios threads time uchar unistd utime utmp utmpx wchar wctype wordexp"
)
#: Functions in none of these that analysers know by name: kernel, GLib, and what never returns.
_NAMED = words(
    "Assert assfail db_error dtrace_assfail panic ziperr yy_fatal_error gets gets_s getwd getpw "
    "kmalloc kcalloc krealloc kzalloc kfree kvfree vmalloc vfree kstrdup copy_from_user "
    "copy_to_user g_malloc g_malloc0 g_try_malloc g_try_malloc0 g_malloc_n g_malloc0_n "
    "g_try_malloc_n g_try_malloc0_n g_realloc g_try_realloc g_realloc_n g_try_realloc_n g_free "
    "g_memdup g_strdup strlcpy strlcat strtonum arc4random arc4random_buf bcmp memset_s strcpy_s "
    "strcat_s scanf_s fscanf_s sscanf_s fopen_s mktemp tmpnam tempnam setproctitle dispatch_once "
    "dispatch_async dispatch_after postEvent funopen fgetln"
)


@dataclass(frozen=True)
class Known:
    """Names that a program has from its headers, and from the compiler.

    Attributes:
        names: anywhere in the headers' text, also of members.
        macros: defined there.
    """

    names: frozenset[str]
    macros: frozenset[str]

    def has(self, name: str) -> bool:
        """Return whether a name is not the program's own."""
        return name in self.names or name in self.macros

    def declared(self, name: str) -> bool:
        """Return whether a name could be declared by a header."""
        return name in self.names and name not in self.macros and name not in WORDS


class Preprocessor:
    """Preprocesses C by a compiler, macros kept.

    Args:
        program: gcc or clang.
    """

    def __init__(self, program: Installed) -> None:
        self._program = program

    def __call__(self, text: str) -> str:
        """Return what the preprocessor makes of a text.

        Raises:
            ScanFailedError: the compiler is not installed, or it failed.
        """
        with tempfile.TemporaryDirectory(prefix="codetemper-names-") as folder:
            (Path(folder) / "names.c").write_text(text, "ascii")
            command = [self._program.path, "-std=gnu11", "-E", "-dD", "names.c"]
            done = run(command, Path(folder), 60)
        if done.status:
            raise ScanFailedError(f"the preprocessor said: {done.stderr[-300:]}")
        return done.stdout


class Library:
    """The names of the system's headers, each looked up once.

    Args:
        preprocess: from C text to what the preprocessor makes of it, macros kept (``-E -dD``).
    """

    def __init__(self, preprocess: Callable[[str], str]) -> None:
        self._preprocess = preprocess
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, ...], threading.Lock] = {}
        self._headers: dict[tuple[str, ...], Known | None] = {}
        self._sets: dict[tuple[str, ...], Known | None] = {}
        self._functions: frozenset[str] | None = None

    @property
    def functions(self) -> frozenset[str]:
        """Functions that analysers may know by name, whether a program declares them or not."""
        with self._turn(()):
            if self._functions is None:
                text = "#define _GNU_SOURCE 1\n" + "".join(
                    f"#if __has_include(<{name}.h>)\n#include <{name}.h>\n#endif\n"
                    for name in sorted(HEADERS)
                )
                text = _MARK.sub("", self._preprocess(text))
                self._functions = frozenset(CALLED.findall(text)) - WORDS | _NAMED
            return self._functions

    def known(self, switches: Sequence[str], headers: Sequence[str]) -> Known | None:
        """Return the names that headers bring, after feature switches; None where one is missing.

        Args:
            switches: directives such as ``#define _GNU_SOURCE``.
            headers: names without brackets and ending.
        """
        key = (*switches, "", *headers)
        if key not in self._sets:
            parts = [self._one((*switches, header)) for header in dict.fromkeys(headers)]
            self._sets[key] = None if None in parts else _union(part for part in parts if part)
        return self._sets[key]

    def learn(self, wanted: Collection[tuple[Sequence[str], Sequence[str]]], workers: int) -> None:
        """Look up what many programs need, side by side.

        Args:
            wanted: feature switches and headers of each.
            workers: look-ups at a time.
        """
        keys = {(*switches, header) for switches, headers in wanted for header in headers}
        with ThreadPoolExecutor(workers) as pool:
            longest = pool.submit(lambda: self.functions)
            for _ in pool.map(self._one, sorted(keys)):
                pass
            longest.result()

    def _turn(self, key: tuple[str, ...]) -> threading.Lock:
        """Return what keeps two threads from the same look-up."""
        with self._lock:
            return self._turns.setdefault(key, threading.Lock())

    def _one(self, key: tuple[str, ...]) -> Known | None:
        with self._turn(key):
            if key not in self._headers:
                *switches, header = key
                try:
                    text = self._preprocess("\n".join([*switches, f"#include <{header}.h>", ""]))
                except ScanFailedError:
                    self._headers[key] = None
                else:
                    self._headers[key] = Known(
                        names=frozenset(NAME.findall(_MARK.sub("", text))),
                        macros=frozenset(_MACRO.findall(text)),
                    )
            return self._headers[key]


def _union(parts: Iterable[Known]) -> Known:
    names: set[str] = set()
    macros: set[str] = set()
    for part in parts:
        names |= part.names
        macros |= part.macros
    return Known(frozenset(names), frozenset(macros))
