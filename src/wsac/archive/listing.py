"""What is to be captioned: folders, globs, files, addresses, and lists of them, as a table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from wsac.data.audio.find import AUDIO_SUFFIXES, stream_audio
from wsac.io.console import count_of, say
from wsac.runtime.process import return_freed_memory
from wsac.types import AudioError, CorpusError, WsacError

from .schema import EXTRA, FILE_COLUMNS

LISTS = (".csv", ".tsv", ".parquet")
NAMES = ("path", "file", "file_name", "filename", "audio", "url")  # columns that name sounds
TIMES = ("mtime", "LastModified", "last_modified", "created")  # as file systems call it
AT_ONCE = 8192  # rows of a batch while a folder is read
SCHEMA = pa.schema([*FILE_COLUMNS, EXTRA])
Row: TypeAlias = "tuple[str, int | None, int | None, str]"  # path, bytes, µs since 1970, extra


def list_files(inputs: Sequence[str | Path], leave_out: Path | None = None) -> pa.Table:
    """Every file of the inputs once, in their order, with size and time of change.

    leave_out: a folder in those that are searched, such as the archive itself. A file that is not
    there has a row, too: reading it says why. Memory is that of the table.
    Raises WsacError for a list that cannot be read, and where there is no sound.
    """
    if isinstance(inputs, (str, Path)):
        inputs = [inputs]
    rows = (row for word in inputs for row in _rows_of(str(word), leave_out))
    batches, skipped = [], list[str]()
    while chunk := list(islice(rows, AT_ONCE)):
        readable = [row for row in chunk if _is_utf8(row[0])]
        skipped += [row[0] for row in chunk if not _is_utf8(row[0])]
        columns = list(zip(*readable, strict=True)) or [()] * len(SCHEMA)
        arrays = [pa.array(c, type=_plain(f)) for c, f in zip(columns, SCHEMA, strict=True)]
        arrays[2] = arrays[2].cast(SCHEMA.field("mtime").type)
        batches.append(pa.record_batch(arrays, schema=SCHEMA))
    if skipped:
        what = f"{count_of(len(skipped), 'file')} left out, since the name is not UTF-8"
        example = os.fsencode(skipped[0]).decode(errors="backslashreplace")
        say(f"{what}, such as {example}; rename to include")
    table = pa.Table.from_batches(batches, schema=SCHEMA)
    if not len(table):
        raise WsacError("no sounds to archive; name files, folders, globs, addresses or a list")
    table = _each_once(table)
    return_freed_memory()  # of the walk through the folders, and of what counted the paths
    pa.default_memory_pool().release_unused()
    return table


def is_address(path: str) -> bool:
    """Whether a path is one of fsspec, such as s3://bucket/dog.wav."""
    return "://" in path


def _plain(field: pa.Field) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(field.type) else field.type


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _each_once(table: pa.Table) -> pa.Table:
    """The first row of each path."""
    if pc.count_distinct(table["path"]).as_py() == len(table):
        return table
    numbered = table.append_column("place", pa.array(range(len(table)), pa.int64()))
    first = numbered.group_by("path").aggregate([("place", "min")])["place_min"]
    return table.take(first.take(pc.sort_indices(first)))


def _rows_of(word: str, leave_out: Path | None) -> Iterator[Row]:
    if Path(word).suffix.lower() in LISTS:
        yield from _rows_of_list(word)
    elif is_address(word):
        yield from _rows_of_address(word)
    else:
        for path in stream_audio([word], leave_out):
            yield _local_row(str(path), "")


def _local_row(path: str, extra: str) -> Row:
    path = os.path.abspath(path)  # noqa: PTH100 (links stay as they are)
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return path, None, None, extra
    return path, status.st_size, status.st_mtime_ns // 1000, extra


def _rows_of_list(word: str) -> Iterator[Row]:
    """The files of a table, relative to its folder; its other columns become ``extra``."""
    folder = os.path.dirname(word)  # noqa: PTH120 (Path would take a slash from an address)
    name = ""
    for number, cells in enumerate(_cells(word), 1):
        if not number - 1:
            lower = {str(column).strip().lower(): column for column in cells}
            name = next((lower[known] for known in NAMES if known in lower), "")
            if not name:
                known = ", ".join(NAMES)
                raise CorpusError(f"{word}: no column that names sounds; call it one of {known}")
        path = str(cells.get(name) or "")
        if not path:
            raise CorpusError(f"{word}: row {number} names no sound; fill in or remove the row")
        others = {k: v for k, v in cells.items() if k != name and k and v not in (None, "")}
        extra = json.dumps(others, ensure_ascii=False, default=str) if others else ""
        if not is_address(path) and folder and not Path(path).is_absolute():
            path = f"{folder}/{path}"
        yield from [_remote_row(path, {}, extra)] if is_address(path) else [_local_row(path, extra)]


def _cells(word: str) -> Iterator[Mapping[str, Any]]:
    import csv

    import fsspec
    import pyarrow.parquet as pq

    try:
        if word.lower().endswith(".parquet"):
            with fsspec.open(word, "rb") as file:
                for batch in pq.ParquetFile(file).iter_batches(batch_size=AT_ONCE):
                    yield from batch.to_pylist()
        else:
            delimiter = "\t" if word.lower().endswith(".tsv") else ","
            with fsspec.open(word, "r", encoding="utf-8-sig", newline="") as file:
                yield from csv.DictReader(file, delimiter=delimiter)
    except WsacError:
        raise
    except Exception as error:  # of the file system of an address, or of the format
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise CorpusError(f"{word}: cannot read this list ({reason}); check it") from error


def _rows_of_address(word: str) -> Iterator[Row]:
    """The sounds below an address, by their suffix, or the matches of its glob, or itself."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(word)
        if any(mark in path for mark in "*?["):
            matches: Iterable[tuple[str, dict[str, Any]]] = system.glob(path, detail=True).items()
        elif system.isdir(path):
            matches = system.find(path, detail=True).items()
        else:
            yield _remote_row(word, system.info(path), "")
            return
        sounds = [(name, info) for name, info in sorted(matches) if _is_sound(name, info)]
    except Exception as error:  # any of a hundred file systems
        reason = " ".join(str(error).split()) or type(error).__name__
        what = f"cannot list this ({type(error).__name__}: {reason})"
        raise AudioError(f"{word}: {what}; check address and access") from error
    if not sounds:
        raise AudioError(f"{word}: no sound files here; they are told by their suffix")
    for name, info in sounds:
        yield _remote_row(system.unstrip_protocol(name), info, "")


def _is_sound(name: str, info: Mapping[str, Any]) -> bool:
    return info.get("type") != "directory" and Path(name).suffix.lower() in AUDIO_SUFFIXES


def _remote_row(path: str, info: Mapping[str, Any], extra: str) -> Row:
    time = next((info[name] for name in TIMES if name in info), None)
    seconds: Any = time.timestamp() if isinstance(time, datetime) else time
    micro = round(seconds * 1e6) if isinstance(seconds, int | float) else None
    return path, info.get("size"), micro, extra


def exists(path: str) -> bool:
    """Whether a file of an archive is there; one whose place cannot be asked counts as there."""
    if not is_address(path):
        return os.path.lexists(path)
    import fsspec

    try:
        system, place = fsspec.core.url_to_fs(path)
        return bool(system.exists(place))
    except Exception:  # any of a hundred file systems
        return True
