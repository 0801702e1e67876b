# SPDX-License-Identifier: Apache-2.0
"""Hand-written suites for real models: scenarios as Python modules, written out as shipped suites.

One folder a suite, one module a weakness (or a theme); each module has ``CASES``. Nothing here is
imported by the package: it reads what ``python -m scenarios.write`` wrote.
"""
