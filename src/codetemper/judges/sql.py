# SPDX-License-Identifier: Apache-2.0
"""Judge ``sql``: run a query and the gold query on small databases and compare the rows.

SQL is code, so it runs in the sandbox (``_sandbox/inside/sql.py``): on databases in memory, read
only, with an authorizer and a deadline. The gold query runs there in a process of its own, and
rows are compared here, so nothing a query does can show it what is expected. Scores: ``exec_match``
0 or 1, and the same under a name that tells the semantics, e.g. ``exec_match_bag`` or
``exec_match_set_nodistinct``. Security is ``unknown``: rows say nothing about it.

    >>> judge([(case, Completion(case=case.id, text="SELECT name FROM city"))])
"""

from __future__ import annotations

import threading
import time
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from codetemper.core.errors import UsageError
from codetemper.core.records import (
    Case,
    Event,
    FailureClass,
    Finding,
    OnEvent,
    Record,
    Verdict,
    ignore_events,
)
from codetemper.core.sql_text import first_statement, without_distinct
from codetemper.judges._sandbox import require_sandbox
from codetemper.judges._sandbox.pool import run_pool
from codetemper.judges._sandbox.worker import Worker
from codetemper.judges._sql_generate import Likeness, generate_databases
from codetemper.judges._sql_rows import same_rows
from codetemper.judges._sql_sandbox import (
    Answer,
    Bench,
    Ground,
    Question,
    check_file,
    seen_paths,
)
from codetemper.judges.options import Item, Items, JudgeCard, JudgeOptions, read_spec

CARD = JudgeCard(
    name="sql",
    version="2",
    summary="Equality of rows with the gold query on every database of the case, read-only.",
    languages=("sql",),
    needs=("bwrap",),
)

#: Completions one sandbox takes at a time.
_LEAST, _MOST = 32, 1024


class Spec(Record):
    """What a case of this judge brings."""

    schema_: str = Field(default="", alias="schema")
    """CREATE statements of the databases given as scripts."""
    databases: tuple[str, ...] = ()
    """INSERT scripts, one a database; several make accidental matches rare."""
    files: tuple[str, ...] = ()
    """Paths of SQLite files, which are databases with a schema of their own."""
    generated: int = Field(default=0, ge=0, le=32)
    """How many more databases to generate from the schema and the gold query."""
    seed: int = 0
    """Seed of the generated databases."""
    keep: Literal["facts", "schema"] = "facts"
    """What generated databases keep to: what holds in all given ones (no NULL in a column, hardly
    a value twice), or the schema alone, which tells more queries apart, right ones too."""
    gold: str
    """The right query."""
    ordered: bool = False
    """Whether the order of rows counts."""
    semantics: Literal["bag", "set"] = "bag"
    """``bag``: duplicates count; ``set``: they do not, as in BIRD's execution accuracy."""
    columns: Literal["any", "fixed"] | None = None
    """Whether columns may come in ``any`` order; None: any for bags, fixed for sets, as the
    projects that these come from have it."""
    distinct: Literal["keep", "strip"] = "keep"
    """``strip``: DISTINCT is taken out of both queries first, as test-suite-sql-eval does."""
    prefix: str = ""
    """Text before the completion, where the prompt already begins the query (``SELECT``)."""

    @model_validator(mode="after")
    def _has_a_database(self) -> Self:
        if not (self.databases or self.files or self.generated):
            raise ValueError("one of databases, files and generated must be there")
        return self

    @property
    def any_columns(self) -> Literal["any", "fixed"]:
        """How columns are compared, settled."""
        return self.columns or ("any" if self.semantics == "bag" else "fixed")

    @property
    def score(self) -> str:
        """Name of the score that tells the semantics."""
        name = f"exec_match_{self.semantics}"
        return f"{name}_nodistinct" if self.distinct == "strip" else name


class _Trial(NamedTuple):
    """One case made ready: its databases with names for people, and the gold query's rows."""

    spec: Spec
    grounds: list[Ground]
    names: list[str]
    gold: list[Answer]


class _Court:
    """What the sandboxes of one call of ``judge`` share: cases that are ready."""

    def __init__(self, items: Items, options: JudgeOptions) -> None:
        self.items, self.options = items, options
        self.specs: dict[int, Spec] = {}
        self.cases: dict[int, Case] = {}
        self.files: dict[str, str] = {}
        first: dict[str, Case] = {}
        for place, (case, _) in enumerate(items):
            # Cases that were read twice are one; equal names with other contents are not.
            known = first.setdefault(case.id, case)
            self.cases[place] = case = known if known.spec == case.spec else case
            if id(case) not in self.specs:
                self.specs[id(case)] = spec = read_spec(Spec, case)
                for path in spec.files:
                    if path not in self.files:
                        self.files[path] = check_file(path, case.id)
        self.seen = seen_paths(self.files.values(), options.sandbox)
        self.trials: dict[int, _Trial] = {}
        self.lock = threading.Lock()

    def jobs(self) -> list[list[int]]:
        """Cut the items into parts, cases with the same databases together."""
        groups: dict[tuple[object, ...], list[int]] = {}
        for place, case in self.cases.items():
            spec = self.specs[id(case)]
            key = (spec.schema_, spec.databases, spec.files)
            groups.setdefault(key, []).append(place)
        sequence = [place for places in groups.values() for place in places]
        size = min(_MOST, max(_LEAST, -(-len(sequence) // self.options.workers)))
        return [sequence[start : start + size] for start in range(0, len(sequence), size)]

    def make_worker(self) -> Worker:
        """Make one sandbox that sees the database files."""
        return Worker(self.options.sandbox, "sql", files=list(self.seen.items()))

    def work(self, worker: Worker, places: list[int]) -> list[Verdict]:
        """Judge the completions at these places."""
        bench = Bench(worker, self.options, self.seen)
        self._prepare(bench, {id(self.cases[p]): self.cases[p] for p in places})
        marks = {place: _Mark(self.items[place], self.trials[id(self.cases[place])])
                 for place in places}  # fmt: skip
        number = 0
        while True:
            # One database of every case after the other: what fails on one is asked no more.
            open_marks = [m for m in marks.values() if m.open and number < len(m.trial.grounds)]
            if not open_marks:
                return [marks[place].verdict() for place in places]
            answers = bench.ask([mark.question(number) for mark in open_marks])
            for mark, answer in zip(open_marks, answers, strict=True):
                mark.take(answer, number)
            number += 1

    def _prepare(self, bench: Bench, cases: dict[int, Case]) -> None:
        """Make databases, and run the gold queries, of cases not seen before."""
        with self.lock:
            new = {key: case for key, case in cases.items() if key not in self.trials}
        ready: dict[int, tuple[list[Ground], list[str]]] = {}
        questions: list[Question] = []
        for key, case in new.items():
            spec = self.specs[key]
            ready[key] = self._grounds(bench, case, spec)
            gold = _stripped(spec, first_statement(spec.gold))
            unique = spec.semantics == "set"
            questions += [Question(ground, gold, distinct=unique) for ground in ready[key][0]]
        answers = iter(bench.ask(questions))
        trials = {}
        for key, case in new.items():
            grounds, names = ready[key]
            gold_answers = [next(answers) for _ in grounds]
            for answer, name in zip(gold_answers, names, strict=True):
                _require(answer, case, name)
            trials[key] = _Trial(self.specs[key], grounds, names, gold_answers)
        with self.lock:
            self.trials.update(trials)

    def _grounds(self, bench: Bench, case: Case, spec: Spec) -> tuple[list[Ground], list[str]]:
        grounds = [Ground(spec.schema_, script) for script in spec.databases]
        names = [f"database {number}" for number in range(1, len(grounds) + 1)]
        grounds += [Ground(path=self.files[path]) for path in spec.files]
        names += [f"file {path}" for path in spec.files]
        if spec.generated:
            made = generate_databases(
                bench.ask, _stripped(spec, first_statement(spec.gold)), schema=spec.schema_,
                given=grounds, count=spec.generated, seed=spec.seed, case=case.id,
                likeness=Likeness(spec.ordered, spec.semantics, spec.any_columns),
                keep=spec.keep == "facts",
            )  # fmt: skip
            names += [f"generated database {number}" for number in range(1, len(made) + 1)]
            grounds += made
        return grounds, names


class _Mark:
    """One completion on its way to a verdict."""

    def __init__(self, item: Item, trial: _Trial) -> None:
        self.item, self.trial = item, trial
        prefix, text = trial.spec.prefix, item[1].text
        query = first_statement(f"{prefix} {text}" if prefix else text)
        self.query = _stripped(trial.spec, query)
        self.valid, self.seconds = True, 0.0
        self.failure: FailureClass | None = None
        self.note = ""
        if not self.query:
            self.valid, self.failure, self.note = False, "syntax", "there is no query"

    @property
    def open(self) -> bool:
        """Whether nothing speaks against it so far."""
        return self.failure is None

    def question(self, number: int) -> Question:
        """Return what is to be asked of the database with that number."""
        most = len(self.trial.gold[number].rows or ())
        unique = self.trial.spec.semantics == "set"
        # Rows that differ in the last bit of a float count once, but are handed over apart.
        return Question(
            self.trial.grounds[number], self.query, most=2 * most + 16 if unique else most,
            distinct=unique,
        )  # fmt: skip

    def take(self, answer: Answer, number: int) -> None:
        """Hold the answer of one database against the gold query's."""
        start = time.perf_counter()
        name = self.trial.names[number]
        if answer.rows is None:
            self._fail(answer, name)
        elif not self._same(answer, self.trial.gold[number]):
            self.failure, self.note = "wrong", f"the rows differ from the gold query's ({name})"
        self.seconds += answer.seconds + time.perf_counter() - start

    def _same(self, given: Answer, gold: Answer) -> bool:
        spec = self.trial.spec
        # Sets come from BIRD, where two empty results are the same whatever their columns.
        if given.columns != gold.columns and (given.rows or gold.rows or spec.semantics == "bag"):
            return False
        return same_rows(
            given.rows or (), gold.rows or (), ordered=spec.ordered, semantics=spec.semantics,
            columns=spec.any_columns,
        )  # fmt: skip

    def _fail(self, answer: Answer, name: str) -> None:
        self.note = f"{answer.note} ({name})"
        match answer.failure:
            case "syntax" | "build":
                self.valid, self.failure = False, answer.failure
            case "timeout" | "memory":
                self.failure = answer.failure
            case "refused":
                self.failure, self.note = "wrong", "the query wants to do more than read"
            case "many":
                self.failure, self.note = "wrong", f"it has more rows than the gold query ({name})"
            case _:
                self.failure = "runtime"

    def verdict(self) -> Verdict:
        """Return what came of it."""
        case, completion = self.item
        findings: tuple[Finding, ...] = ()
        if self.note:
            findings = (Finding(rule="check:rows", message=self.note[:300], severity="note"),)
        right = self.failure is None
        return Verdict(
            case=case.id, index=completion.index, valid="pass" if self.valid else "fail",
            function="pass" if right else "fail", security="unknown",
            findings=findings, failure=self.failure,
            judge=CARD.signature, seconds=self.seconds,
            scores={"exec_match": float(right), self.trial.spec.score: float(right)},
        )  # fmt: skip


def judge(
    items: Items, *, options: JudgeOptions | None = None, on_event: OnEvent = ignore_events
) -> list[Verdict]:
    """Judge queries.

    Args:
        items: cases with completions; the query is the completion up to its first semicolon.
        options: ``timeout_s`` is the deadline of a query on one database.
        on_event: progress, in completions.

    Raises:
        UsageError: a spec that is not one, or whose own databases or gold query do not work.
        CannotKnowError: there is no sandbox (exit code 3).
    """
    options = options or JudgeOptions()
    if not items:
        return []
    court = _Court(items, options)
    require_sandbox(options.sandbox, on_event)
    jobs = court.jobs()
    sizes = [len(job) for job in jobs]

    def show(done: int) -> None:
        on_event(Event(stage="judge", done=sum(sizes[:done]), total=len(items),
                       unit="completions"))  # fmt: skip

    results = run_pool(jobs, court.work, court.make_worker, workers=options.workers, on_done=show)
    verdicts = {
        place: verdict
        for job, part in zip(jobs, results, strict=True)
        for place, verdict in zip(job, part, strict=True)
    }
    return [verdicts[place] for place in range(len(items))]


def _stripped(spec: Spec, query: str) -> str:
    return without_distinct(query) if spec.distinct == "strip" else query


def _require(answer: Answer, case: Case, name: str) -> None:
    """Raise where a case's own database or gold query does not work."""
    if answer.rows is not None:
        return
    if answer.failure == "ground":
        raise UsageError(
            f"case '{case.id}' cannot be judged: a database of it cannot be made ({name})",
            why=answer.note,
            mend="correct 'spec.schema', 'spec.databases' or 'spec.files' of that case; a file "
            "that is too large to copy must be readable by all users",
        )
    raise UsageError(
        f"case '{case.id}' cannot be judged: its gold query does not run ({name})",
        why=answer.note, mend="correct 'spec.gold' of that case, or allow more time",
    )  # fmt: skip
