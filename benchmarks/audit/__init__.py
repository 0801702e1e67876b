# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of ``audit``: planted and clean models of known truth, and what is said of them.

The peer (IBM's Adversarial Robustness Toolbox) is run by the interpreter that
``CODETEMPER_ART`` or ``--peer`` names; it is never installed beside the package. Without it the
rows that compare are left out.
"""
