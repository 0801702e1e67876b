# SPDX-License-Identifier: Apache-2.0
"""What a backend says of itself (its module's ``CARD``)."""

from __future__ import annotations

from codetemper.core.records import Record


class BackendCard(Record):
    """A backend in one glance."""

    name: str
    """The word before the colon in a model expression."""
    summary: str
    """One sentence."""
    needs: tuple[str, ...] = ()
    """Extras that must be installed."""
    can: tuple[str, ...] = ()
    """What its models offer, of ``generate``, ``logprobs``, ``activations``, ``weights``,
    ``gradients``."""
