# SPDX-License-Identifier: Apache-2.0
"""``python -m codetemper`` is the command ``codetemper``."""

from codetemper.cli import main

main()
