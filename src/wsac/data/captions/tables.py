"""Tables of captions to be scored, in every layout that a corpus has, but for plain text.

A table holds either candidates, one caption per sound, or references, one or several. Rows at fault
are collected in Faults. What makes the whole file unreadable is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from wsac.types import CorpusError

from .columns import (
    CANDIDATES,
    MISSING,
    REFERENCE_LISTS,
    REFERENCES,
    SCORED_SOUNDS,
    clip_name,
    is_missing,
    name_list,
    numbered_columns,
)
from .documents import kind
from .faults import Faults
from .formats import detect_format, detect_json
from .records import read_records
from .text_file import corpus_error, read_text

# replacement and control characters, half of a pair, UTF-8 that was read as Windows-1252
_GARBLED = re.compile(
    "[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]|â€|Ã[\u0080-\u00bf]|ï»¿"
)


@dataclass(frozen=True, slots=True)
class Row:
    """The captions of one sound, from one place of a file."""

    id: str
    captions: tuple[str, ...]
    where: str


@dataclass(slots=True)
class Table:
    """path: for messages. wide: a row has all captions of its sound, so an id occurs once.

    names: file names of COCO's images, by id. bad: ids of rows at fault.
    """

    path: str
    rows: list[Row] = field(default_factory=list)
    wide: bool = False
    names: dict[str, str] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)


def read_table(
    path: str | Path,
    role: str,
    faults: Faults,
    *,
    column: str | None = None,
    numbered: bool = False,
) -> Table:
    """role: "candidates" or "references". column: the one of captions, if not called so.

    numbered: without a column of sounds, rows are known by their number. Raises CorpusError when
    the file is no such table.
    """
    text = read_text(path)
    records = read_records(path, text, _format(path, text, column), faults, column=column)
    first = next(records.rows, None)
    if first is None:
        raise CorpusError(faults.message() or f"{path}: no rows in it; is the file complete?")
    names = records.columns or (first[1] if isinstance(first[1], dict) else ())
    columns = _columns(path, tuple(names), role, column, numbered)
    table = Table(str(path), wide=columns.wide, names=records.file_names)
    for number, (where, record) in enumerate(chain([first], records.rows), 1):
        if not columns.id and isinstance(record, dict):
            record["row"] = number
        for fault in _read_row(table, columns, where, record):
            faults.add(path, fault, where)
    return table


def _format(path: str | Path, text: str, column: str | None) -> str:
    """JSON lines only when there is more than one: a file of one object may be a whole table."""
    if text.lstrip()[:1] in ("{", "["):
        lines = "\n" in text.strip() and detect_json(text) == "jsonl"
        return "jsonl" if lines else "json"
    with suppress(CorpusError):  # as CSV it gets the words for a table to be scored
        if (format := detect_format(path, text, column)) in ("yaml", "jsonl"):
            return format
    return "csv"


@dataclass(frozen=True, slots=True)
class _Columns:
    id: str
    captions: tuple[str, ...]
    wide: bool = True
    listed: bool = False  # the one column holds a list


def _columns(
    path: str | Path, names: tuple[str, ...], role: str, column: str | None, by_row: bool
) -> _Columns:
    """Which columns hold what. Raises CorpusError when that is not clear."""
    sound = _first_of(SCORED_SOUNDS, [name for name in names if name != (column or "").lower()])
    if sound is None and not (by_row and names):
        what = f"no column that names the sounds among {name_list(names)}; call it file_name"
        raise corpus_error(path, what)
    sound = sound or ""
    if column:
        if column.lower() not in names:
            raise corpus_error(path, f"no column {column!r} among {name_list(names)}")
        return _Columns(sound, (column.lower(),), wide=role == "candidates")
    numbered = numbered_columns(names)
    if role == "candidates":
        if single := _first_of(CANDIDATES, names):
            return _Columns(sound, (single,))
        what = f"no caption among {name_list(names)}"
        if numbered:
            what = f"{len(numbered)} captions a row, which are references"
        raise corpus_error(
            path,
            f"{what}; a table of candidates has a column called caption, or name it with --column",
        )
    if listed := _first_of(REFERENCE_LISTS, names):
        return _Columns(sound, (listed,), listed=True)
    if numbered:
        return _Columns(sound, numbered)
    if single := _first_of(REFERENCES, names):
        return _Columns(sound, (single,), wide=False)
    remedy = "call the columns caption_1, caption_2 or caption"
    raise corpus_error(path, f"no references among {name_list(names)}; {remedy}")


def _first_of(wanted: Iterable[str], names: Iterable[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _read_row(table: Table, columns: _Columns, where: str, record: Any) -> Iterator[str]:
    """Add the captions of one record to the table; yields what is wrong with it."""
    if not isinstance(record, dict):
        yield "no object with an id and a caption"
        return
    value = record.get(columns.id or "row")
    sound = clip_name(record, (columns.id or "row",))
    if isinstance(value, bool) or sound is None or sound.strip().lower() in MISSING:
        yield f"no {columns.id}"
        return
    captions = [record.get(column) for column in columns.captions]
    faults = []
    if columns.listed and not (captions := _as_list(captions[0])):
        faults = [f"no JSON list of captions under {columns.captions[0]}"]
    elif len(captions) > 1:  # sounds may have fewer references than others
        captions = [caption for caption in captions if caption not in ("", None)] or captions
    faults += [fault for caption in captions if (fault := _fault(caption))]
    if faults:
        table.bad.add(sound)
    good = tuple(str(caption) for caption in captions if not _fault(caption))
    if good:
        table.rows.append(Row(sound, good, where))
    yield from faults


def _as_list(value: Any) -> list[Any]:
    """A list, also as JSON in the cell of a table; one empty caption for an empty list; [] for
    none."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return (value or [""]) if isinstance(value, list) else []


def _fault(caption: Any) -> str:
    """What is wrong with a caption, "" if nothing is."""
    if not isinstance(caption, str):
        return f"{kind(caption)} in place of a caption"
    text = caption.strip()
    if not text:
        return "an empty caption"
    if is_missing(text):
        return f"{text!r} in place of a caption"
    if _GARBLED.search(caption):
        return "a caption with broken characters"
    if "\n" in text or "\r" in text:
        return "a caption of several lines (an unclosed quote?)"
    return "" if any(letter.isalnum() for letter in caption) else "a caption without words"
