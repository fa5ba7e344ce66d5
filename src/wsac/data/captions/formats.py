"""The formats of caption files: recognise one from its text, and read its rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wsac.types import Example

from .reader import corpus_error

FORMATS: tuple[str, ...] = (
    "auto",
    "clotho",
    "audiocaps",
    "csv",
    "wavcaps",
    "json",
    "jsonl",
    "text",
)

_CAPTION = re.compile(r"captions?[_ -]?\d*", re.IGNORECASE)
_OTHER_CAPTION = ("text", "sentence", "description")  # used when no column is called caption
_CLIP = (
    "clip",
    "file_name",
    "filename",
    "fname",
    "file",
    "audio",
    "audio_path",
    "path",
    "wav",
    "youtube_id",
    "id",
)
# A header without captions is still a header: these names, or any with an underscore, do not begin a sentence.
_HEADER_ONLY = {"filename", "fname", "filepath", "ytid"}
_HEADER_WORDS = {
    *_CLIP,
    *_HEADER_ONLY,
    "start",
    "end",
    "duration",
    "split",
    "label",
    "labels",
    "tags",
    "keywords",
}
_COLUMN = re.compile(
    r"[\w.:\-/()#]{1,40}( [\w.:\-/()#]{1,40}){0,2}(?<!\.)"
)  # at most three words, no full stop
_TABLE_ROW = re.compile(
    r"[^,;\t]+\.(wav|flac|mp3|ogg|opus|m4a|aiff?)\s*([,;\t]|$)|\d+([;\t]|,(?!\d{3}\b))\S", re.I
)
_NO_DELIMITER = "\x1f"  # a table of one column: commas belong to the caption
_NEWLINE = re.compile(
    r"\r\n|\n|\r"
)  # not str.splitlines, which also splits at U+2028 and form feeds
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


def detect_format(path: str | Path, text: str) -> str:
    """Name the format of ``text`` by its content alone. ``path`` is only for error messages.

    Prose is not taken for a table because of its commas: a table begins with a row of column names.
    Raises CorpusError for a table without a header, which would otherwise be read as prose.
    """
    start = text.lstrip()
    if start.startswith(("{", "[")) and (found := _detect_json(start)):
        return found
    header, _, certain = _header(text)
    if certain:
        names = {name.lower() for name in header}
        if "youtube_id" in names and "caption" in names:
            return "audiocaps"
        return "clotho" if _numbered(header) else "csv"
    lines = [line.strip() for line in _NEWLINE.split(start[:65536]) if line.strip()][:5]
    if not lines:
        return "text"
    if all(line.startswith(('"', "{")) for line in lines[:2]) and isinstance(
        _json_or_none(lines[0]), str
    ):
        return "jsonl"
    if all(_TABLE_ROW.match(line) for line in lines):
        remedy = "add one such as file_name,caption, or give the format text to keep whole lines"
        raise corpus_error(path, f"looks like a table without a header; {remedy}", 1)
    return "text"


def parse(path: str | Path, text: str, format: str) -> Iterator[Example]:
    """Yield the rows of ``text``, empty captions included; ``format`` is one of FORMATS but not auto.

    Raises CorpusError, with the line where one applies, at the first row that does not fit the format.
    """
    match format:
        case "text":
            yield from (Example(line.rstrip("\r\n")) for line in _lines(text))
        case "jsonl":
            yield from _parse_jsonl(path, text)
        case "json" | "wavcaps":
            yield from _parse_json(path, text, format)
        case _:
            yield from _parse_csv(path, text, format)


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends, one at a time: a million of them at once would take more memory than the file."""
    return (found.group() for found in _LINE.finditer(text))


def caption_columns(names: Sequence[str]) -> list[int]:
    """Indices of the columns that hold captions: all caption, captions and caption_N; else one text or alike."""
    if found := [i for i, name in enumerate(names) if _CAPTION.fullmatch(name)]:
        return found
    return [i for i, name in enumerate(names) if name.lower() in _OTHER_CAPTION][:1]


def _parse_csv(path: str | Path, text: str, format: str) -> Iterator[Example]:
    header, delimiter, _ = _header(text)
    wanted = _numbered(header) if format == "clotho" else caption_columns(header)
    if not wanted:
        line = 1 + len(_NEWLINE.findall(text[: len(text) - len(text.lstrip())]))
        name = "caption_1" if format == "clotho" else "caption"
        remedy = f"name the column of captions {name}, or add a header line if there is none"
        raise corpus_error(path, f"no {name} column among {_listed(header)}; {remedy}", line)
    lower = [name.lower() for name in header]
    rows = _csv_rows(path, text, delimiter)
    next(row for _, row in rows if any(name.strip() for name in row))  # the header
    for line, row in rows:
        if len(row) < len(header):
            remedy = "complete the row, or quote the field if it holds a line break"
            raise corpus_error(
                path, f"{len(row)} columns where the header has {len(header)}; {remedy}", line
            )
        if any(row[len(header) :]):
            remedy = 'put "quotes" around captions that contain the separator'
            raise corpus_error(
                path, f"{len(row)} columns where the header has {len(header)}; {remedy}", line
            )
        record = dict(zip(lower, row, strict=False))
        yield from (Example(row[i], _clip(record)) for i in wanted)


def _csv_rows(path: str | Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line it begins on. Strict: an open quote would swallow what follows."""
    spaced = (
        f"{delimiter} " in _NEWLINE.split(text.lstrip(), maxsplit=1)[0]
    )  # written by hand: file_name, caption
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or (row and (row[0].strip() or delimiter == _NO_DELIMITER)):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        remedy = 'close the quotes, and write a quote inside a quoted caption as ""'
        reason = "text after a closing quote" if "expected after" in str(error) else error
        raise corpus_error(path, f"broken CSV ({reason}); {remedy}", line) from error


def _header(text: str) -> tuple[list[str], str, bool]:
    """The first row as column names, the separator that suits it best, and whether it is a header for certain."""
    line = _NEWLINE.split(text[:65536].lstrip(), maxsplit=1)[0].strip()
    best, separator = [line.strip('"')], _NO_DELIMITER
    if caption_columns(best):
        return best, separator, True
    for delimiter in (",", "\t", ";", "|"):
        reader = csv.reader(
            io.StringIO(text[:65536].lstrip("\r\n "), newline=""), delimiter=delimiter
        )
        try:
            row = next(reader, [])
        except csv.Error:  # a stray quote in prose
            continue
        names = [name.strip().lstrip("# ") for name in row]
        if _is_header(names, spaced=any(name.startswith(" ") for name in row)):
            return names, delimiter, True
        if len(names) > len(best):
            best, separator = names, delimiter
    return best, separator, False


def _is_header(names: list[str], spaced: bool) -> bool:
    """Whether a first row is column names, not a sentence with commas; ``spaced``: a space follows its separators."""
    words = [name.lower() for name in names if name]  # an index column has no name
    if len(names) < 2 or not words:
        return False
    if any(_CAPTION.fullmatch(name) for name in words):
        return all(len(name) <= 60 and name[-1] not in ".!?" for name in words)
    phrases = any(" " in name for name in words)
    if not all(_COLUMN.fullmatch(name) for name in words) or (spaced and phrases):
        return False
    if caption_columns(names):
        return True
    if len(words) < 2 or phrases:
        return False
    return any("_" in name or name in _HEADER_ONLY for name in words) or all(
        name in _HEADER_WORDS for name in words
    )


def _numbered(names: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(names) if _CAPTION.fullmatch(name) and name[-1].isdigit()]


def _detect_json(start: str) -> str | None:
    """json, wavcaps or jsonl for text that begins with a bracket; None when it is prose such as ``[music] plays``."""
    try:
        value, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
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
    return "json" if whole and "\n" in start[:end] else "jsonl"


def _parse_json(path: str | Path, text: str, format: str) -> Iterator[Example]:
    value = _load_json(path, text, None)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    elif isinstance(value, dict) and format == "json" and caption_columns(list(value)):
        value = [value]
    elif not isinstance(value, list) or format == "wavcaps":
        found = f"an object of {_listed(list(value))}" if isinstance(value, dict) else _kind(value)
        remedy = 'write {"data": [{"id": "clip", "caption": "..."}]} or a list of captions'
        raise corpus_error(path, f'{found} instead of a "data" list; {remedy}')
    for number, item in enumerate(value, 1):
        yield from _json_examples(path, item, f"item {number}: ")


def _parse_jsonl(path: str | Path, text: str) -> Iterator[Example]:
    for number, line in enumerate(_lines(text), 1):
        if line.strip():
            yield from _json_examples(
                path, _load_json(path, line.rstrip("\r\n"), number), "", number
            )


def _json_examples(
    path: str | Path, item: Any, place: str, line: int | None = None
) -> Iterator[Example]:
    """Examples of one JSON string or object; a null caption is an empty one."""
    values, clip = [item], None
    if isinstance(item, dict):
        names = list(item)
        if not (columns := caption_columns(names)):
            remedy = 'name the caption "caption"'
            raise corpus_error(path, f"{place}no caption among {_listed(names)}; {remedy}", line)
        values = [item[names[i]] for i in columns]
        clip = _clip({name.lower(): value for name, value in item.items()}, ("clip", "id", *_CLIP))
        values = [
            caption
            for value in values
            for caption in (value if isinstance(value, list) else [value])
        ]
        values = ["" if value is None else value for value in values]
    for value in values:
        if not isinstance(value, str):
            raise corpus_error(
                path, f"{place}{_kind(value)} where a caption belongs; write it as a string", line
            )
        if re.search("[\ud800-\udfff]", value):
            raise corpus_error(
                path, f"{place}half of a \\u surrogate pair; write the character as UTF-8", line
            )
        yield Example(value, clip)


def _load_json(path: str | Path, text: str, line: int | None) -> Any:
    """Parse one document; ``line`` is the line that ``text`` is, or None when it is the whole file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        remedy = (
            "correct it, or give the format text if these lines are captions"
            if line
            else "is the file complete, and is it JSON?"
        )
        raise corpus_error(
            path,
            f"not valid JSON ({error.msg}, column {error.colno}); {remedy}",
            line or error.lineno,
        ) from error
    except (ValueError, RecursionError) as error:
        raise corpus_error(
            path, "not valid JSON (nested too deep, or a number too long); correct it", line
        ) from error


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _clip(record: dict[str, Any], names: Sequence[str] = _CLIP) -> str | None:
    """The clip id of a row by its lower-case column names; AudioCaps names a clip by its video and start second.

    Kept as written: some file names of Clotho begin with a space.
    """
    for name in names:
        value = record.get(name)
        if isinstance(value, (str, int)) and str(value).strip():
            start = record.get("start_time") if name == "youtube_id" else None
            return str(value) if start in (None, "") else f"{value}_{start}"
    return None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "no names"


def _kind(value: Any) -> str:
    kinds = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a truth value",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")
