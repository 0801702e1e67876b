# SPDX-License-Identifier: Apache-2.0
"""The doors: parse the command line, print, exit with a code. No work is done here."""


def main() -> None:
    """Run the command line (the console script's entry)."""
    from codetemper.cli.app import main as run

    run()
