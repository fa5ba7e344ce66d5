"""Recognise the format of a caption file from its content. What looks like data is no prose."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from .columns import (
    HEADER_ONLY,
    HEADER_WORDS,
    caption_columns,
    is_caption_name,
    is_column,
    name_list,
)
from .text_file import corpus_error

FORMATS = (
    *("auto", "clotho", "audiocaps", "csv", "wavcaps", "json", "jsonl", "yaml", "subtitles"),
    "text",
)
NO_DELIMITER = "\x1f"  # a table of one column: commas belong to the caption
NEWLINE = re.compile(r"\r\n|\n|\r")  # str.splitlines would also split at U+2028 and form feeds
SEPARATOR = re.compile(r'\s*"?sep=([,;|\t])"?[ \t]*(\r\n|\n|\r)', re.I)  # Excel's first line

_START = 65536  # characters that are enough to tell a format
# at most three words without a full stop
_COLUMN = re.compile(r"[\w.:\-/()#]{1,40}( [\w.:\-/()#]{1,40}){0,2}(?<!\.)")
_FILE = r"[^,;\t]+\.(?:wav|flac|mp3|ogg|opus|m4a|aiff?)\s*"
_TABLE_ROW = re.compile(_FILE + r"([,;\t]|$)|\d+([;\t]|,(?!\d{3}\b))\S", re.I)
_NAMED = re.compile(_FILE + r":\s+\S", re.I)  # what GenAU's AutoCap writes
_DATA = re.compile(_FILE + r"|[\d.]+|https?://\S+|(?=[\w-]*[\d_-])[\w-]{11}", re.I)
_LABEL_TRACK = re.compile(r"\d+[.,]\d+\t\d+[.,]\d+(\t|$)")
_KEY = r"[A-Za-z_][\w-]*:"
_YAML = re.compile(
    rf"(%YAML[^\n]*\n)?---[ \t]*\n|(#[^\n]*\n)*({_KEY}[ \t]*\n\s*- |{_KEY}[ \t]*\n[ \t]+\S+:"
    rf"|- {_KEY}[^\n]*\n  {_KEY})"
)
_TIMES = r"(\d+:)?\d+:\d\d[.,]\d{3}[ \t]*-->[ \t]*(\d+:)?\d+:\d\d[.,]\d{3}"
_SUBTITLES = re.compile(rf"WEBVTT([ \t][^\n]*)?(\n|$)|(\d+[ \t]*\n)?[ \t]*{_TIMES}")


def detect_format(path: str | Path, text: str, column: str | None = None) -> str:
    """Name the format of ``text`` by its content. ``path``: for messages, and its suffix .csv.

    column: the name of a table's captions. Prose with commas is no table: a table begins with a row
    of column names. Raises CorpusError for a table whose columns cannot be told.
    """
    if json_format := detect_json(text):
        return json_format
    start = NEWLINE.sub("\n", text[:_START].lstrip())
    if _SUBTITLES.match(start):
        return "subtitles"
    if _YAML.match(start):
        return "yaml"
    names, _, certain = find_header(text, column)
    if certain:
        if {"youtube_id", "caption"} <= {*names}:
            return "audiocaps"
        return "clotho" if caption_columns(names, numbered=True) else "csv"
    lines = [line.strip() for line in start.split("\n") if line.strip()]
    lines = lines[: -1 if len(text) > _START and len(lines) > 1 else None]  # may be cut
    quoted = bool(lines) and all(line.startswith(('"', "{")) for line in lines[:2])
    if quoted and _is_json_string(lines[0]):
        return "jsonl"
    _refuse_table(path, lines)
    return "text"


def _refuse_table(path: str | Path, lines: list[str]) -> None:
    """Raises CorpusError when the lines are rows of a table."""
    text = "or keep whole lines: wsac corpus --format text"
    if lines and all(_LABEL_TRACK.match(line) for line in lines[:5]):
        remedy = "keep only the third column, one caption per line: cut -f 3"
        raise corpus_error(path, f"looks like a label track (start, end, label); {remedy}")
    if lines and all(_NAMED.match(line) for line in lines[:5]):
        remedy = "write file_name<tab>caption above, and tabs for the colons: sed 's/: /\\t/'"
        raise corpus_error(path, f"looks like lines of file: caption; {remedy}, {text}")
    if lines and all(_TABLE_ROW.match(line) for line in lines[:5]):
        what = "looks like a table without a header; add one such as file_name,caption"
        raise corpus_error(path, f"{what}, {text}", "line 1")
    for number, line in enumerate(lines[1:5], 2):
        names, _, certain = find_header(line)
        if certain and len(names) > 1 and caption_columns(names):
            what = f"the header is not the first line but line {number} ({name_list(names)})"
            raise corpus_error(path, f"{what}; delete the lines above it, {text}", "line 1")
    if names := _columns_of(path, lines):
        what = f"looks like a table with the columns {name_list(names)}, and none is called caption"
        raise corpus_error(path, f"{what}; name the one of captions: --column NAME, {text}")


def _columns_of(path: str | Path, lines: list[str]) -> tuple[str, ...]:
    """The first row of lines that all have equally many cells; () for prose."""
    named = Path(str(path).removesuffix(".gz")).suffix.lower() in (".csv", ".tsv")
    for delimiter in ("\t", ";", "|", ","):
        try:
            rows = list(csv.reader(lines[:50], delimiter=delimiter))
        except csv.Error:  # a stray quote in prose
            continue
        if len(rows) > 2 and len(rows[0]) == 1 and not lines[0].endswith((".", "!", "?")):
            rows = rows[1:]  # below a title
        width = len(rows[0])
        if len(rows) < 2 or width < 2 or any(len(row) != width for row in rows):
            continue
        columns = [[row[i].strip() for row in rows[1:]] for i in range(width)]
        data = any(all(map(_DATA.fullmatch, column)) for column in columns)
        if named or data or delimiter == "\t" or (delimiter != "," and len(rows) > 2):
            return tuple(cell.strip() for cell in rows[0])
    return ()


def find_header(text: str, column: str | None = None) -> tuple[tuple[str, ...], str, bool]:
    """The first row as lower-case names, its delimiter, and whether it is certainly a header.

    column: a name that a header has.
    """
    start = text[:_START].lstrip("\r\n ")
    separator = SEPARATOR.match(start)
    if separator:  # the line says that this is a table
        start = start[separator.end() :]
    line = NEWLINE.split(start.lstrip(), maxsplit=1)[0].strip()
    best: tuple[tuple[str, ...], str] = ((line.strip('"').lower(),), NO_DELIMITER)
    if caption_columns(best[0]) or (column and best[0] == (column.lower(),)):
        return *best, True
    for delimiter in separator[1] if separator else ",\t;|":
        try:
            row = next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter), [])
        except csv.Error:  # a stray quote in prose
            continue
        names = tuple(name.strip().lstrip("# ").lower() for name in row)
        named = separator or (column and column.lower() in names)
        if named or _is_header(names, spaced=any(name.startswith(" ") for name in row)):
            return names, delimiter, True
        if len(names) > len(best[0]):
            best = names, delimiter
    return *best, False


def _is_header(names: tuple[str, ...], spaced: bool) -> bool:
    """Whether a first row is names, not a sentence with commas; spaced: spaces follow its
    commas."""
    words = [name for name in names if name]  # an index column has no name
    if len(names) < 2 or not words:
        return False
    if any(is_caption_name(name) for name in words):
        return all(len(name) <= 60 and name[-1] not in ".!?" for name in words)
    phrases = any(" " in name for name in words)
    if not all(_COLUMN.fullmatch(name) for name in words) or (spaced and phrases):
        return False
    if caption_columns(names):
        return True
    if len(words) < 2 or phrases:
        return False
    if any("_" in name or name in HEADER_ONLY for name in words):
        return True
    return all(name in HEADER_WORDS for name in words)


def detect_json(text: str) -> str | None:
    """json, wavcaps or jsonl for JSON, whole or broken; None for prose such as ``[music]
    plays``."""
    start = text.lstrip()
    if not start.startswith(("{", "[")):
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError) as error:
        if not isinstance(error, json.JSONDecodeError):  # nested too deep, or too long a number
            return "json" if start[0] == "[" else "jsonl"
        if re.match(r"\[\s*([\"{\]]|$)", start):
            return "json"
        if not re.match(r"\{\s*([\"}]|$)", start):
            return None
        return "wavcaps" if re.search(r'"data"\s*:\s*\[', start[:4096]) else "jsonl"
    whole = not start[end:].strip()
    if isinstance(value, list):
        return "json" if whole or re.match(r"\[\s*[\"{]", start) else None
    if whole and isinstance(value.get("data"), list):
        return "wavcaps"
    document = "\n" in start[:end] or _is_document(value)
    return "json" if whole and document else "jsonl"


def _is_document(value: dict[str, object]) -> bool:
    """Whether an object holds many records: COCO's, one of lists, or one from clips to captions."""
    lists = [isinstance(entry, list) for entry in value.values()]
    if lists and (isinstance(value.get("annotations"), list) or all(lists)):
        return True
    texts = all(isinstance(entry, (str, list)) for entry in value.values())
    return texts and not any(is_column(name.lower()) for name in value)


def _is_json_string(text: str) -> bool:
    try:
        return isinstance(json.loads(text), str)
    except (ValueError, RecursionError):
        return False
