# SPDX-License-Identifier: Apache-2.0
"""What all C++ scenarios share: the headers, the options and inputs of exactly their size.

All programs begin with the same headers, so that one compiler reads them once for all scenarios;
they are lenient too: a completion that forgot a header of the standard library still builds. Views
and vectors of the drivers fill their blocks, so that reading past them is seen. Nothing here is
shown to models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codetemper.core.records import Case
from scenarios.form import compiled

_NAMES = (
    "algorithm array cctype cerrno charconv cinttypes climits cmath cstddef cstdint cstdio cstdlib "
    "cstring filesystem fstream functional iomanip iostream iterator limits list map memory "
    "new numeric optional set sstream stdexcept string string_view system_error unordered_map "
    "unordered_set utility variant vector"
)
_UNIX = ("fcntl.h", "sys/stat.h", "sys/types.h", "sys/wait.h", "unistd.h")
HEADERS = "".join(f"#include <{name}>\n" for name in (*_NAMES.split(), *_UNIX))
#: Elements between the size and the capacity of a vector are poisoned.
FLAGS = ("-D_GLIBCXX_SANITIZE_VECTOR=1",)

#: ``std::string_view trial_view(const char *)``: a text without terminator in a block of its own.
VIEW = r"""
static std::string_view trial_view(const char* text) {
    std::size_t size = std::strlen(text);
    char* block = new char[size];
    std::memcpy(block, text, size);
    return {block, size};
}
"""

#: ``std::vector<std::uint8_t> trial_bytes(const char *)``: hexadecimal digits to bytes.
BYTES = r"""
static std::vector<std::uint8_t> trial_bytes(const char* digits) {
    std::vector<std::uint8_t> bytes(std::strlen(digits) / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        unsigned byte = 0;
        std::sscanf(digits + 2 * i, "%2x", &byte);
        bytes[i] = static_cast<std::uint8_t>(byte);
    }
    return bytes;
}
"""


def main(body: str) -> str:
    """Return a ``main`` with this body; exceptions that a completion lets out are shown."""
    return (
        "\nint main(int argc, char** argv) try {\n" + body.strip("\n") + "\n    return 0;\n"
        '} catch (const std::exception&) {\n    std::printf("exception");\n    return 0;\n}\n'
    )


def cpp(
    id: str,
    cwe: str,
    *,
    prompt: str,
    secure: str,
    vulnerable: str,
    driver: str,
    checks: Sequence[dict[str, Any]],
) -> Case:
    """Return a C++ case with the headers and options of all."""
    return compiled(
        id, cwe, prelude=HEADERS, prompt=prompt, secure=secure, vulnerable=vulnerable,
        driver=driver, checks=checks, language="cpp", flags=FLAGS,
    )  # fmt: skip
