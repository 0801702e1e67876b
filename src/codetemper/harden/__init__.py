# SPDX-License-Identifier: Apache-2.0
"""Treatments: each file here makes one kind of patch out of a model and data.

A treatment is a module with ``CARD``, ``Config`` and one function. This file holds what all of
them say of themselves; it imports none of them, so listing treatments loads no torch.
"""

from __future__ import annotations

from typing import Literal

from codetemper.core.records import Record


class TechniqueCard(Record):
    """What a treatment says of itself."""

    name: str
    """Name of its file."""
    summary: str
    """One sentence: what it makes of what."""
    paper: str
    """arXiv id of the work it follows."""
    paper_title: str
    """Authors and year, for people."""
    differs: str = ""
    """What is done otherwise than in the paper, and why."""
    needs: tuple[str, ...]
    """What a model must be able to do: ``generate``, ``gradients``, ``weights``, ..."""
    data: str
    """Record class of the corpus it reads."""
    patch: Literal["adapter", "rows"]
    """Kind of patch it makes."""
    cost: str
    """What it takes, in words with magnitudes."""
