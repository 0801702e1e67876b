# SPDX-License-Identifier: Apache-2.0
"""codetemper: harden code language models with small, reversible, measured patches.

Importing this package loads no torch and touches no network. The verbs live in
``codetemper.api``; the words everything is said in live in ``codetemper.core``.
"""

__version__ = "0.1.0"
