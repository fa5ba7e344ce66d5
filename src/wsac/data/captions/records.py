"""The reader of caption tables: rows of CSV, JSON, JSON lines and text, each with its place.

Two policies. Strict, with ``Faults``: column names and JSON keys must be unique, and rows that
cannot be used are collected. Lenient, without: names may repeat, and the first row that cannot be
read is an error.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .formats import NO_DELIMITER, find_header, is_column
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


class Faults:
    """Rows that cannot be used, by what is wrong with them."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], list[str]] = {}  # by file and fault

    def add(self, path: str | Path, what: str, where: str) -> None:
        self.places.setdefault((str(path), what), []).append(where)

    def counts(self) -> dict[str, int]:
        return {f"{path}: {what}": len(places) for (path, what), places in self.places.items()}

    def message(self) -> str:
        """All of it on one line: the file, what is wrong, the first five places and the count."""
        parts = []
        for (path, what), places in self.places.items():
            more = f" and {len(places) - 5} more" if len(places) > 5 else ""
            parts.append(f"{path}: {what}: {', '.join(places[:5])}{more}")
        return re.sub(r"\s+", " ", "; ".join(parts))


def read_records(
    path: str | Path, text: str, format: str, faults: Faults | None = None, *, pad: bool = False
) -> Records:
    """The records of ``text``; ``format`` is one of FORMATS but not auto. ``path`` is for messages.

    pad: a row of a table may end early, its other columns are empty.
    Raises CorpusError with the place and the remedy for text that does not fit the format.
    """
    match format:
        case "text":
            lines = enumerate(_lines(text), 1)
            return Records((f"line {number}", line.rstrip("\r\n")) for number, line in lines)
        case "jsonl":
            return Records(_json_lines(path, text, strict=faults is not None))
        case "json" | "wavcaps":
            return _json_document(path, text, format, strict=faults is not None)
    return _table(path, text, faults, pad)


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends, one at a time: all at once would take more memory than the file."""
    return (match.group() for match in _LINE.finditer(text))


def _table(path: str | Path, text: str, faults: Faults | None, pad: bool) -> Records:
    names, delimiter, _ = find_header(text)
    repeated = sorted(name for name in {*names} if name and names.count(name) > 1)
    if repeated and faults is not None:
        what = f"several columns are called {repeated[0]!r}; rename or delete one"
        raise corpus_error(path, what, "line 1")
    for i, name in enumerate(names):
        if count := names[:i].count(name):  # caption,caption is read as caption,caption_2
            names = (*names[:i], f"{name}_{count + 1}", *names[i + 1 :])
    rows = _csv_rows(path, text, delimiter)
    line = next((line for line, row in rows if any(cell.strip() for cell in row)), 1)
    return Records(_named(path, names, rows, faults, pad), names, f"line {line}")


def _named(
    path: str | Path,
    names: tuple[str, ...],
    rows: Iterator[tuple[int, list[str]]],
    faults: Faults | None,
    pad: bool,
) -> Iterator[Record]:
    what = f"a row without the {len(names)} columns of the header"
    for line, row in rows:
        if pad:
            row += [""] * (len(names) - len(row))
        if len(row) >= len(names) and not any(row[len(names) :]):
            yield f"line {line}", dict(zip(names, row, strict=False))
        elif faults is not None:
            faults.add(path, what, f"line {line}")
        elif len(row) < len(names):
            remedy = "complete the row, or quote the field if it holds a line break"
            raise corpus_error(path, f"{what}; {remedy}", f"line {line}")
        else:
            remedy = 'put "quotes" around captions that contain the separator'
            raise corpus_error(path, f"{what}; {remedy}", f"line {line}")


def _csv_rows(path: str | Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with their first line. Open quotes, which swallow lines, are
    errors."""
    header = next(_lines(text.lstrip()))
    spaced = f"{delimiter} " in header  # written by hand: file_name, caption
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or (row and (row[0].strip() or delimiter == NO_DELIMITER)):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        remedy = 'close the quotes, and write a quote inside a quoted caption as ""'
        reason = "text after a closing quote" if "expected after" in str(error) else error
        raise corpus_error(path, f"broken CSV ({reason}); {remedy}", f"line {line}") from error


def _json_lines(path: str | Path, text: str, strict: bool) -> Iterator[Record]:
    for number, line in enumerate(_lines(text), 1):
        if line.strip():
            yield f"line {number}", _row(_parse(path, line.rstrip("\r\n"), strict, number))


def _json_document(path: str | Path, text: str, format: str, strict: bool) -> Records:
    """A list, a ``data`` list, COCO's annotations, an object from ids to captions, or one
    record."""
    value = _parse(path, text, strict)
    file_names: dict[str, str] = {}
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    elif format == "wavcaps" or not isinstance(value, (dict, list)):
        remedy = 'write {"data": [{"id": "clip", "caption": "..."}]} or a list of captions'
        raise corpus_error(path, f'{kind(value)} instead of a "data" list; {remedy}')
    elif isinstance(value, dict) and isinstance(value.get("annotations"), list):
        for image in value.get("images") or ():
            if isinstance(image, dict) and isinstance(image.get("file_name"), str):
                file_names[str(image.get("id"))] = image["file_name"]
        value = [_annotation(entry) for entry in value["annotations"]]
    elif isinstance(value, dict):
        value = _by_id(value) or [value]
    rows = ((f"item {number}", _row(entry)) for number, entry in enumerate(value, 1))
    return Records(rows, file_names=file_names)


def _annotation(entry: Any) -> Any:
    """The image and the caption of an annotation; its own id names neither."""
    if not isinstance(entry, dict):
        return entry
    return {"image_id": entry.get("image_id"), "caption": entry.get("caption")}


def _by_id(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Records of an object from ids to captions; none when it is no such object."""
    if not all(isinstance(entry, (str, list)) for entry in value.values()):
        return []
    if any(is_column(name.lower()) for name in value):
        return []
    several = any(isinstance(entry, list) for entry in value.values())
    name = "captions" if several else "caption"
    return [{"id": key, name: entry} for key, entry in value.items()]


def _row(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): entry for name, entry in value.items()}
    return value


def _parse(path: str | Path, text: str, strict: bool, line: int | None = None) -> Any:
    """JSON; line: that ``text`` is, None for the whole file. Strict: no object has a key twice."""
    try:
        return json.loads(text, object_pairs_hook=_unique if strict else None)
    except json.JSONDecodeError as error:
        what = f"not valid JSON ({error.msg}, column {error.colno})"
        remedy = "is the file complete, and is it JSON?"
        if line:
            remedy = "correct it, or give the format text if these lines are captions"
        raise corpus_error(path, f"{what}; {remedy}", f"line {line or error.lineno}") from error
    except (ValueError, RecursionError) as error:
        what = f"not usable JSON ({str(error)[:100]}); correct it"
        raise corpus_error(path, what, f"line {line}" if line else "") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated!r} twice in one object")
    return value


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a truth value"}
    return "null" if value is None else kinds.get(type(value), "a number")
