"""Records of a file, each with the place where it stands: rows of a CSV, objects of JSON; and the faults of records."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wsac.types import CorpusError

from .reader import corpus_error

Record = tuple[str, Any]  # (line 3, what is there)


class Faults:
    """Rows that cannot be used, by what is wrong with them."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], list[str]] = {}  # (file, what) to where

    def add(self, path: str, what: str, where: str) -> None:
        self.places.setdefault((path, what), []).append(where)

    def counts(self) -> dict[str, int]:
        return {f"{path}: {what}": len(places) for (path, what), places in self.places.items()}

    def message(self) -> str:
        """All of it on one line: the file, what is wrong, the first five places and the count."""
        parts = []
        for (path, what), places in self.places.items():
            more = f" and {len(places) - 5} more" if len(places) > 5 else ""
            parts.append(f"{path}: {what}: {', '.join(places[:5])}{more}")
        return re.sub(r"\s+", " ", "; ".join(parts))


def csv_records(
    path: str | Path, text: str, check: Callable[[Sequence[str]], Any], faults: Faults
) -> Iterator[Record]:
    """Rows by column of a table with commas, tabs or semicolons: the separator whose header passes ``check``.

    Rows with too few or too many columns are faults. Raises CorpusError for what is no such table.
    """
    header, delimiter = _header(path, text, check)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line, seen = 1, False
    try:
        for row in reader:
            if seen and row and len(row) != len(header):
                faults.add(
                    str(path),
                    f"a row without the {len(header)} columns of the header",
                    f"line {line}",
                )
            elif seen and row:
                yield f"line {line}", dict(zip(header, row, strict=True))
            line, seen = reader.line_num + 1, seen or bool(row)
    except csv.Error as error:
        remedy = 'close the quotes, and write a quote inside a caption as ""'
        raise corpus_error(path, f"broken CSV ({error}); {remedy}", line) from error


def _header(
    path: str | Path, text: str, check: Callable[[Sequence[str]], Any]
) -> tuple[list[str], str]:
    problems: list[tuple[int, CorpusError]] = []
    for delimiter in (",", "\t", ";"):
        names: list[str] = []
        try:
            row = next(
                filter(
                    None,
                    csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True),
                ),
                [],
            )
            names = [name.strip() for name in row]
            lower = [name.lower() for name in names if name]  # an index column may have no name
            if twice := sorted({name for name in lower if lower.count(name) > 1}):
                raise corpus_error(
                    path, f"several columns are called {twice[0]!r}; rename or delete one", 1
                )
            check(names)
            return names, delimiter
        except csv.Error as error:
            problems.append((0, corpus_error(path, f"broken CSV ({error}); close the quotes", 1)))
        except CorpusError as error:
            problems.append((len(names), error))
    raise max(problems, key=lambda problem: problem[0])[1]


def json_records(path: str | Path, text: str) -> tuple[Iterator[Record], dict[str, str]]:
    """The objects of a JSON list, of JSON lines, of COCO's annotations, or of an object from ids to captions.

    Returns also other names for ids, of COCO's images. Raises CorpusError for what is no such JSON.
    """
    lines = [
        (number, line)
        for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1)
        if line.strip()
    ]
    if len(lines) > 1 and lines[0][1].lstrip().startswith("{") and _is_object(lines[0][1]):
        return ((f"line {number}", _parse(path, line, number)) for number, line in lines), {}
    value = _parse(path, text, None)
    names: dict[str, str] = {}
    if isinstance(value, dict) and isinstance(value.get("annotations"), list):
        for image in value.get("images") or ():
            name = image.get("file_name") if isinstance(image, dict) else None
            if isinstance(name, str):
                names[str(image.get("id"))] = name
        value = [_annotation(entry) for entry in value["annotations"]]
    elif isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    elif (
        isinstance(value, dict)
        and value
        and all(isinstance(entry, (str, list)) for entry in value.values())
    ):
        many = any(isinstance(entry, list) for entry in value.values())
        value = [
            {"id": key, "captions" if many else "caption": entry} for key, entry in value.items()
        ]
    elif isinstance(value, dict):
        value = [value]
    return ((f"item {number}", entry) for number, entry in enumerate(value, 1)), names


def _annotation(entry: Any) -> Any:
    """Of an annotation, what it is of and what it says; its own id names neither."""
    return (
        {key: entry.get(key) for key in ("image_id", "caption")}
        if isinstance(entry, dict)
        else entry
    )


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _parse(path: str | Path, text: str, line: int | None) -> Any:
    """JSON in which no object has a key twice."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        what = f"not valid JSON ({error.msg}, column {error.colno}); is the file complete?"
        raise corpus_error(path, what, line or error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise corpus_error(
            path, f"not usable JSON ({str(error)[:100]}); correct it", line
        ) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"{next(name for name in names if names.count(name) > 1)!r} twice in one object"
        )
    return found
