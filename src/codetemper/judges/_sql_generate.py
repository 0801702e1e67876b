# SPDX-License-Identifier: Apache-2.0
"""More databases for a case, chosen so that wrong queries do not match by accident.

Used by the judge ``sql``. Of several random databases those are kept that tell the most near misses
of the gold query (``_sql_mutants``) from it, beyond what the given databases and those kept before
tell apart. A database on which the gold query's own answer depends on the order that rows are
stored in (a tie under LIMIT, say) is never used: a right query might fail on it. So there can be
fewer than were asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from codetemper.core.errors import UsageError
from codetemper.judges._sql_mutants import mutants, sample, shuffled
from codetemper.judges._sql_rows import same_rows
from codetemper.judges._sql_sandbox import Answer, Ground, Question
from codetemper.judges._sql_values import script, with_facts

Ask = Callable[[Sequence[Question]], list[Answer]]

#: Random databases looked at for each that is asked for, and beside those.
_TRIES_EACH, _TRIES_MORE = 3, 5
_KEPT = 2048
#: Mutants that are tried on a schema, and kept of those that run.
_MUTANTS_TRIED, _MUTANTS = 160, 48
_NO_QUERY = frozenset({"syntax", "build", "refused", "ground"})
#: Turns the order of everything that has no ORDER BY; the rows are the same.
_REVERSED = "PRAGMA reverse_unordered_selects = ON;\n"

_made: dict[tuple[Any, ...], tuple[Ground, ...]] = {}


class Likeness(NamedTuple):
    """When two results are the same for a case."""

    ordered: bool = False
    semantics: str = "bag"
    columns: str = "any"

    def same(self, given: Answer, gold: Answer) -> bool:
        """Compare two answers that have rows."""
        return given.columns == gold.columns and same_rows(
            given.rows or (), gold.rows or (), ordered=self.ordered,
            semantics=self.semantics, columns=self.columns,
        )  # fmt: skip


def generate_databases(
    ask: Ask,
    gold: str,
    *,
    schema: str,
    given: Sequence[Ground],
    count: int,
    seed: int,
    likeness: Likeness,
    keep: bool = True,
    case: str = "",
) -> tuple[Ground, ...]:
    """Return databases beyond the given ones; the same arguments give the same databases.

    Args:
        ask: puts questions to a sandbox.
        gold: the gold query.
        schema: CREATE statements; empty where the first given database brings them.
        given: databases there are already.
        count: how many to return at most.
        seed: seed of their rows.
        likeness: how results are compared.
        keep: whether what holds in the given databases shall hold in these.
        case: name of the case, for errors.

    Raises:
        UsageError: the schema cannot be made.
    """
    key = (gold, schema, tuple(given), _times(given), count, seed, likeness, keep)
    if key not in _made:
        if len(_made) >= _KEPT:
            _made.pop(next(iter(_made)), None)
        _made[key] = _generate(ask, gold, schema, given, count, seed, likeness, keep, case)
    return _made[key]


def _times(given: Sequence[Ground]) -> tuple[int, ...]:
    return tuple(os.stat(ground.path).st_mtime_ns for ground in given if ground.path)


def _generate(
    ask: Ask, gold: str, schema: str, given: Sequence[Ground], count: int, seed: int,
    likeness: Likeness, keep: bool, case: str,
) -> tuple[Ground, ...]:  # fmt: skip
    bases = list(given) or [Ground(schema)]
    told = ask([Question(base, None) for base in bases])
    broken = [answer.note for answer in told if answer.failure is not None]
    if broken:
        raise UsageError(
            f"case '{case}' cannot be judged: databases cannot be generated for it",
            why=broken[0], mend="correct 'spec.schema' of that case",
        )  # fmt: skip
    tables = with_facts([answer.tables for answer in told], keep=keep)
    schema = schema or ";\n".join(f"{table['sql']}" for table in tables) + ";"
    tries = [
        Ground(schema, script(tables, gold, f"{seed}/{number}/{gold}"))
        for number in range(_TRIES_EACH * count + _TRIES_MORE)
    ]
    stable = _stable(ask, gold, tries, likeness)
    killed = kills(ask, gold, near_misses(ask, gold, bases[0], tables), [*given, *stable], likeness)
    seen = set().union(*killed[: len(given)]) if given else set()
    chosen: list[int] = []
    for _ in range(min(count, len(stable))):
        best = max(
            (place for place in range(len(stable)) if place not in chosen),
            key=lambda place: (len(killed[len(given) + place] - seen), -place),
        )
        chosen.append(best)
        seen |= killed[len(given) + best]
    return tuple(stable[place] for place in chosen)


def _stable(ask: Ask, gold: str, tries: Sequence[Ground], likeness: Likeness) -> list[Ground]:
    """Return the databases on which the gold query has one answer, in whatever order rows lie."""
    turned = [Ground(ground.schema, _REVERSED + ground.script) for ground in tries]
    answers = ask([
        *(Question(ground, gold) for ground in (*tries, *turned)),
        *(Question(ground, shuffled(gold)) for ground in tries),
    ])  # fmt: skip
    count = len(tries)
    found = []
    for place, ground in enumerate(tries):
        answer, reverse, chance = (answers[place + part * count] for part in range(3))
        # Not every query may be ordered by chance, a UNION may not; then that tells nothing.
        others = [reverse] if chance.rows is None else [reverse, chance]
        if answer.rows is not None and all(
            other.rows is not None and likeness.same(other, answer) for other in others
        ):
            found.append(ground)
    return found


def near_misses(ask: Ask, gold: str, ground: Ground, tables: Sequence[dict[str, Any]]) -> list[str]:
    """Return mutants of a query that run on a database.

    Args:
        ask: puts questions to a sandbox.
        gold: the query to change.
        ground: any database with the schema.
        tables: the tables of that schema.
    """
    columns = {table["name"]: [column[0] for column in table["columns"]] for table in tables}
    queries = sample(mutants(gold, columns), _MUTANTS_TRIED)
    answers = ask([Question(ground, query) for query in queries])
    return sample(
        [q for q, a in zip(queries, answers, strict=True) if a.failure not in _NO_QUERY], _MUTANTS
    )


def kills(
    ask: Ask, gold: str, queries: Sequence[str], grounds: Sequence[Ground], likeness: Likeness
) -> list[set[int]]:
    """Tell which queries each database tells from the gold query, by their numbers."""
    every = [gold, *queries]
    answers = ask([Question(ground, query) for ground in grounds for query in every])
    found = []
    for place in range(len(grounds)):
        right, *others = answers[place * len(every) : (place + 1) * len(every)]
        found.append({
            number
            for number, other in enumerate(others)
            if other.failure not in _NO_QUERY
            and right.rows is not None
            and (other.rows is None or not likeness.same(other, right))
        })  # fmt: skip
    return found
