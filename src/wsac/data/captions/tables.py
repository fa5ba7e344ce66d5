"""Tables of captions as people have them: CSV, JSON lines, COCO's JSON and what ``wsac caption`` writes, to rows.

A table is either of candidates, one caption a sound, or of references, one or several. What is wrong with single rows
is collected in Faults; what makes the whole file unreadable is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from wsac.types import CorpusError

from .reader import corpus_error, read_text
from .records import Faults, csv_records, json_records

# Names of columns and keys, the likelier first; of several in a table the first here is taken.
IDS = (
    "file_name",
    "file",
    "filename",
    "fname",
    "audio",
    "audio_file",
    "audio_path",
    "clip",
    "youtube_id",
    "image_id",
    "audio_id",
    "audiocap_id",
    "id",
    "key",
    "name",
)
CANDIDATES = ("candidate", "prediction", "predicted_caption", "hypothesis", "caption", "text")
REFERENCE_LISTS = ("references", "refs", "captions")
REFERENCES = ("reference", "ref", "caption", "text")
_NUMBERED = re.compile(r"(?:captions?|references?|refs?)[ _-]?\d+")
_ABSENT = {
    "nan",
    "none",
    "null",
    "na",
    "n/a",
    "<na>",
    "nat",
    "undefined",
}  # what programs write for a missing value
# a replacement character, control characters, half of a pair, and UTF-8 that was read as Windows-1252
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
    """path: for messages. wide: a row has all references of its sound, so that an id occurs once. names: other names
    of ids, such as the file names of COCO's images. bad: ids of rows that are at fault."""

    path: str
    rows: list[Row] = field(default_factory=list)
    wide: bool = False
    names: dict[str, str] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)


def read_table(path: str | Path, role: str, faults: Faults) -> Table:
    """role: "candidates" or "references". Raises CorpusError for a file that is not such a table."""
    text = read_text(path)
    table = Table(str(path))
    json_like = text.lstrip()[:1] in ("{", "[")
    if json_like:
        records, table.names = json_records(path, text)
    else:
        records = csv_records(path, text, lambda names: _columns(path, names, role), faults)
    first = next(records, None)
    if first is None:
        raise CorpusError(faults.message() or f"{path}: no rows in it; is the file complete?")
    columns = _columns(path, list(first[1]) if isinstance(first[1], dict) else [], role)
    table.wide = columns.wide
    for where, record in chain([first], records):
        _add(table, columns, where, record, json_like, faults)
    return table


@dataclass(frozen=True, slots=True)
class _Columns:
    id: str
    captions: tuple[str, ...]
    listed: bool  # the one column holds a list
    wide: bool


def _columns(path: str | Path, names: Sequence[str], role: str) -> _Columns:
    """Which columns hold what. Raises CorpusError when that is not clear."""
    lower = {name.lower(): name for name in names}
    key = next((lower[name] for name in IDS if name in lower), None)
    shown = (
        ", ".join(repr(name[:40]) for name in names[:8]) + (" …" if len(names) > 8 else "")
        or "nothing"
    )
    if key is None:
        raise corpus_error(
            path, f"no column that names the sounds among {shown}; call it file_name"
        )
    numbered = tuple(name for name in names if _NUMBERED.fullmatch(name.lower()))
    wanted = CANDIDATES if role == "candidates" else REFERENCES
    single = next((lower[name] for name in wanted if name in lower), None)
    if role == "candidates":
        if single is None:
            what = (
                f"{len(numbered)} captions a row, which are references"
                if numbered
                else f"no caption among {shown}"
            )
            raise corpus_error(path, f"{what}; a table of candidates has a column called caption")
        return _Columns(key, (single,), False, True)
    listed = next((lower[name] for name in REFERENCE_LISTS if name in lower), None)
    if listed:
        return _Columns(key, (listed,), True, True)
    if not numbered and single is None:
        raise corpus_error(
            path, f"no references among {shown}; call the columns caption_1, caption_2 or caption"
        )
    return _Columns(key, numbered or (str(single),), False, bool(numbered))


def _add(
    table: Table, columns: _Columns, where: str, record: Any, json_like: bool, faults: Faults
) -> None:
    """Check one record and add its row, or say what is wrong with it."""
    if not isinstance(record, dict):
        return faults.add(table.path, "no object with an id and a caption", where)
    value = record.get(columns.id)
    if (
        isinstance(value, bool)
        or not isinstance(value, (str, int))
        or str(value).strip().lower() in {"", *_ABSENT}
    ):
        return faults.add(table.path, f"no {columns.id}", where)
    name = str(value)
    values = [record.get(column) for column in columns.captions]
    if columns.listed:
        listed = values[0] if json_like else _json_or_none(values[0])
        if not isinstance(listed, list):
            table.bad.add(name)
            return faults.add(
                table.path, f"no JSON list of captions under {columns.captions[0]}", where
            )
        values = listed or [""]
    good: list[str] = []
    for caption in values:
        if fault := _fault(caption):
            table.bad.add(name)
            faults.add(table.path, fault, where)
        else:
            good.append(str(caption))
    if good:
        table.rows.append(Row(name, tuple(good), where))
    return None


def _json_or_none(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _fault(caption: Any) -> str:
    """What is wrong with a caption; "" if nothing is."""
    if not isinstance(caption, str):
        kinds = {type(None): "null", bool: "a truth value", dict: "an object", list: "a list"}
        return f"{kinds.get(type(caption), 'a number')} in place of a caption"
    if not caption.strip():
        return "an empty caption"
    if caption.strip().lower() in _ABSENT:
        return f"{caption.strip()!r} in place of a caption"
    if _GARBLED.search(caption):
        return "a caption with broken characters"
    if "\n" in caption.strip() or "\r" in caption.strip():
        return "a caption of several lines (an unclosed quote?)"
    return "" if any(letter.isalnum() for letter in caption) else "a caption without words"
