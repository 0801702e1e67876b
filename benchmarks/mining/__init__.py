# SPDX-License-Identifier: Apache-2.0
"""Mining measured: speed, memory, and what is found again of pairs that people checked."""
