# SPDX-License-Identifier: Apache-2.0
"""The seedling's world: seeded grammars that write training text and evaluation cases."""
