# SPDX-License-Identifier: Apache-2.0
"""Training data: mining a git history for fixes, and corpora on disk. Loads no torch."""
