# SPDX-License-Identifier: Apache-2.0
"""The command ``codetemper``: one Typer app, its verbs in the files beside this one.

Parsing, printing and exit codes happen here; the work is in ``codetemper.api``. Nothing at import
time loads torch, pydantic or the workspace, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from typing import Annotated

import typer

from codetemper import __version__
from codetemper.cli import (
    account,
    audit,
    guard,
    measure,
    plant,
    refine,
    repair,
    review,
    screen,
    screen_data,
    start,
    study,
    treat,
)
from codetemper.core.errors import EXIT_UNKNOWN, EXIT_USAGE, CodetemperError

#: Typer's own error for a command line it cannot parse; it exports the subclass only.
CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]

#: Exit code of a command that was interrupted (as the shell reports SIGINT).
EXIT_STOPPED = 130

EXAMPLES = """Harden code language models with small, reversible, measured patches.

\b
  codetemper demo                            harden the embedded model, end to end
  codetemper eval seedling world-security-c  is this model safe?
  codetemper tune seedling mine-3fa9         make it safer, as a patch
"""

app = typer.Typer(
    name="codetemper",
    help=EXAMPLES,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for group in (
    start,
    measure,
    treat,
    refine,
    review,
    guard,
    screen_data,
    audit,
    plant,
    study,
    account,
    repair,
):
    group.register(app)


def _version(asked: bool) -> None:
    if asked:
        screen.out.print(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("-v", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Set what holds for every verb; without a verb, show the help."""
    if context.invoked_subcommand is None:
        screen.out.print(context.get_help(), markup=False)


def main() -> None:
    """Run the command line and exit with the code of the contract."""
    wants_json, verbose = "--json" in sys.argv, "-v" in sys.argv
    # peft asks transformers for it under its old name; a user can do nothing about that.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    try:
        code = app(prog_name="codetemper", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except CodetemperError as error:
        _fail(error.what, error.why, error.mend, error.exit_code, wants_json, verbose)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except CommandLineError as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "codetemper")
        why = str(getattr(error, "format_message", error.__str__)())
        _fail(
            "the command line was not understood",
            why,
            f"{command} --help",
            EXIT_USAGE,
            wants_json,
            verbose,
        )
    except (typer.Abort, KeyboardInterrupt):
        why, mend = "it was interrupted", "give the same command again; it goes on from here"
        _fail("stopped", why, mend, EXIT_STOPPED, wants_json, verbose)
    except Exception as error:  # the last door: a bug must not look like an answer
        _fail(
            f"an error nobody foresaw: {type(error).__name__}",
            str(error) or "no message",
            "run it again with -v and report what it prints",
            EXIT_UNKNOWN,
            wants_json,
            verbose,
        )


def _fail(what: str, why: str, mend: str, exit_code: int, wants_json: bool, verbose: bool) -> None:
    if verbose:
        screen.err.print(traceback.format_exc(), markup=False)
    if wants_json:
        error = {"what": what, "why": why, "mend": mend, "exit_code": exit_code}
        screen.write_json({"error": error})
    screen.failure(what, why, mend)
    sys.exit(exit_code)
