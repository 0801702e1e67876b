# SPDX-License-Identifier: Apache-2.0
"""Making results readable: the report page.

``report.render`` turns records into one HTML file. Nothing here reads a workspace or a model.
"""
