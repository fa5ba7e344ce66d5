"""Caption corpora: read caption files, merge them into one clean list, write it as JSON lines."""

from __future__ import annotations

import gzip
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wsac.io.files import atomic_path
from wsac.io.json_text import to_json
from wsac.types import CorpusError, Example

from .columns import SOUND_COLUMNS, caption_columns, clip_name, is_missing, name_list
from .corpus_statistics import CorpusStats, SourceStats, corpus_stats
from .documents import kind
from .faults import Faults, row_fault
from .formats import FORMATS, detect_format
from .records import Records, read_records
from .text_file import corpus_error, read_text

STYLES = ("keep", "sentence", "lower")

_SPACE = re.compile(r"[\s\u200b\ufeff]+")  # zero-width spaces too; not the joiner, which emoji need
_SURROGATE = re.compile("[\ud800-\udfff]")
_PYTHON_LIST = re.compile(r"\s*\['.*'\s*\]\s*", re.S)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Captions in reading order, and the counts of rows that were read and dropped."""

    examples: list[Example]
    stats: CorpusStats


def read_captions(
    path: str | Path,
    *,
    format: str = "auto",
    column: str | None = None,
    skip_invalid: bool = False,
) -> list[Example]:
    """Read every caption of a file, as written; empty captions are included.

    format: one of FORMATS; auto recognises it from the content, gzip included. A header row is no
    caption, except when the format text is forced: then each line is one. column: of the captions,
    if it is not called so. skip_invalid: leave out rows that cannot be used. Raises CorpusError
    (file, line, remedy) for anything but a readable corpus with at least one row.
    """
    faults = Faults(strict=False)
    examples = list(_read(path, format, column, faults)[1])
    if faults.places and not (skip_invalid and examples):
        raise faults.error()
    return examples


def merge(
    paths: str | Path | Iterable[str | Path],
    *,
    format: str = "auto",
    style: str = "keep",
    column: str | None = None,
    skip_invalid: bool = False,
) -> Corpus:
    """Read files in order, tidy white space, restyle, and drop empty captions and repetitions.

    Captions come out in Unicode NFC on one line. Words for a missing value, such as nan, are
    dropped and counted. format, style: one of FORMATS, STYLES. column, skip_invalid: as for
    read_captions; rows that are left out are in the statistics.
    Raises CorpusError as read_captions does, and when no caption is left.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not paths:
        raise CorpusError("no caption files given; name at least one")
    _check_style(style)
    examples: dict[str, Example] = {}
    sources, bad_rows, faults = [], [], Faults(strict=False)
    for path in paths:
        here = Faults(strict=False)
        source_format, rows = _read(path, format, column, here)
        before, empty, missing, read = len(examples), 0, 0, 0
        for row in rows:  # one at a time: dropped rows never fill the memory
            read += 1
            caption = restyle(_tidy(row.caption), style)
            empty += not caption
            if is_missing(caption):
                missing += 1
            elif caption and caption not in examples:
                examples[caption] = Example(caption, row.clip)
        counts = {"read": read, "kept": len(examples) - before, "empty": empty}
        counts["duplicates"] = read - sum((counts["kept"], empty, missing))
        counts |= {"missing": missing, "headers": sum(here.dropped.values())}
        sources.append(SourceStats(str(path), source_format, **counts, bad=len(here.rows())))
        bad_rows += here.rows()
        faults.update(here)
    if bad_rows and not (skip_invalid and examples):
        raise faults.error()
    if not examples:
        rows_read = sum(source.read for source in sources)
        what = f"no captions left: all {rows_read} rows are empty; name other files"
        raise corpus_error(", ".join(map(str, paths)), what)
    return Corpus(list(examples.values()), corpus_stats(sources, list(examples), bad_rows))


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
    return (to_json(row) + "\n").encode()


def _read(
    path: str | Path, format: str, column: str | None, faults: Faults
) -> tuple[str, Iterator[Example]]:
    """The format, and the rows as they are read; those at fault are collected."""
    if format not in FORMATS:
        raise corpus_error(path, f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    text = read_text(path)
    format = detect_format(path, text, column) if format == "auto" else format
    records = read_records(path, text, format, faults, column=column)
    if records.columns and not _captions_in(records.columns, format, column):
        wanted = column or ("caption_1" if format == "clotho" else "caption")
        remedy = f"name the column of captions {wanted}, or add a header line if there is none"
        what = f"no {wanted} column among {name_list(records.columns)}"
        option = "; or say which it is: --column NAME (in a recipe: corpus.column)"
        raise corpus_error(path, f"{what}; {remedy}{option}", records.line)
    rows = _examples(path, records, format, column, faults)
    if (first := next(rows, None)) is None:
        if faults.places:
            raise faults.error()
        raise corpus_error(path, f"no captions in it (read as {format}); is the download complete?")
    return format, chain((first,), rows)


def _captions_in(names: tuple[str, ...], format: str, column: str | None) -> tuple[str, ...]:
    if column:
        return tuple(name for name in names if name == column.lower())
    return caption_columns(names, format == "clotho")


def _examples(
    path: str | Path, records: Records, format: str, column: str | None, faults: Faults
) -> Iterator[Example]:
    clip_names = SOUND_COLUMNS if records.columns else ("clip", "id", *SOUND_COLUMNS)
    clip_names = tuple(name for name in clip_names if name != (column or "").lower())
    for where, record in records.rows:
        clip, captions = None, [record]
        if isinstance(record, dict):
            if not (columns := _captions_in(tuple(record), format, column)):
                what = f"no {column or 'caption'} among {name_list(record)}"
                faults.add(path, what, where, f'name the caption "{column or "caption"}"')
                continue
            clip = clip_name(record, clip_names)
            clip = clip if clip is None else records.file_names.get(clip, clip)
            captions = [caption for name in columns for caption in _listed(record[name])]
        for caption in captions:
            if fault := _fault(caption):
                row_fault(faults, path, *fault, where)
            else:
                yield Example(caption, clip)


def _fault(caption: Any) -> tuple[str, str] | None:
    """What is wrong with a caption, and the remedy."""
    if not isinstance(caption, str):
        return f"{kind(caption)} where a caption belongs", "write it as a string"
    if _SURROGATE.search(caption):
        return "half of a \\u surrogate pair", "write the character as UTF-8"
    if "['" in caption and _PYTHON_LIST.fullmatch(caption):
        return "a Python list in place of a caption", "write lists as JSON, in double quotes"
    return None


def _listed(value: Any) -> list[Any]:
    """The captions of one field, which may be a list, also as JSON; a null is an empty caption."""
    if isinstance(value, str) and value.startswith('["') and value.rstrip().endswith('"]'):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    values = value if isinstance(value, list) else [value]
    return ["" if caption is None else caption for caption in values]


def _tidy(caption: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFC", caption)).strip()


def _check_style(style: str) -> None:
    if style not in STYLES:
        raise CorpusError(f"unknown style {style!r}; choose one of {', '.join(STYLES)}")
