# SPDX-License-Identifier: Apache-2.0
"""Evaluation: suites, the harness from cases to scorecards, and the gate between two of them."""
