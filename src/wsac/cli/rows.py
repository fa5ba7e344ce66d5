"""Captions and tags on stdout or in a file, each as soon as it is made: as table, CSV, JSON or JSON
lines."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from textwrap import indent
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from typer import Exit

from wsac.inference.sound_results import SILENCE, Results, TaggedSound
from wsac.io.console import is_utf8, on_one_terminal, part_of, say, write_out
from wsac.io.csv_text import csv_line, spreadsheet_safe
from wsac.io.growing_table import GrowingTable
from wsac.io.json_text import to_json
from wsac.types import AudioError, Caption

from .common_options import StoppedError

if TYPE_CHECKING:
    from .row_file import RowFile

BAR = 20  # characters of a full probability bar
SPAN = {"start": None, "end": None}
CAPTION_ROW = {"file": "", "caption": "", "logprob": None, **SPAN, "notes": (), "error": ""}
CAPTION_ROW |= {"confidence": None, "guess": ""}
TAG_ROW = {"file": "", **SPAN, "tags": (), "none": None, "notes": (), "error": ""}
TAG_COLUMNS = ("file", "start", "end", "label", "score", "probability", "none", "notes", "error")

AnyResult: TypeAlias = Caption | TaggedSound | AudioError
Row: TypeAlias = Callable[[AnyResult], dict[str, Any]]


class Style(Protocol):
    """What results add to the output, one after the other, and what ends it."""

    def add(self, result: AnyResult) -> str: ...
    def end(self) -> str: ...


def print_results(
    results: Results[Any], style: str, *, windowed: bool, out: RowFile | None = None
) -> None:
    """Print results on stdout and errors on stderr, as they come; errors last on one terminal.

    out: write them there instead, behind those that it has.

    style: "json" (an array), "jsonl", "csv" with a line for each tag, "csv-safe" for spreadsheets,
    or "table". windowed: a file may have several results. Ends with code 1 if a file failed. Raises
    StoppedError after Ctrl-C. However it ends, what is printed is whole.
    """
    text = _style(results, style, windowed, out)
    write = write_out if out is None else out.write
    files, failed = (0, 0) if out is None else (out.files, out.failed)
    before, total, file = files, files + len(results.files), ""
    waiting: list[AudioError] | None = [] if out is None and on_one_terminal() else None
    try:
        with closing(results.show(rows=out is None)) as stream:
            for result in stream:
                with _whole():
                    write(text.add(result))
                    files += result.file != file
                    file = result.file
                if isinstance(result, AudioError):
                    failed += 1
                    waiting.append(result) if waiting is not None else say(f"error: {result}")
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        with suppress(OSError):  # the reader of a pipe may have ended, too
            write(text.end() if files or interrupted else "")
        _say_all(waiting)
        if interrupted:
            files -= windowed and files > before  # the last may be incomplete
            remedy = "" if out is None else f"; go on with -o {out.path} --resume"
            raise StoppedError(f"stopped after {part_of(files, total, 'file')}{remedy}") from None
        raise
    write(text.end())
    _say_all(waiting)
    if failed:
        done = "captioned" if results.title == "caption" else "tagged"
        say(f"{part_of(failed, files, 'file')} could not be {done}")
        raise Exit(1)


def _say_all(errors: list[AudioError] | None) -> None:
    for error in errors or ():
        say(f"error: {error}")


@contextmanager
def _whole() -> Iterator[None]:
    """Let the first Ctrl-C wait until a row is written; the second ends a reader that hangs."""
    waiting: list[int] = []

    def wait(number: int, _: Any) -> None:
        if waiting:
            raise KeyboardInterrupt
        waiting.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # not where signals are ignored, as below nohup
    both = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in both.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt


def _style(results: Results[Any], style: str, windowed: bool, out: RowFile | None) -> Style:
    ascii_only = out is None and not is_utf8()
    empty = CAPTION_ROW if results.title == "caption" else TAG_ROW

    def row(result: AnyResult) -> dict[str, Any]:
        if isinstance(result, AudioError):
            return empty | {"file": result.file, "error": str(result)}
        values = asdict(result)
        return empty | {"caption" if key == "text" else key: values[key] for key in values}

    match style:
        case "json":
            return JsonArray(row, ascii_only)
        case "jsonl":
            return JsonLines(row, ascii_only)
        case "table":
            return TableOfResults(max(len(str(path)) for path in results.files), windowed)
        case _:
            columns = CAPTION_ROW if results.title == "caption" else TAG_COLUMNS
            header = out is None or out.is_new
            return Csv(row, columns, safe=style == "csv-safe", header=header)


class JsonLines:
    """An object a line."""

    def __init__(self, row: Row, ascii_only: bool) -> None:
        self._row, self._ascii_only = row, ascii_only

    def add(self, result: AnyResult) -> str:
        return to_json(self._row(result), ensure_ascii=self._ascii_only) + "\n"

    def end(self) -> str:
        return ""


class JsonArray:
    """An indented array, as of all results at once."""

    def __init__(self, row: Row, ascii_only: bool) -> None:
        self._row, self._ascii_only, self._before = row, ascii_only, "[\n"

    def add(self, result: AnyResult) -> str:
        row = to_json(self._row(result), indent=2, ensure_ascii=self._ascii_only)
        text = self._before + indent(row, "  ")
        self._before = ",\n"  # last, since Ctrl-C may come at any moment
        return text

    def end(self) -> str:
        return "[]\n" if self._before == "[\n" else "\n]\n"


class Csv:
    """A line for each caption, tag or error."""

    def __init__(self, row: Row, columns: Iterable[str], *, safe: bool, header: bool) -> None:
        self._row, self._columns, self._safe = row, tuple(columns), safe
        self._before = csv_line(self._columns) if header else ""

    def add(self, result: AnyResult) -> str:
        row = self._row(result)
        row["notes"] = "; ".join(row["notes"])
        text = self._before
        for cells in [row | tag for tag in row.get("tags") or [{}]]:
            values = [cells.get(name, "") for name in self._columns]
            text += csv_line(map(spreadsheet_safe, values) if self._safe else values)
        self._before = ""
        return text

    def end(self) -> str:
        return self._before


class TableOfResults:
    """A table without errors. longest: characters of the longest name of a file."""

    def __init__(self, longest: int, windowed: bool) -> None:
        self._longest, self._windowed = longest, windowed
        self._table: GrowingTable | None = None

    def add(self, result: AnyResult) -> str:
        if isinstance(result, AudioError):
            return ""
        lines = _caption_cells(result) if isinstance(result, Caption) else _tag_cells(result)
        end = "" if result.end is None else f"{result.end:.1f}"
        span = f"{result.start:.1f}–{end}" if self._windowed else end
        text, head = "", ("", "")
        if self._table is None:
            seconds = ("seconds>", 13 if self._windowed else 7)
            columns = [("file", self._longest), seconds, *_columns(result)]
            table = GrowingTable(columns, text=2)
            text, self._table = table.head(), table
        for i, cells in enumerate(lines):  # only the first line of a sound names its file
            text += self._table.row((*(head if i else (result.file, span)), *cells))
        return text

    def end(self) -> str:
        return self._table.end() if self._table else ""


def _columns(result: Caption | TaggedSound) -> tuple[tuple[str, int], ...]:
    if isinstance(result, TaggedSound):
        return ("label", 24), ("probability", BAR + 5), ("cosine>", 6)
    return ("caption", 72), ("log-prob>" if result.confidence is None else "sure>", 5)


def _caption_cells(caption: Caption) -> list[tuple[str, ...]]:
    text = caption.text or f"(unsure; perhaps: {caption.guess})"
    text = "\n".join((text, *(f"({note})" for note in caption.notes)))
    p = caption.confidence
    sure = f"{caption.logprob:.2f}" if p is None else f"{100 * p:.0f} %"
    return [(text, "" if caption.text == SILENCE else sure)]


def _tag_cells(sound: TaggedSound) -> list[tuple[str, ...]]:
    full = "█" if is_utf8() else "#"
    lines: list[tuple[str, ...]] = []
    rows = [(tag.label, tag.probability, f"{tag.score:.2f}") for tag in sound.tags]
    if sound.none is not None:
        place = sum(tag.probability >= sound.none for tag in sound.tags)
        rows.insert(place, ("(none of these)", sound.none, ""))
    for label, probability, score in rows:
        bar = f"{probability:4.0%} {full * round(probability * BAR)}"
        lines.append((label, bar, score))
    return lines + [(f"({note})", "", "") for note in sound.notes]
