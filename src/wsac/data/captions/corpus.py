"""Caption corpora: read caption files of several formats, merge them into one clean list, write it as JSON lines."""

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

from wsac.io.files import atomic_path
from wsac.types import CorpusError, Example, RecipeError

from .corpus_statistics import CorpusStats, SourceStats, corpus_stats, stats_rows
from .formats import FORMATS, detect_format, parse
from .reader import corpus_error, read_text

__all__ = [
    "FORMATS",
    "STYLES",
    "Corpus",
    "CorpusStats",
    "SourceStats",
    "merge",
    "read_captions",
    "restyle",
    "stats_rows",
    "write_jsonl",
]

STYLES: tuple[str, ...] = ("keep", "sentence", "lower")

_SPACE = re.compile(r"[\s\u200b\ufeff]+")  # zero-width spaces too; not the joiner, which emoji need


@dataclass(frozen=True, slots=True)
class Corpus:
    """The captions kept, in reading order, and the count of what was read and dropped."""

    examples: list[Example]
    stats: CorpusStats


def read_captions(path: str | Path, *, format: str = "auto") -> list[Example]:
    """Read every caption row of a file, as written; empty captions are included.

    format: one of FORMATS; auto recognises it from the content, gzip included. A header row is never a caption, except
    when the format text is forced: then each line is one.
    Raises CorpusError (file, line, remedy) for anything that is not a readable corpus with at least one row.
    """
    return list(_read(path, format)[1])


def merge(
    paths: str | Path | Iterable[str | Path], *, format: str = "auto", style: str = "keep"
) -> Corpus:
    """Read files in order, tidy white space, restyle, and drop empty captions and exact duplicates (the first stays).

    Captions come out in Unicode NFC on one line. format, style: one of FORMATS, STYLES.
    Raises CorpusError as read_captions does, and when no caption is left.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not paths:
        raise CorpusError("no caption files given; name at least one")
    _check_style(style)
    kept: dict[str, Example] = {}
    sources = []
    for path in paths:
        found, rows = _read(path, format)
        before, empty, read = len(kept), 0, 0
        for row in rows:  # one at a time: what is dropped never adds up
            read += 1
            caption = restyle(_tidy(row.caption), style)
            empty += not caption
            if caption and caption not in kept:
                kept[caption] = Example(caption, row.clip)
        new = len(kept) - before
        sources.append(SourceStats(str(path), found, read, new, empty, read - new - empty))
    if not kept:
        names = ", ".join(str(path) for path in paths)
        raise corpus_error(
            names,
            f"no captions left: all {sum(s.read for s in sources)} rows are empty; name other files",
        )
    return Corpus(list(kept.values()), corpus_stats(sources, list(kept)))


def restyle(caption: str, style: str) -> str:
    """Give a caption a uniform look; an ellipsis, ``!`` and ``?`` stay. Doing it twice changes nothing more.

    keep: as it is. sentence: the first letter upper-case, no final full stop. lower: lower-case, no final full stop.
    Raises CorpusError for an unknown style.
    """
    _check_style(style)
    if style == "keep":
        return caption
    while caption.endswith(".") and not caption.endswith(".."):
        caption = caption[:-1].rstrip()
    if style == "lower":
        return caption.lower()
    start = re.match(r"\W*", caption).end()  # type: ignore[union-attr]  # past an opening quote or bracket
    return caption[:start] + caption[start : start + 1].title() + caption[start + 1 :]


def write_jsonl(examples: Iterable[Example], path: str | Path) -> None:
    """Write ``{"caption": ..., "clip": ...}`` a line, clip left out when None; gzip when the name ends with .gz.

    The file is whole or absent, and equal examples make equal bytes. Raises WsacError when it cannot be written.
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
    """The format found, and the rows; what is wrong with one is raised when it is come to."""
    if format not in FORMATS:
        raise corpus_error(path, f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    text = read_text(path)
    found = detect_format(path, text) if format == "auto" else format
    rows = parse(path, text, found)
    if (first := next(rows, None)) is None:
        raise corpus_error(path, f"no captions in it (read as {found}); is the download complete?")
    return found, chain((first,), rows)


def _tidy(caption: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFC", caption)).strip()


def _check_style(style: str) -> None:
    if style not in STYLES:
        raise CorpusError(f"unknown style {style!r}; choose one of {', '.join(STYLES)}")


def read_labels(path: str | Path) -> list[str]:
    """Labels of a UTF-8 text file, one a line; blank lines and lines that begin with # are left out."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise RecipeError(
            f"{path}: cannot read the labels ({error.strerror}); check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: the labels are not UTF-8 text; save them as UTF-8, one a line"
        ) from error
    labels = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not labels:
        raise RecipeError(f"{path}: no labels in this file; write two or more, one a line")
    return labels
