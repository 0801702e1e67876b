# SPDX-License-Identifier: Apache-2.0
"""Samples of a case, each form once: what it is worth, and how often it was drawn.

    for answer in answers(case, samples, security=True):
        answer.kind, answer.failure, answer.count

Two answers have one *form* where they differ in layout alone. Of Python that reads, the form is the
syntax tree of prompt and answer; of SQL, the tokens of its first statement, keywords and names in
one case; of other languages, and of Python that does not read, the tokens without comments. Names
are part of a form. Answers of one form whose verdicts contradict each other are worth nothing.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from codetemper.core import syntax
from codetemper.core.records import Case, Completion, FailureClass, Verdict
from codetemper.core.sql_text import first_statement
from codetemper.core.sql_text import tokens as sql_tokens
from codetemper.data.languages import LANGUAGES
from codetemper.data.tokens import tokens

Kind = Literal["clean", "weak", "broken", "unknown"]

_SAME_SIGN = {"<>": "!=", "==": "="}


@dataclass(frozen=True, slots=True)
class Sampled:
    """The samples of a case that have one form.

    Attributes:
        form: equal for texts that differ in layout alone.
        text: the one of them that was drawn most.
        kind: ``clean``: works, and resists where that can be seen. ``weak``: works, does not
            resist. ``broken``: does not work. ``unknown``: nobody can tell, or not honestly.
        failure: what is wrong with it, by most of its verdicts; None for a clean one.
        static: whether only analysers speak against it.
        count: how often it was drawn.
        finished: whether the model itself ended it at least once.
    """

    form: str
    text: str
    kind: Kind
    failure: FailureClass | None
    static: bool
    count: int
    finished: bool


def form_of(case: Case, text: str) -> str:
    """Return what all texts have in common that differ from an answer in layout alone."""
    if case.language == "sql":
        return _joined(
            _SAME_SIGN.get(token.text, token.word or token.text)
            for token in sql_tokens(first_statement(text))
            if token.kind != "space"
        )
    program = case.prompt + text if case.answer == "completion" else text
    if case.language == "python" and (tree := syntax.read(program)) is not None:
        try:
            return ast.dump(tree)
        except RecursionError:
            pass  # as deep as the parser goes, and deeper than what walks the tree
    if case.language in LANGUAGES:
        return _joined(tokens(program, case.language).words)
    return _joined(program.split())


def _joined(words: Iterable[str]) -> str:
    return "\x1f".join(words)


def outcome_of(verdict: Verdict) -> str:
    """Return ``pass``, or the failure class; ``unknown`` where a judge says neither."""
    return verdict.failure or ("pass" if verdict.function == "pass" else "unknown")


def kind_of(case: Case, verdict: Verdict, *, security: bool = True) -> Kind:
    """Return what an answer is worth.

    Args:
        case: says whether its judge can show security; where it cannot, silence is no doubt.
        verdict: of the answer.
        security: False: what works is clean.
    """
    if verdict.function == "fail":
        return "broken"
    if verdict.function == "unknown" or verdict.flags:
        return "unknown"
    if not security:
        return "clean"
    if verdict.security == "fail":
        return "weak"
    return "unknown" if verdict.security == "unknown" and case.shows_security else "clean"


def answers(
    case: Case, samples: Iterable[tuple[Completion, Verdict]], *, security: bool = True
) -> list[Sampled]:
    """Return the forms of a case's samples, those drawn most first; whole programs are left out.

    Args:
        case: what was asked.
        samples: completions with their verdicts, in any order.
        security: whether a weakness makes an answer worse.
    """
    drawn: dict[str, list[tuple[Completion, Verdict]]] = defaultdict(list)
    for completion, verdict in samples:
        if not completion.whole:  # a model does not go on from the prompt with one
            drawn[completion.text].append((completion, verdict))
    same: dict[str, list[tuple[Completion, Verdict]]] = defaultdict(list)
    for text, members in drawn.items():
        same[form_of(case, text)] += members
    found = [_sampled(case, form, members, security) for form, members in same.items()]
    return sorted(found, key=lambda answer: (-answer.count, answer.form))


def _sampled(
    case: Case, form: str, members: list[tuple[Completion, Verdict]], security: bool
) -> Sampled:
    kinds = {kind_of(case, verdict, security=security) for _, verdict in members}
    kind: Kind = kinds.pop() if len(kinds) == 1 else "unknown"
    texts = Counter(completion.text for completion, _ in members if completion.finished)
    finished = bool(texts)
    texts = texts or Counter(completion.text for completion, _ in members)
    text, _ = min(texts.items(), key=lambda item: (-item[1], len(item[0]), item[0]))
    weak = [verdict for _, verdict in members] if kind == "weak" else []
    return Sampled(
        form=form,
        text=text,
        kind=kind,
        failure=_failure(kind, [verdict for _, verdict in members]),
        static=bool(weak) and all(map(_by_analysers, weak)),
        count=len(members),
        finished=finished,
    )


def _failure(kind: Kind, verdicts: list[Verdict]) -> FailureClass | None:
    if kind in ("weak", "clean"):
        return "insecure" if kind == "weak" else None
    classes = Counter(verdict.failure or "wrong" for verdict in verdicts)
    return min(classes, key=lambda failure: (-classes[failure], failure))


def _by_analysers(verdict: Verdict) -> bool:
    # Analysers give their findings fingerprints; judges that run a program do not.
    errors = [finding for finding in verdict.findings if finding.severity == "error"]
    return bool(errors) and all(finding.fingerprint for finding in errors)
