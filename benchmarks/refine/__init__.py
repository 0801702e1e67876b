# SPDX-License-Identifier: Apache-2.0
"""What a refinement gains, what its training step costs, and how long a whole round takes."""
