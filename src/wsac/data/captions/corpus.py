"""Caption corpora: read caption files, merge them into one clean list, write it as JSON lines."""

from __future__ import annotations

import gzip
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wsac.io.files import atomic_path
from wsac.types import CorpusError, Example, RecipeError

from .corpus_statistics import CorpusStats, SourceStats, corpus_stats
from .formats import FORMATS, SOUND_COLUMNS, caption_columns, detect_format, name_list
from .records import Records, kind, read_records
from .text_file import corpus_error, read_text

STYLES = ("keep", "sentence", "lower")

_SPACE = re.compile(r"[\s\u200b\ufeff]+")  # zero-width spaces too; not the joiner, which emoji need
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Captions in reading order, and the counts of rows that were read and dropped."""

    examples: list[Example]
    stats: CorpusStats


def read_captions(path: str | Path, *, format: str = "auto") -> list[Example]:
    """Read every caption of a file, as written; empty captions are included.

    format: one of FORMATS; auto recognises it from the content, gzip included. A header row is no
    caption, except when the format text is forced: then each line is one. Raises CorpusError (file,
    line, remedy) for anything but a readable corpus with at least one row.
    """
    return list(_read(path, format)[1])


def merge(
    paths: str | Path | Iterable[str | Path], *, format: str = "auto", style: str = "keep"
) -> Corpus:
    """Read files in order, tidy white space, restyle, and drop empty captions and repetitions.

    Captions come out in Unicode NFC on one line. format, style: one of FORMATS, STYLES.
    Raises CorpusError as read_captions does, and when no caption is left.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not paths:
        raise CorpusError("no caption files given; name at least one")
    _check_style(style)
    examples: dict[str, Example] = {}
    sources = []
    for path in paths:
        source_format, rows = _read(path, format)
        before, empty, read = len(examples), 0, 0
        for row in rows:  # one at a time: dropped rows never fill the memory
            read += 1
            caption = restyle(_tidy(row.caption), style)
            empty += not caption
            if caption and caption not in examples:
                examples[caption] = Example(caption, row.clip)
        new = len(examples) - before
        sources.append(SourceStats(str(path), source_format, read, new, empty, read - new - empty))
    if not examples:
        rows_read = sum(source.read for source in sources)
        what = f"no captions left: all {rows_read} rows are empty; name other files"
        raise corpus_error(", ".join(map(str, paths)), what)
    return Corpus(list(examples.values()), corpus_stats(sources, list(examples)))


def restyle(caption: str, style: str) -> str:
    """Give a caption a uniform look, except for an ellipsis, ``!`` and ``?``. Idempotent.

    keep: as it is. sentence: the first letter upper-case, no final full stop. lower: lower-case, no
    final full stop. Raises CorpusError for an unknown style.
    """
    _check_style(style)
    if style == "keep":
        return caption
    while caption.endswith(".") and not caption.endswith(".."):
        caption = caption[:-1].rstrip()
    if style == "lower":
        return caption.lower()
    start = len(caption) - len(re.sub(r"^\W*", "", caption))  # past an opening quote or bracket
    return caption[:start] + caption[start : start + 1].title() + caption[start + 1 :]


def write_jsonl(examples: Iterable[Example], path: str | Path) -> None:
    """Write ``{"caption": ..., "clip": ...}`` lines, without clip when None; gzip for a name in
    .gz.

    Equal examples make equal bytes. Raises WsacError when the file cannot be written; it is whole
    or absent.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        if Path(path).suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                packed.writelines(map(_line, examples))
        else:
            file.writelines(map(_line, examples))


def _line(example: Example) -> bytes:
    row = {"caption": example.caption} | ({} if example.clip is None else {"clip": example.clip})
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def _read(path: str | Path, format: str) -> tuple[str, Iterator[Example]]:
    """The format, and the rows as they are read; a broken row raises when it is reached."""
    if format not in FORMATS:
        raise corpus_error(path, f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    text = read_text(path)
    format = detect_format(path, text) if format == "auto" else format
    records = read_records(path, text, format)
    if records.columns and not caption_columns(records.columns, format == "clotho"):
        column = "caption_1" if format == "clotho" else "caption"
        remedy = f"name the column of captions {column}, or add a header line if there is none"
        what = f"no {column} column among {name_list(records.columns)}; {remedy}"
        raise corpus_error(path, what, records.line)
    rows = _examples(path, records, numbered=format == "clotho")
    if (first := next(rows, None)) is None:
        raise corpus_error(path, f"no captions in it (read as {format}); is the download complete?")
    return format, chain((first,), rows)


def _examples(path: str | Path, records: Records, numbered: bool) -> Iterator[Example]:
    clip_names = SOUND_COLUMNS if records.columns else ("clip", "id", *SOUND_COLUMNS)
    for where, record in records.rows:
        clip, captions = None, [record]
        if isinstance(record, dict):
            if not (columns := caption_columns(tuple(record), numbered)):
                what = f'no caption among {name_list(record)}; name the caption "caption"'
                raise corpus_error(path, what, where)
            clip = _clip(record, clip_names)
            captions = [caption for name in columns for caption in _listed(record[name])]
        for caption in captions:
            if not isinstance(caption, str):
                what = f"{kind(caption)} where a caption belongs; write it as a string"
                raise corpus_error(path, what, where)
            if _SURROGATE.search(caption):
                what = "half of a \\u surrogate pair; write the character as UTF-8"
                raise corpus_error(path, what, where)
            yield Example(caption, clip)


def _listed(value: Any) -> list[Any]:
    """The captions of one field; a null caption is an empty one."""
    values = value if isinstance(value, list) else [value]
    return ["" if caption is None else caption for caption in values]


def _clip(record: dict[str, Any], names: Iterable[str]) -> str | None:
    """The clip that a record names; AudioCaps names a clip by its video and start second.

    As written: some file names of Clotho begin with a space.
    """
    for name in names:
        value = record.get(name)
        if isinstance(value, (str, int)) and str(value).strip():
            start = record.get("start_time") if name == "youtube_id" else None
            return str(value) if start in (None, "") else f"{value}_{start}"
    return None


def _tidy(caption: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFC", caption)).strip()


def _check_style(style: str) -> None:
    if style not in STYLES:
        raise CorpusError(f"unknown style {style!r}; choose one of {', '.join(STYLES)}")


def read_labels(path: str | Path) -> list[str]:
    """Labels of a UTF-8 text file, one per line, without blank lines and lines that begin with #.

    Raises RecipeError when the file cannot be read or holds no label.
    """
    try:
        lines = read_text(path).splitlines()
    except CorpusError as error:
        raise RecipeError(f"cannot read the labels: {error}") from error
    labels = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not labels:
        raise RecipeError(f"{path}: no labels in this file; write two or more, one per line")
    return labels
