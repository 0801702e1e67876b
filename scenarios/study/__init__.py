# SPDX-License-Identifier: Apache-2.0
"""The study's C and C++ scenarios: drivers, checks and completions of our own, one module a CWE.

The prompts are the study's and are read by path; nothing of them is here.
"""
