"""The columns of an archive's Parquet files, and how they are written.

``manifest.parquet`` has one row for each file that was listed, and is written before any file is
read. ``shards/part-000000.parquet`` and so on have the results: one row for each file that was
tried. A shard is written whole and renamed; every page has a checksum (CRC-32).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from wsac.io.files import atomic_path

FORMAT = 1  # of the folder: its files, columns and their meaning
CARD = "archive.json"
MANIFEST = "manifest.parquet"
SHARDS = "shards"
KEY = b"wsac"  # of the facts in a file's own metadata

TAG = pa.struct(
    [("label", pa.string()), ("score", pa.float32()), ("probability", pa.float32())]
)  # score: cosine of sound and label; probability: among all labels and none of them

# What tells a file apart. Both kinds of files begin with these columns.
FILE_COLUMNS: tuple[pa.Field, ...] = (
    pa.field("path", pa.string(), nullable=False),  # as it was listed; or its address
    pa.field("size", pa.int64()),  # bytes; null where it could not be told
    pa.field("mtime", pa.timestamp("us", "UTC")),  # last change, as listed; null of most addresses
)
# Further columns of the list that named the files, such as a licence, as a JSON object; "" if none.
EXTRA = pa.field("extra", pa.string(), nullable=False)


def manifest_schema() -> pa.Schema:
    """part: the number of the shard that has, or will have, the row of the file."""
    return pa.schema([*FILE_COLUMNS, EXTRA, pa.field("part", pa.int32(), nullable=False)])


def embedding_type(dim: int) -> pa.DataType:
    """[D] float16, unit norm."""
    return pa.list_(pa.float16(), dim)


def span_type(dim: int) -> pa.DataType:
    """A span of ``Captioner.spans``, with its embedding."""
    numbers = ("start", "end", "confidence", "loudness", "prominence")
    return pa.struct(
        [
            *((name, pa.float32()) for name in numbers),
            ("text", pa.string()),
            ("kind", pa.string()),
            ("sustained", pa.bool_()),
            ("background", pa.bool_()),
            ("tags", pa.list_(TAG)),
            ("embedding", embedding_type(dim)),
        ]
    )


def shard_schema(dim: int, facts: Mapping[str, Any] | None = None) -> pa.Schema:
    """The columns of a shard. dim: D of the embeddings. facts: go into the file's metadata.

    A row with an ``error`` has nulls in place of results. All levels are of the mono mix.
    """
    text, number = pa.string(), pa.float32()
    fields = [
        *FILE_COLUMNS,
        pa.field("id", text),  # of the content: BLAKE2b, 128 bits in hex; null of an unread file
        pa.field("seconds", pa.float64()),
        pa.field("loudness", number),  # RMS, dBFS; -120 at least
        pa.field("peak", number),  # dBFS; -120 at least
        pa.field("clipped", number),  # share of samples at full scale, 0 to 1
        pa.field("silent", pa.bool_()),  # never above -60 dBFS; its caption is "Silence"
        pa.field("caption", text),  # "" where the captioner is unsure
        pa.field("guess", text),  # what it would have been then, else ""
        pa.field("confidence", number),  # that the caption is right, 0 to 1; null if uncalibrated
        pa.field("logprob", number),  # mean log-probability per token, nats
        pa.field("tags", pa.list_(TAG)),  # best first; null without labels
        pa.field("spans", pa.list_(span_type(dim))),  # null unless asked for
        pa.field("embedding", embedding_type(dim)),
        pa.field("notes", pa.list_(text)),  # what is wrong with the sound
        pa.field("error", text, nullable=False),  # why there are no results, else ""
        EXTRA,
    ]
    metadata = {KEY: json.dumps(dict(facts or {}), sort_keys=True).encode()}
    return pa.schema(fields, metadata=metadata)


def shard_name(part: int) -> str:
    return f"part-{part:06d}.parquet"


def shard_number(path: Path) -> int:
    """The number in the name of a shard."""
    return int(path.stem.removeprefix("part-"))


def write_parquet(target: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all: zstd, checksums of pages. Raises WsacError."""
    with atomic_path(target) as temporary:
        pq.write_table(table, temporary, **WRITER)


WRITER: dict[str, Any] = {
    "compression": "zstd",
    "write_page_checksum": True,
    # embeddings and paths hardly repeat, so a dictionary would be written in vain
    "use_dictionary": ["caption", "guess", "error", "extra", "silent"],
    "row_group_size": 4096,
}
