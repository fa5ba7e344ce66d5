"""All embeddings of an archive in one file that can be mapped, made from its shards.

Parquet compresses embeddings page by page, so shards cannot be mapped: reading a million of them
takes seconds. ``ARCHIVE/search/files.npy`` has them as ``[N, D]`` float16, without files that have
none and without silent ones, in which a CLAP hears phantoms; ``spans.npy`` has those of the spans.
``…-places.npy`` ``[N, 2]`` says which row of its shard each is of, and which span of it, and
``….json`` which shards they are of. All may be deleted, and are made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from wsac.io.arrays import map_array, write_array
from wsac.io.checked_json import read_record, write_record
from wsac.io.console import progress, say
from wsac.io.files import atomic_update, settle
from wsac.io.locks import alone_in
from wsac.types import WsacError

from ..archive_folder import Archive, embeddings_of
from ..schema import SHARDS

Unit: TypeAlias = Literal["files", "spans"]
FOLDER = "search"


@dataclass(frozen=True)
class IndexedShard:
    """name, size and mtime (ns) of a shard, its rows, and how many embeddings of it are here."""

    name: str
    size: int
    mtime: int
    rows: int
    embeddings: int

    def is_of(self, path: Path) -> bool:
        """Whether the shard has not changed since."""
        status = path.stat()
        return (self.name, self.size, self.mtime) == (path.name, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class EmbeddingFile:
    """Embeddings [N, D] float16, where they are from, [N, 2], and their shards.

    clap_fingerprint: of their CLAP.
    """

    unit: Unit
    embeddings: np.ndarray
    places: np.ndarray
    shards: tuple[IndexedShard, ...]
    clap_fingerprint: str

    @cached_property
    def ends(self) -> np.ndarray:
        """Where the embeddings of each shard end."""
        return np.cumsum([shard.embeddings for shard in self.shards], dtype=np.int64)

    def place(self, row: int) -> tuple[IndexedShard, int, int]:
        """The shard of a row of ``embeddings``, the row in it, and the span of that."""
        shard = self.shards[int(np.searchsorted(self.ends, row, side="right"))]
        in_shard, span = self.places[row].tolist()
        return shard, in_shard, span

    def archive_rows(self) -> np.ndarray:
        """[N], for each embedding the row of the archive, counted through all shards."""
        rows = [shard.rows for shard in self.shards]
        starts = np.cumsum([0, *rows[:-1]], dtype=np.int64)
        return np.repeat(starts, [s.embeddings for s in self.shards]) + self.places[:, 0]


def open_embeddings(archive: Archive, unit: Unit = "files") -> EmbeddingFile:
    """The embeddings of the shards that are there now; new and changed shards are read first.

    Where the archive cannot be written, they are in memory. Raises WsacError for a damaged shard.
    """
    folder = archive.folder / FOLDER
    before = _stored(archive, folder, unit)
    if before is not None and _is_current(archive, before):
        return before
    try:
        with alone_in(folder, wait=True):
            settle(folder)
            before = _stored(archive, folder, unit)  # another process may have been first
            if before is None or not _is_current(archive, before):
                _write(archive, folder, unit, before)
                before = _stored(archive, folder, unit)
    except WsacError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        say(f"note: {error}; the embeddings are read into memory instead")
        before = None
    return before or _in_memory(archive, unit)


def _is_current(archive: Archive, stored: EmbeddingFile) -> bool:
    shards = archive.shards()
    same = len(shards) == len(stored.shards)
    return same and all(map(IndexedShard.is_of, stored.shards, shards))


def _stored(archive: Archive, folder: Path, unit: Unit) -> EmbeddingFile | None:
    """What is on disk; None if it is missing, damaged, or of another CLAP."""
    with suppress(WsacError, TypeError, ValueError):
        card = read_record(folder / f"{unit}.json")
        shards = tuple(IndexedShard(*values) for values in card["shards"])
        if card["clap_fingerprint"] != archive.clap_fingerprint:
            return None
        key = _key(archive, unit, shards)
        embeddings = map_array(folder / f"{unit}.npy", key)
        places = map_array(folder / f"{unit}-places.npy", key)
        if embeddings is not None and places is not None:
            return EmbeddingFile(unit, embeddings, places, shards, archive.clap_fingerprint)
    return None


def _key(archive: Archive, unit: Unit, shards: tuple[IndexedShard, ...]) -> str:
    facts = [[s.name, s.size, s.mtime, s.embeddings] for s in shards]
    return json.dumps([unit, archive.clap_fingerprint, facts])


def _write(archive: Archive, folder: Path, unit: Unit, before: EmbeddingFile | None) -> None:
    """Write the three files, all or none. What has not changed is copied, not read from Parquet."""
    shards, places = _plan(archive, unit, before)
    key, count = _key(archive, unit, shards), sum(map(len, places))
    with atomic_update(folder) as new:
        parts = _parts(archive, unit, shards, places, before)
        shape = (count, archive.embed_dim)
        write_array(new / f"{unit}.npy", parts, shape, np.dtype(np.float16), key)
        write_array(new / f"{unit}-places.npy", places, (count, 2), np.dtype(np.int32), key)
        card = {"clap_fingerprint": archive.clap_fingerprint, "shards": list(map(astuple, shards))}
        write_record(new / f"{unit}.json", card)


def _in_memory(archive: Archive, unit: Unit) -> EmbeddingFile:
    shards, places = _plan(archive, unit, None)
    empty = np.empty((0, archive.embed_dim), np.float16)
    embeddings = np.concatenate([empty, *_parts(archive, unit, shards, places, None)])
    rows = np.concatenate([np.empty((0, 2), np.int32), *places])
    return EmbeddingFile(unit, embeddings, rows, shards, archive.clap_fingerprint)


def _plan(
    archive: Archive, unit: Unit, before: EmbeddingFile | None
) -> tuple[tuple[IndexedShard, ...], list[np.ndarray]]:
    """The shards, and the places [n, 2] of the embeddings of each."""
    shards, places = [], []
    for path in archive.shards():
        status = path.stat()
        if (part := _part_of(before, path)) is not None:
            assert before is not None
            here = before.places[part]
        elif unit == "files":
            table = archive.read(path, ["error", "silent"])
            errors, silent = (table[name].to_pylist() for name in ("error", "silent"))
            rows = [i for i, (e, s) in enumerate(zip(errors, silent, strict=True)) if not (e or s)]
            here = np.array([(i, 0) for i in rows], np.int32).reshape(-1, 2)
        else:
            spans = archive.read(path, ["spans.list.element.start"])["spans"].to_pylist()
            pairs = [(i, j) for i, parts in enumerate(spans) for j in range(len(parts or ()))]
            here = np.array(pairs, np.int32).reshape(-1, 2)
        size, mtime = status.st_size, status.st_mtime_ns
        shards.append(IndexedShard(path.name, size, mtime, archive.rows(path), len(here)))
        places.append(here)
    return tuple(shards), places


def _parts(
    archive: Archive,
    unit: Unit,
    shards: Sequence[IndexedShard],
    places: Sequence[np.ndarray],
    before: EmbeddingFile | None,
) -> Iterator[np.ndarray]:
    """The embeddings [n, D] of each shard."""
    with progress("index", len(shards), unit="shards") as tick:
        for shard, here in zip(shards, places, strict=True):
            path = archive.folder / SHARDS / shard.name
            if (part := _part_of(before, path)) is not None:
                assert before is not None
                yield before.embeddings[part]
            elif unit == "files":
                yield archive.embeddings(path)[here[:, 0]]
            else:
                yield _span_embeddings(archive, path)
            if not shard.is_of(path):
                what = "changed while it was read; search again when the build is done"
                raise WsacError(f"{path}: {what}")
            tick()


def _span_embeddings(archive: Archive, path: Path) -> np.ndarray:
    import pyarrow as pa

    spans = archive.read(path, ["spans.list.element.embedding"])["spans"]
    flat = pa.chunked_array([chunk.flatten() for chunk in spans.chunks], spans.type.value_type)
    column = pa.chunked_array([chunk.field("embedding") for chunk in flat.chunks])
    return embeddings_of(pa.table({"embedding": column}))


def _part_of(before: EmbeddingFile | None, path: Path) -> slice | None:
    """Where the embeddings of an unchanged shard are."""
    for i, shard in enumerate(before.shards if before else ()):
        if shard.is_of(path):
            assert before is not None
            end = int(before.ends[i])
            return slice(end - shard.embeddings, end)
    return None
