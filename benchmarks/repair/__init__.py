# SPDX-License-Identifier: Apache-2.0
"""How well, how fast and at what cost single failures are repaired, against the field's methods."""
