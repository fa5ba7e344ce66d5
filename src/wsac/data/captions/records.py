"""The reader of caption tables: rows of CSV, JSON, YAML, subtitles and text, each with its place.

Three policies. Strict, with ``Faults``: column names and JSON keys must be unique, and rows that
cannot be used are collected. Lenient, with ``Faults(strict=False)``: names may repeat. Without
faults the first row that cannot be read is an error.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .columns import numbered_columns
from .documents import json_document, json_lines, subtitles, yaml_document
from .faults import Faults, row_fault
from .formats import NO_DELIMITER, SEPARATOR, find_header
from .text_file import corpus_error

Record = tuple[
    str, Any
]  # its place, such as "line 3"; a dict by lower-case column, or a bare value

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


@dataclass(slots=True)
class Records:
    """rows: read as they are asked for. columns: of a table, () of JSON and text; line: of its
    header.

    file_names: of COCO's images, by their id.
    """

    rows: Iterator[Record]
    columns: tuple[str, ...] = ()
    line: str = "line 1"
    file_names: dict[str, str] = field(default_factory=dict)


def read_records(
    path: str | Path,
    text: str,
    format: str,
    faults: Faults | None = None,
    *,
    pad: bool = False,
    column: str | None = None,
) -> Records:
    """The records of ``text``; ``format`` is one of FORMATS but not auto. ``path`` is for messages.

    pad: a row of a table may end early, its other columns are empty. column: a name that the header
    of a table has. Raises CorpusError with the place and the remedy for text that does not fit.
    """
    match format:
        case "text":
            lines = enumerate(_lines(text), 1)
            return Records((f"line {number}", line.rstrip("\r\n")) for number, line in lines)
        case "jsonl":
            return Records(json_lines(path, _lines(text), faults))
        case "json" | "wavcaps":
            strict = faults is not None and faults.strict
            return _items(*json_document(path, text, format, strict, column))
        case "yaml":
            return _items(*yaml_document(path, text))
        case "subtitles":
            return Records(subtitles(text))
    return _table(path, text, faults, pad, column)


def _items(values: list[Any], file_names: dict[str, str]) -> Records:
    rows = ((f"item {number}", value) for number, value in enumerate(values, 1))
    return Records(rows, file_names=file_names)


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends, one at a time: all at once would take more memory than the file."""
    return (match.group() for match in _LINE.finditer(text))


def _table(
    path: str | Path, text: str, faults: Faults | None, pad: bool, column: str | None
) -> Records:
    names, delimiter, _ = find_header(text, column)
    repeated = sorted(name for name in {*names} if name and names.count(name) > 1)
    if repeated and faults is not None and faults.strict:
        what = f"several columns are called {repeated[0]!r}; rename or delete one"
        raise corpus_error(path, what, "line 1")
    written = names
    for i, name in enumerate(names):
        if count := names[:i].count(name):  # caption,caption is read as caption,caption_2
            names = (*names[:i], f"{name}_{count + 1}", *names[i + 1 :])
    rows = _csv_rows(path, text, delimiter, faults)
    if SEPARATOR.match(text):
        next(rows, None)
    line = next((line for line, row in rows if any(cell.strip() for cell in row)), 1)
    rest = _without_headers(path, rows, written, faults)
    return Records(_named(path, names, rest, faults, pad), names, f"line {line}")


def _without_headers(
    path: str | Path,
    rows: Iterable[tuple[int, list[str]]],
    names: tuple[str, ...],
    faults: Faults | None,
) -> Iterator[tuple[int, list[str]]]:
    """Rows without those that repeat the header, as joined files have them."""
    first = names[0] if names else ""
    for line, row in rows:
        likely = row[0].strip().lstrip("# ").lower() == first  # rarely true: the rest costs nothing
        if likely and tuple(cell.strip().lstrip("# ").lower() for cell in row) == names:
            if faults is not None:
                faults.drop(path, "the header again")
        else:
            yield line, row


def _named(
    path: str | Path,
    names: tuple[str, ...],
    rows: Iterator[tuple[int, list[str]]],
    faults: Faults | None,
    pad: bool,
) -> Iterator[Record]:
    """Records by column. A row may end early where captions are numbered: it has fewer of them."""
    what = f"a row without the {len(names)} columns of the header"
    numbered = numbered_columns(names)
    least = len(names)
    while least > 1 and names[least - 1] in numbered[1:]:
        least -= 1
    least = 0 if pad else least
    for line, row in rows:
        if len(row) < len(names) and len(row) >= least:
            row += [""] * (len(names) - len(row))
        if len(row) >= len(names) and not any(row[len(names) :]):
            yield f"line {line}", dict(zip(names, row, strict=False))
            continue
        remedy = 'put "quotes" around captions that contain the separator'
        if len(row) < len(names):
            remedy = "complete the row, or quote the field if it holds a line break"
        row_fault(faults, path, what, remedy, f"line {line}")


def _csv_rows(
    path: str | Path, text: str, delimiter: str, faults: Faults | None
) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with their first line. Open quotes, which swallow lines, are
    errors."""
    header = next(_lines(text.lstrip()))
    spaced = f"{delimiter} " in header  # written by hand: file_name, caption
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = 'close the quotes, and write a quote inside a quoted caption as ""'
            stray = "expected after" in str(error)
            reason = "text after a closing quote" if stray else error
            # after a stray quote the reader goes on with the next line
            collect = faults if stray and faults is not None and not faults.strict else None
            row_fault(collect, path, f"broken CSV ({reason})", remedy, f"line {line}")
        else:
            if len(row) > 1 or (row and (row[0].strip() or delimiter == NO_DELIMITER)):
                yield line, row
        line = reader.line_num + 1
