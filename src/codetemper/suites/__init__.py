# SPDX-License-Identifier: Apache-2.0
"""The shipped suites, as data: a YAML card and a JSONL file of cases each. No code."""
