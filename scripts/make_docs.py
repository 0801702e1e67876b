# SPDX-License-Identifier: Apache-2.0
"""Write ``docs/cli.md`` from the command line itself: ``python scripts/make_docs.py [--check]``.

Walks the typer application ``codetemper.cli.app.app``; ``--check`` compares instead of writing and
exits with 1 where the page is out of date. It writes no other page.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD = """\
# The command line

<!-- Written by scripts/make_docs.py from the program itself; `make docs` writes it again. -->

Every verb answers `--help`. Exit codes: 0 yes; 1 the answer is no; 2 usage; 3 could not know;
4 integrity broken.
"""


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every visible command below ``command`` with its words, groups before members."""
    yield path, command
    for name, member in getattr(command, "commands", {}).items():
        if not member.hidden:
            yield from commands(member, (*path, name))


def section(path: tuple[str, ...], command: Any) -> str:
    """Return one command's part of the page, as Markdown."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and _shown(p)]
    members = list(getattr(command, "commands", {}))
    words = [*path, *(_argument(p) for p in arguments), *(["[OPTIONS]"] if options else [])]
    words += ["COMMAND ..."] if members else []
    parts = [f"{'#' * min(1 + len(path), 4)} {' '.join(path)}", f"```\n{' '.join(words)}\n```"]
    text = _prose(command.help or "")
    if text:
        parts.append(text)
    names = {_argument(p): p for p in arguments}
    names |= {", ".join((*p.opts, *p.secondary_opts)): p for p in options}
    rows = [f"- `{name}`: {_sentence(p)}".removesuffix(": ") for name, p in names.items()]
    if rows:
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _shown(param: Any) -> bool:
    # Shell completion is typer's own, and words its help by the shell it finds.
    return not param.hidden and not param.name.endswith("_completion")


def _prose(text: str) -> str:
    """Clean a help text: marks for the terminal go, indented examples become a code block."""
    text = re.sub(r"\[/?(bold|dim|italic|green|red|yellow|cyan)\]", "", text.replace("\b", ""))
    blocks = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text).split("\f")[0]):
        lines = block.rstrip().splitlines()
        if lines and all(re.match(r"\s+|(\$ )?codetemper ", line) for line in lines):
            blocks.append("```\n" + "\n".join(line.strip() for line in lines) + "\n```")
        else:
            blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(block for block in blocks if block.strip())


def _argument(param: Any) -> str:
    name = (param.metavar or param.name).upper().strip("[]")
    name += "..." if param.nargs == -1 and not name.endswith("...") else ""
    return name if param.required else f"[{name}]"


def _sentence(param: Any) -> str:
    text = " ".join((getattr(param, "help", None) or "").split())
    default = param.default
    absent = default is None or default in ((), [], "")
    if param.required or absent or callable(default) or getattr(param, "is_flag", False):
        return text
    return f"{text} Default: `{getattr(default, 'value', default)}`.".strip()


def page(app: typer.Typer) -> str:
    """Return the whole page for an application."""
    top = typer.main.get_command(app)
    sections = [section(path, command) for path, command in commands(top, ("codetemper",))]
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


def main() -> int:
    """Write or check the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    from codetemper.cli.app import app

    text = page(app)
    if not options.check:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == text:
        return 0
    print("docs/cli.md is not what the program says of itself; run: make docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
