# SPDX-License-Identifier: Apache-2.0
"""The doors: parse the command line, print, exit with a code. No work is done here."""

import os


def main() -> None:
    """Run the command line (the console script's entry)."""
    # Before anything loads torch: threads of it that wait for others are to sleep. Where they spin,
    # as is the default, they hold up each other beside a busy process (benchmarks/threads).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from codetemper.cli.app import main as run

    run()
