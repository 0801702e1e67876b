# SPDX-License-Identifier: Apache-2.0
"""The verbs: load, run, write, record. The only layer that writes to a workspace.

    >>> from codetemper.api import evaluation, treatments
    >>> from codetemper.core.workspace import Workspace
    >>> workspace = Workspace.create(Path("."))
    >>> run = evaluation.evaluate(workspace, "seedling", "world-sql", Sampling(n=2))
    >>> run.scorecard.metrics["exec_match"].value

Each verb takes records and gives a record; progress comes as events. Nothing here prints, and
importing it loads no torch: a model is loaded when a verb needs one.
"""
