# SPDX-License-Identifier: Apache-2.0
"""The words of the house: records, digests, errors, statistics, workspace, ledger. No torch."""
