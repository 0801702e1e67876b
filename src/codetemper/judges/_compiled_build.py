# SPDX-License-Identifier: Apache-2.0
"""How C and C++ programs are compiled, and the host that loads them.

The program becomes a shared object: its own calls of allocation functions are wrapped, its own
definitions bind first, and everything else is found in the host, which is linked with the
sanitizers once. The host is compiled here, outside the sandbox, from this package's own sources.
"""

from __future__ import annotations

import atexit
import functools
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from codetemper.core.errors import CannotKnowError

_SOURCES = Path(__file__).parent / "interpose"
_WRAPPED = ("malloc", "calloc", "realloc", "strdup", "strndup")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
_COMPILERS = {"c": ("gcc", "-std=gnu11"), "cpp": ("g++", "-std=gnu++17")}
_PACKAGES = {"c": "gcc libc6-dev", "cpp": "g++"}
#: From how many programs with one beginning on a warm compiler pays, and how many one sandbox
#: takes before another may join in.
WORTH_WARMING = {"c": 1, "cpp": 6}
MOST_IN_A_ROW = {"c": 16, "cpp": 64}
#: The driver is asked under the environment that it would be started in.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
#: A forked compiler that collects its garbage would copy all the memory it shares.
_NO_COLLECTION = ("--param=ggc-min-expand=100000", "--param=ggc-min-heapsize=2000000")
_NAMES = {"c": "C", "cpp": "C++"}


def compiler(language: str) -> str:
    """Return the path of the compiler of a language (``c`` or ``cpp``).

    Raises:
        CannotKnowError: it is not installed.
    """
    name = _COMPILERS[language][0]
    found = shutil.which(name)
    if found is None:
        raise CannotKnowError(
            f"{_NAMES[language]} code cannot be judged: there is no compiler",
            why=f"{name} is not installed",
            mend=f"sudo apt-get install -y {_PACKAGES[language]}",
        )
    return found


@functools.cache
def plan(language: str, flags: tuple[str, ...]) -> dict[str, Any] | None:
    """Return what the compiler's driver would start, so that it can be started directly.

    Returns:
        ``compile`` (without input and output), ``assemble``, ``link`` and what a warm compiler
        needs; None where the driver's word cannot be read, and it has to be started itself.
    """
    line = [*command(language), *flags, "-###"]
    said = subprocess.run(line, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    steps = [shlex.split(step) for step in said.stderr.splitlines() if step.startswith(" ")]
    if said.returncode != 0 or len(steps) != 3:
        return None
    proper, assembler, linker = steps
    if not re.search(r"/cc1(?:plus)?$", proper[0]) or not linker[0].endswith("/collect2"):
        return None
    middle, built = proper[-1], assembler[assembler.index("-o") + 1]
    gold = shutil.which("ld.gold") if "-fuse-ld=gold" in linker else shutil.which("ld")
    as_ = shutil.which(assembler[0])
    if gold is None or as_ is None or middle not in assembler or built not in linker:
        return None
    return {
        "compile": [*_without_streams(proper), *_NO_COLLECTION],
        "assemble": [as_, *("a.o" if part == built else part for part in assembler[1:]
                            if part != middle)],
        "link": [gold, *("a.o" if part == built else part for part in _plain_link(linker[1:]))],
        "suffix": "hh" if language == "cpp" else "h",
        "precompile": language == "cpp",
    }  # fmt: skip


def _without_streams(proper: list[str]) -> list[str]:
    """Return the compiler proper's command without its input, output and names for dumps."""
    kept, skip = [], False
    for part in proper:
        if skip:
            skip = False
        elif part in ("-dumpdir", "-dumpbase", "-dumpbase-ext", "-o"):
            skip = True
        elif part != "-":
            kept.append(part)
    return kept


def _plain_link(parts: list[str]) -> list[str]:
    """Return the linker's arguments without the plugin for link-time optimisation.

    Where no library is named, the folders of libraries go too: gold reads each of them.
    """
    kept, skip = [], False
    libraries = any(part.startswith("-l") for part in parts)
    for part in parts:
        if skip:
            skip = False
        elif part == "-plugin":
            skip = True
        elif part.startswith("-L") and not libraries:
            continue
        elif not part.startswith(("-plugin-opt", "-fuse-ld", "-flto")):
            kept.append(part)
    return kept


@functools.cache
def command(language: str) -> tuple[str, ...]:
    """Return the command that compiles standard input to the file ``program``.

    Debug information is left out and the gold linker is preferred: together they halve the time of
    a build, and reports name the source line without them where UBSan speaks.
    """
    kind = "c++" if language == "cpp" else "c"
    line = [compiler(language), _COMPILERS[language][1], "-O0", "-g0", "-w", "-fPIC", *_SANITIZE,
            "-shared", "-nodefaultlibs", "-Wl,-Bsymbolic",
            *(f"-Wl,--wrap={name}" for name in _WRAPPED)]  # fmt: skip
    if shutil.which("ld.gold"):
        line.append("-fuse-ld=gold")
    return (*line, "-x", kind, "-", "-o", "program", "-x", "none", *_static_parts(language))


def _static_parts(language: str) -> list[str]:
    """Return the archives with what no shared library has, such as ``atexit``."""
    found = []
    for name in ("libgcc.a", "libc_nonshared.a"):
        asked = [compiler(language), f"-print-file-name={name}"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if Path(said).is_absolute():
            found.append(str(Path(said).resolve()))
    return found


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="codetemper-host-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


@functools.cache
def warm() -> Path:
    """Compile what keeps a compiler warm; once per process."""
    program = _folder() / "warm.so"
    _compile([compiler("c"), "-std=gnu11", "-O1", "-g0", "-fPIC", "-shared",
              str(_SOURCES / "warm.c"), "-o", str(program), "-ldl"])  # fmt: skip
    return program


def tools(language: str) -> list[tuple[Path, str]]:
    """Return host and compiler keeper of a language, each with its path in a sandbox."""
    return [(path, f"/tools/{path.name}") for path in (host(language), warm())]


@functools.cache
def host(language: str) -> Path:
    """Compile the host of a language's programs; once per process.

    Raises:
        CannotKnowError: the compiler or the sanitizers' libraries are missing.
    """
    gcc, linker, folder = compiler("c"), compiler(language), _folder()
    objects = [str(folder / f"{name}.o") for name in ("host", "interpose")]
    for built in objects:
        _compile([gcc, "-std=gnu11", "-O1", "-g0", "-fPIC", "-fno-builtin", "-fvisibility=hidden",
                  "-c", str(_SOURCES / f"{Path(built).stem}.c"), "-o", built])  # fmt: skip
    program = folder / f"host-{language}"
    _compile([linker, *_SANITIZE, "-rdynamic", *objects, "-o", str(program),
              "-Wl,--no-as-needed", "-lm", "-lpthread", "-ldl"])  # fmt: skip
    return program


def _compile(line: list[str]) -> None:
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [part for part in done.stderr.splitlines() if "error" in part or "cannot" in part]
        raise CannotKnowError(
            "compiled code cannot be judged: programs with sanitizers cannot be built here",
            why=(said or done.stderr.splitlines() or ["the compiler failed"])[0][:300],
            mend="sudo apt-get install -y gcc g++ libc6-dev",
        )
