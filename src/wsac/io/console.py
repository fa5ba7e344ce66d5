"""The terminal: tables and JSON on stdout, messages and progress on stderr."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Protocol

LINE_SECONDS = 30.0  # between lines of progress where there is no bar; longer in longer runs


class Tick(Protocol):
    """Advance a progress bar, perhaps with a note: ``tick(64, "loss 2.31")``."""

    def __call__(self, advance: int = 1, note: str = "") -> None: ...


# control characters but tab and newline, and those that change the direction of the text
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Follower = Callable[[str, int, int, str], object]  # title, done, total, note

_talks = True
_follower: Follower | None = None
_under_way: list[Tick] = []  # the innermost progress comes last


def be_quiet(quiet: bool = True) -> None:
    """Silence this process: in a distributed run, the first process reports for all."""
    global _talks
    _talks = not quiet


def follow_progress(follower: Follower | None) -> None:
    """Tell a function how far the work is, in place of a bar and lines; None: no longer."""
    global _follower
    _follower = follower


def printable(text: str) -> str:
    """The text without characters that act on a terminal: they are shown, as in ``\\x1b``."""
    return _ACTS.sub(lambda match: ascii(match.group())[1:-1], text)


def say(message: str) -> None:
    """Print one plain line on stderr, if it is open."""
    if _talks and sys.stderr is not None:
        with suppress(BrokenPipeError):
            print(printable(message), file=sys.stderr, flush=True)


def part_of(part: int, whole: int, noun: str) -> str:
    """Such as: 1 of 1 file, 2 of 3,007 files."""
    return f"{part:,} of {count_of(whole, noun)}"


def count_of(count: int, noun: str) -> str:
    """Such as: 1 file, 3,007 files."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def clock(seconds: float, digits: int = 0, *, hours: int = 1, mark: str = ".") -> str:
    """Such as 1:02:03.4, rounded. digits: of the fraction, behind ``mark``. hours: digits of the
    hours at least; 0 leaves out none, as in 2:03.4."""
    whole, rest = divmod(round(seconds * 10**digits), 10**digits)
    text = f"{whole // 60 % 60:02}:{whole % 60:02}"
    text = f"{whole // 3600:0{hours}}:{text}" if hours or whole >= 3600 else text.removeprefix("0")
    return f"{text}{mark}{rest:0{digits}}" if digits else text


def write_out(text: str) -> None:
    """Write to stdout at once, for the program or the person that reads along."""
    sys.stdout.write(text)
    sys.stdout.flush()


def on_one_terminal() -> bool:
    """Whether people read stdout and stderr in one place."""
    return sys.stdout.isatty() and sys.stderr is not None and sys.stderr.isatty()


def is_utf8() -> bool:
    """Whether stdout takes every character."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")


def prepare_streams() -> None:
    """Let stdout and stderr take any text, and stand in for those that the caller has closed.

    What is written to a closed stdout breaks like a pipe; a closed stderr takes everything.
    """
    if sys.stdout is None:
        reader, writer = os.pipe()
        os.close(reader)
        sys.stdout = os.fdopen(writer, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may be invalid text; terminals not UTF-8
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def progress(
    title: str, total: int, *, unit: str = "", done: int = 0, rows: bool = False
) -> Iterator[Tick]:
    """A progress bar on stderr with rate and remaining time; where it is no terminal, a line after
    LINE_SECONDS and so on.

    rows: results are printed meanwhile, so on one terminal with them there is no bar.
    """
    if not _talks or sys.stderr is None:
        yield lambda advance=1, note="": None
        return
    bar = sys.stderr.isatty() and not (rows and sys.stdout.isatty())
    show = _told if _follower else _bar if bar else _lines
    with show(title, total, unit, done) as tick:
        _under_way.append(tick)
        try:
            yield tick
        finally:
            _under_way.pop()


def working_on(note: str) -> None:
    """Say in the progress under way, if there is one, what a long step is at."""
    if _under_way:
        _under_way[-1](0, note)


@contextmanager
def _told(title: str, total: int, unit: str, done: int) -> Iterator[Tick]:
    """Every tick, to the follower."""

    def tick(advance: int = 1, note: str = "") -> None:
        nonlocal done
        done += advance
        if _follower is not None:
            _follower(title, done, total, note)

    tick(0)
    yield tick


@contextmanager
def _bar(title: str, total: int, unit: str, done: int) -> Iterator[Tick]:
    from rich import progress as rich
    from rich.console import Console

    columns: list[str | rich.ProgressColumn] = ["{task.description}", rich.BarColumn()]
    columns += [rich.MofNCompleteColumn(), "{task.fields[rate]}", rich.TimeRemainingColumn()]
    columns.append(rich.TextColumn("{task.fields[note]}", markup=False))
    console = Console(stderr=True)
    # rich would move to stderr what is written to stdout
    with rich.Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=total, completed=done, rate="", note="")

        def tick(advance: int = 1, note: str = "") -> None:
            bar.update(task, advance=advance, note=printable(note))
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield tick


@contextmanager
def _lines(title: str, total: int, unit: str, done: int) -> Iterator[Tick]:
    """A line after LINE_SECONDS, and again after as much or a tenth of the time so far."""
    first, began = done, time.monotonic()
    last = began

    def tick(advance: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += advance
        now = time.monotonic()
        if now - last < max(LINE_SECONDS, (now - began) / 10):
            return
        last = now
        line = f"{title}: {done:,} of {total:,} {unit}".rstrip()
        if first < done < total:
            line += f", {duration((now - began) / (done - first) * (total - done))} left"
        say(f"{line}; {note}" if note else line)

    yield tick


def duration(seconds: float) -> str:
    """Such as 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


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

    print(to_json(value, indent=2, ensure_ascii=not is_utf8()))
