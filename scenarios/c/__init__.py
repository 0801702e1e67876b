# SPDX-License-Identifier: Apache-2.0
"""Scenarios of one suite; each module has ``CASES``."""
