# SPDX-License-Identifier: Apache-2.0
"""What a verb shows: one JSON document, or tables; progress and errors go to stderr.

Numbers carry intervals, paired differences carry a sign; green is pass, red fail, yellow unknown.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

#: Seconds between two progress lines where stderr is not a terminal.
QUIET_SECONDS = 10.0

#: Exit code of a command whose output nobody read to its end (as the shell reports SIGPIPE).
EXIT_UNREAD = 141
#: Width where no terminal bounds it, in characters: lines of a file or a pipe are not folded.
UNBOUNDED = 1000

out = Console(
    soft_wrap=True,
    highlight=False,
    width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else UNBOUNDED,
)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def write_json(document: dict[str, Any]) -> None:
    """Print one JSON document, in ASCII: it must fit any standard output."""
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


def emit(document: dict[str, Any], as_json: bool, show: Callable[[], None] | None = None) -> None:
    """Print the JSON document, or for people call ``show``; without one they see it in colour."""
    try:
        if as_json:
            write_json(document)
        elif show is None:
            out.print_json(data=document)
        else:
            show()
        sys.stdout.flush()
    except BrokenPipeError as error:
        # Whoever read the output went away; the interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_UNREAD) from error


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", *, flexible: int = 0
) -> None:
    """Print a table.

    Args:
        columns: their headings.
        rows: cells, with markup.
        title: printed above.
        flexible: the column that folds where the terminal is narrow; the others keep their width.
    """
    grid = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        grid.add_column(
            column, overflow="fold", no_wrap=i != flexible, min_width=12 if i == flexible else None
        )
    for row in rows:
        grid.add_row(*row)
    out.print(grid)


def moment(time: str) -> str:
    """Return a recorded time (UTC, ISO 8601) to the minute, for tables."""
    return time[:16].replace("T", " ")


def safe(text: str, longest: int) -> str:
    """Return a text that is not ours so that it is one line on a terminal, whatever is in it.

    Args:
        text: a name, a reason, a piece of code.
        longest: characters of it that are shown.
    """
    from rich.markup import escape

    flat = " ".join(text.split())
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in flat)
    return escape(plain if len(plain) <= longest else f"{plain[: longest - 1]}…")


def suggest(command: str) -> None:
    """End a listing by naming the next command."""
    out.print(f"[dim]next: {command}[/dim]")


def estimate(value: dict[str, Any]) -> str:
    """Return ``0.62 [0.55, 0.68]`` for an estimate."""
    return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def difference(value: dict[str, Any]) -> str:
    """Return a signed difference with its interval, coloured by what the interval excludes."""
    text = f"{value['difference']:+.2f} [{value['low']:+.2f}, {value['high']:+.2f}]"
    colour = "green" if value["low"] > 0 else "red" if value["high"] < 0 else "yellow"
    return f"[{colour}]{text.replace('[', chr(92) + '[')}[/{colour}]"


def decision_colour(decision: str) -> str:
    """Return the colour of a gate's answer."""
    return {"accept": "green", "refuse": "red"}.get(decision, "yellow")


@contextmanager
def progress() -> Iterator[Callable[[Any], None]]:
    """Give an ``on_event`` that draws bars with rate and time left, on stderr.

    Where stderr is not a terminal it writes a line now and then instead.
    """
    if not err.is_terminal:
        yield _lines()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}[/dim]"),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        tasks: dict[str, Any] = {}
        reached: dict[str, int] = {}

        def draw(event: Any) -> None:
            if event.stage == "demo":
                bars.console.print(f"[bold]{event.done}/{event.total}[/bold] {event.note}")
                for old in tasks.values():
                    bars.remove_task(old)
                tasks.clear()
                return
            task = tasks.get(event.stage)
            if task is not None and event.done < reached[event.stage]:
                bars.remove_task(task)  # the stage begins anew, on the next suite
                task = None
            reached[event.stage] = event.done
            if task is None:
                # What an earlier run had done already does not count in the rate.
                task = bars.add_task(
                    event.stage, completed=event.done, total=event.total, rate="", note=""
                )
                tasks[event.stage] = task
            bars.update(task, completed=event.done, total=event.total, note=event.note)
            speed = bars.tasks[bars.task_ids.index(task)].speed
            bars.update(task, rate=f"{speed:.1f} {event.unit}/s" if speed else event.unit)

        yield draw


def _lines() -> Callable[[Any], None]:
    started: dict[str, tuple[float, int]] = {}
    reached: dict[str, int] = {}
    shown: dict[str, float] = {}

    def write(event: Any) -> None:
        now = time.monotonic()
        if event.stage == "demo":
            err.print(f"{event.done}/{event.total} {event.note}")
            started.clear()
            reached.clear()
            shown.clear()
            return
        begin, base = started.setdefault(event.stage, (now, event.done))
        if event.done < reached.get(event.stage, 0):  # the stage begins anew, on the next suite
            begin, base = started[event.stage] = now, event.done
            shown[event.stage] = now
        reached[event.stage] = event.done
        if now - shown.setdefault(event.stage, begin) < QUIET_SECONDS:
            return
        shown[event.stage] = now
        rate = (event.done - base) / max(now - begin, 1e-9)
        left = f", {(event.total - event.done) / rate:.0f} s left" if event.total and rate else ""
        of = f" of {event.total}" if event.total else ""
        note = f" ({event.note})" if event.note else ""
        err.print(f"  {event.stage}: {event.done}{of} {event.unit}, {rate:.1f}/s{left}{note}")

    return write


def named(on_event: Callable[[Any], None], note: str) -> Callable[[Any], None]:
    """Return ``on_event`` with a note on events that have none."""

    def relay(event: Any) -> None:
        on_event(event if event.note else event.model_copy(update={"note": note}))

    return relay


def failure(what: str, why: str, mend: str) -> None:
    """Print an error in three lines."""
    err.print(f"[red]error:[/red] {_plain(what)}")
    err.print(f"  why:  {_plain(why)}")
    err.print(f"  mend: {_plain(mend)}")


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("[", "\\[")
