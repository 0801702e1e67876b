# SPDX-License-Identifier: Apache-2.0
"""How C and C++ programs are compiled, and the host that loads them.

The program becomes a shared object: its own calls of allocation functions are wrapped, its own
definitions bind first, and everything else is found in the host, which is linked with the
sanitizers once. The host is compiled here, outside the sandbox, from this package's own sources.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from codetemper.core.errors import CannotKnowError

_SOURCES = Path(__file__).parent / "interpose"
_WRAPPED = ("malloc", "calloc", "realloc", "strdup", "strndup")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
_COMPILERS = {"c": ("gcc", "-std=gnu11"), "cpp": ("g++", "-std=gnu++17")}
_PACKAGES = {"c": "gcc libc6-dev", "cpp": "g++"}
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
    return (*line, "-x", kind, "-", "-o", "program", "-x", "none")


@functools.cache
def host(language: str) -> Path:
    """Compile the host of a language's programs; once per process.

    Raises:
        CannotKnowError: the compiler or the sanitizers' libraries are missing.
    """
    gcc, linker = compiler("c"), compiler(language)
    folder = Path(tempfile.mkdtemp(prefix="codetemper-host-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    objects = [str(folder / f"{name}.o") for name in ("host", "interpose")]
    for built in objects:
        _compile([gcc, "-std=gnu11", "-O1", "-g0", "-fPIC", "-fno-builtin", "-fvisibility=hidden",
                  "-c", str(_SOURCES / f"{Path(built).stem}.c"), "-o", built])  # fmt: skip
    program = folder / f"host-{language}"
    _compile([linker, *_SANITIZE, "-rdynamic", *objects, "-o", str(program),
              "-Wl,--no-as-needed", "-lm", "-lpthread", "-ldl"])  # fmt: skip
    folder.chmod(0o755)
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
