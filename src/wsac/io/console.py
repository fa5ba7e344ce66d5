"""What people see on the terminal: tables on stdout, progress and notes on stderr, nothing moving in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Tick(Protocol):
    """Advance a progress bar, optionally with a few words on the state (``tick(64, "loss 2.31")``)."""

    def __call__(self, advance: int = 1, note: str = "") -> None: ...


_speaks = True


def be_quiet() -> None:
    """From now on this process says nothing and shows no progress: another one of its kind does."""
    global _speaks
    _speaks = False


def say(message: str) -> None:
    """Print one plain line on stderr."""
    if _speaks:
        print(message, file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int, *, unit: str = "", done: int = 0) -> Iterator[Tick]:
    """A progress bar on stderr with rate and remaining time; silent when stderr is not a terminal."""
    if not (_speaks and sys.stderr.isatty()):
        yield lambda advance=1, note="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, completed=done, rate="", note="")

        def tick(advance: int = 1, note: str = "") -> None:
            bar.update(task, advance=advance, note=note)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield tick


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table on stdout. Columns whose name ends in ``>`` are right-aligned; the first is broken last.

    In a pipe nothing is broken: lines are as long as they are.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title, title_justify="left")
    cells = [[str(cell) for cell in row] for row in rows]
    for i, name in enumerate(columns):
        right = name.endswith(">")
        widest = max((len(row[0]) for row in cells), default=0) if i == 0 else 0
        grid.add_column(
            name.removesuffix(">"),
            justify="right" if right else "left",
            overflow="fold",
            min_width=min(widest, 44),
        )
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))  # Text: brackets in a caption are not markup
    width = None if sys.stdout.isatty() else 10_000
    Console(width=width).print(grid)


def print_json(value: Any) -> None:
    """A value for programs, on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
