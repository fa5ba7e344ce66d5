"""The terminal: tables and JSON on stdout, messages and progress bars on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, Protocol


class Tick(Protocol):
    """Advance a progress bar, perhaps with a note: ``tick(64, "loss 2.31")``."""

    def __call__(self, advance: int = 1, note: str = "") -> None: ...


# control characters but tab and newline, and those that change the direction of the text
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_talks = True


def be_quiet(quiet: bool = True) -> None:
    """Silence this process: in a distributed run, the first process reports for all."""
    global _talks
    _talks = not quiet


def printable(text: str) -> str:
    """The text without characters that act on a terminal: they are shown, as in ``\\x1b``."""
    return _ACTS.sub(lambda match: ascii(match.group())[1:-1], text)


def say(message: str) -> None:
    """Print one plain line on stderr, if it is open."""
    if _talks and sys.stderr is not None:
        with suppress(BrokenPipeError):
            print(printable(message), file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int, *, unit: str = "", done: int = 0) -> Iterator[Tick]:
    """A progress bar on stderr with rate and remaining time; silent in a pipe."""
    if not (_talks and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda advance=1, note="": None
        return
    from rich import progress as rich
    from rich.console import Console

    columns: list[str | rich.ProgressColumn] = ["{task.description}", rich.BarColumn()]
    columns += [rich.MofNCompleteColumn(), "{task.fields[rate]}", rich.TimeRemainingColumn()]
    columns.append("{task.fields[note]}")
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, completed=done, rate="", note="")

        def tick(advance: int = 1, note: str = "") -> None:
            bar.update(task, advance=advance, note=note)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield tick


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table on stdout. A name in ``>`` is right-aligned; the first column wraps last.

    In a pipe no line wraps.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title, title_justify="left")
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    width = min(44, max((len(row[0]) for row in cells), default=0))
    for name in columns:
        side: Literal["left", "right"] = "right" if name.endswith(">") else "left"
        grid.add_column(name.removesuffix(">"), justify=side, overflow="fold", min_width=width)
        width = 0
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))  # Text: brackets in a caption are not markup
    Console(width=None if sys.stdout.isatty() else 10_000).print(grid)


def print_json(value: Any) -> None:
    """Print a value as indented JSON on stdout, in ASCII where stdout is not UTF-8."""
    from .json_text import to_json

    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(to_json(value, indent=2, ensure_ascii=not is_utf8))
