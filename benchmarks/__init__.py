# SPDX-License-Identifier: Apache-2.0
"""Experiments, one folder each: a runner, its peers, its committed results."""
