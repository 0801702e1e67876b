# SPDX-License-Identifier: Apache-2.0
"""The model expression: one string that names any state of a model.

    [backend:]BASE[@revision](+PATCH)*

    seedling+tune-7f3a9c1b02d4
    hf:Qwen/Qwen2.5-Coder-0.5B@9e3c1f+guard-11ab02
    hf:/data/models/mine
    server:http://127.0.0.1:8000/v1#model-name

Without a backend the base is read by ``hf``; ``seedling`` alone is the model in this package.
``+``, ``@`` and ``%`` inside a base or a revision are written ``%2B``, ``%40`` and ``%25``.
Nothing is looked up here: whether the base or a patch exists is found out by who loads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codetemper.core.errors import UsageError

#: The base that ships inside the package.
SEEDLING = "seedling"

_BACKEND = re.compile(r"([a-z][a-z0-9_]*):(.*)", re.DOTALL)
_PATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ESCAPES = {"%2B": "+", "%40": "@", "%25": "%"}
_ESCAPED = re.compile("%2B|%40|%25", re.IGNORECASE)
_GRAMMAR = "[backend:]BASE[@revision](+PATCH)*"


@dataclass(frozen=True)
class Expression:
    """A parsed model expression; ``str`` gives its canonical text, which parses to an equal one.

    Attributes:
        backend: who reads the base: ``seedling``, ``hf``, ``server``, or a plugin's name.
        base: folder, hub id or address, unescaped; ``seedling`` for the shipped model.
        revision: version of the base where the backend has versions, else None.
        patches: patch ids or unique prefixes of ids, in the order they are attached.
    """

    backend: str
    base: str
    revision: str | None = None
    patches: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = SEEDLING if self.backend == SEEDLING else f"{self.backend}:{_escape(self.base)}"
        if self.revision is not None:
            text += f"@{_escape(self.revision)}"
        return text + "".join(f"+{patch}" for patch in self.patches)

    @property
    def bare(self) -> Expression:
        """The same base without patches."""
        return Expression(self.backend, self.base, self.revision)

    def plus(self, patch: str) -> Expression:
        """Return this expression with one more patch at its end."""
        return Expression(self.backend, self.base, self.revision, (*self.patches, patch))


def parse(text: str) -> Expression:
    """Read a model expression.

    Args:
        text: what the user wrote.

    Raises:
        UsageError: the text does not follow the grammar; the message names the part that is wrong.
    """
    head, *patches = text.strip().split("+")
    for patch in patches:
        if not _PATCH.fullmatch(patch):
            raise _refusal(text, f"'{patch}' cannot be the name of a patch")
    head, at, revision = head.partition("@")
    if at and (not revision or "@" in revision):
        raise _refusal(text, "there is not exactly one revision after '@'")
    if head == SEEDLING:
        if at:
            raise _refusal(text, "the shipped model has no revisions")
        return Expression(SEEDLING, SEEDLING, None, tuple(patches))
    named = _BACKEND.fullmatch(head)
    backend, base = (named[1], named[2]) if named else ("hf", head)
    if not base:
        raise _refusal(text, "the base is empty")
    if backend == SEEDLING:
        raise _refusal(text, "the shipped model takes no base of its own")
    base, revision = _unescape(base), _unescape(revision)
    return Expression(backend, base, revision or None, tuple(patches))


def _refusal(text: str, why: str) -> UsageError:
    return UsageError(
        f"'{text}' is not a model expression",
        why=why,
        mend=f"write {_GRAMMAR}, e.g. 'seedling', 'hf:PATH', 'hf:ORG/NAME@REVISION+PATCH'",
    )


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace("+", "%2B").replace("@", "%40")


def _unescape(part: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0].upper()], part)
