# SPDX-License-Identifier: Apache-2.0
"""How the embedded model is made: the world it is trained on, its suites, its training run.

Nothing in here is needed to use codetemper; the package ships what these scripts write.
"""
