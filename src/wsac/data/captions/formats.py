"""Recognise the format of a caption file from its content, and its columns by their names."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from .text_file import corpus_error

FORMATS = ("auto", "clotho", "audiocaps", "csv", "wavcaps", "json", "jsonl", "text")
NO_DELIMITER = "\x1f"  # a table of one column: commas belong to the caption
NEWLINE = re.compile(r"\r\n|\n|\r")  # str.splitlines would also split at U+2028 and form feeds

_FILES = "clip file_name filename fname file audio audio_file audio_path path wav".split()
SOUND_COLUMNS = (*_FILES, "youtube_id", "image_id", "audio_id", "audiocap_id", "id")
_CAPTION = re.compile(r"captions?[_ -]?\d*")
_OTHER_CAPTION = ("text", "sentence", "description")  # used when no column is called caption
# headers also without captions: these names, or any with an underscore, begin no sentence
_HEADER_ONLY = {"filename", "fname", "filepath", "ytid"}
_OTHER_WORDS = {"start", "end", "duration", "split", "label", "labels", "tags", "keywords"}
HEADER_WORDS = {*SOUND_COLUMNS, *_HEADER_ONLY, *_OTHER_WORDS}
# at most three words without a full stop
_COLUMN = re.compile(r"[\w.:\-/()#]{1,40}( [\w.:\-/()#]{1,40}){0,2}(?<!\.)")
_FILE_CELL = r"[^,;\t]+\.(wav|flac|mp3|ogg|opus|m4a|aiff?)\s*([,;\t]|$)"
_TABLE_ROW = re.compile(_FILE_CELL + r"|\d+([;\t]|,(?!\d{3}\b))\S", re.I)


def detect_format(path: str | Path, text: str) -> str:
    """Name the format of ``text`` by its content alone. ``path`` is only for error messages.

    Prose with commas is no table: a table begins with a row of column names.
    Raises CorpusError for a table without a header, which would otherwise be read as prose.
    """
    if json_format := detect_json(text):
        return json_format
    names, _, certain = find_header(text)
    if certain:
        if {"youtube_id", "caption"} <= {*names}:
            return "audiocaps"
        return "clotho" if caption_columns(names, numbered=True) else "csv"
    lines = [line.strip() for line in NEWLINE.split(text.lstrip()[:65536]) if line.strip()][:5]
    quoted = bool(lines) and all(line.startswith(('"', "{")) for line in lines[:2])
    if quoted and _is_json_string(lines[0]):
        return "jsonl"
    if lines and all(_TABLE_ROW.match(line) for line in lines):
        remedy = "add one such as file_name,caption, or give the format text to keep whole lines"
        raise corpus_error(path, f"looks like a table without a header; {remedy}", "line 1")
    return "text"


@lru_cache(maxsize=64)
def caption_columns(names: tuple[str, ...], numbered: bool = False) -> tuple[str, ...]:
    """Columns of captions: all of caption, captions and caption_N, else one called text or alike.

    names: lower-case. numbered: only caption_N.
    """
    columns = tuple(name for name in names if _CAPTION.fullmatch(name))
    if numbered:
        return tuple(name for name in columns if name[-1].isdigit())
    return columns or tuple(name for name in names if name in _OTHER_CAPTION)[:1]


def is_column(name: str) -> bool:
    """Whether a lower-case name is one that columns have."""
    return name in HEADER_WORDS or name in _OTHER_CAPTION or bool(_CAPTION.fullmatch(name))


def name_list(names: Iterable[str]) -> str:
    """The first eight names, quoted, for an error message."""
    names = list(names)
    shown = ", ".join(repr(name[:40]) for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "nothing"


def find_header(text: str) -> tuple[tuple[str, ...], str, bool]:
    """The first row as lower-case names, its delimiter, and whether it is certainly a header."""
    start = text[:65536]
    line = NEWLINE.split(start.lstrip(), maxsplit=1)[0].strip()
    best: tuple[tuple[str, ...], str] = ((line.strip('"').lower(),), NO_DELIMITER)
    if caption_columns(best[0]):
        return *best, True
    for delimiter in (",", "\t", ";", "|"):
        file = io.StringIO(start.lstrip("\r\n "), newline="")
        try:
            row = next(csv.reader(file, delimiter=delimiter), [])
        except csv.Error:  # a stray quote in prose
            continue
        names = tuple(name.strip().lstrip("# ").lower() for name in row)
        if _is_header(names, spaced=any(name.startswith(" ") for name in row)):
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
    if any(_CAPTION.fullmatch(name) for name in words):
        return all(len(name) <= 60 and name[-1] not in ".!?" for name in words)
    phrases = any(" " in name for name in words)
    if not all(_COLUMN.fullmatch(name) for name in words) or (spaced and phrases):
        return False
    if caption_columns(names):
        return True
    if len(words) < 2 or phrases:
        return False
    if any("_" in name or name in _HEADER_ONLY for name in words):
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


def _is_json_string(text: str) -> bool:
    try:
        return isinstance(json.loads(text), str)
    except (ValueError, RecursionError):
        return False
