"""Small archives without a captioner: rows of given values, in shards of a few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wsac.archive.archive_folder import Archive
from wsac.archive.schema import SHARDS, shard_name, shard_schema, write_parquet

DEFAULTS: dict[str, Any] = {"error": "", "extra": "", "notes": [], "size": 1000, "seconds": 5.0}


def write_archive(
    folder: Path, rows: list[dict[str, Any]], *, dim: int = 16, shard_rows: int = 4, **card: Any
) -> Archive:
    """An archive with these rows; what a row leaves out is null, or one of DEFAULTS.

    card: changes of the card, such as the CLAP's fingerprint. A row without a path gets one by its
    number, as in 0.wav; one without an embedding (and error) a random one of unit norm.
    """
    facts = {"model": "pocket", "model_fingerprint": "m", "clap": "pocket", "clap_fingerprint": "c"}
    archive = Archive.create(folder, **(facts | {"embed_dim": dim, "options": {}} | card))
    for part, start in enumerate(range(0, len(rows), shard_rows)):
        write_shard(folder, part, rows[start : start + shard_rows], dim=dim, first=start)
    return archive


def write_shard(
    folder: Path, part: int, rows: list[dict[str, Any]], *, dim: int = 16, first: int = 0
) -> None:
    """A shard, as of ``write_archive``. first: the number of its first row."""
    rng, table = np.random.default_rng(first), []
    for i, row in enumerate(rows, first):
        values = DEFAULTS | {"path": f"{i}.wav", "id": f"{i:032x}"} | row
        if "embedding" not in values and not values["error"]:
            vector = rng.standard_normal(dim)
            values["embedding"] = (vector / np.linalg.norm(vector)).astype(np.float16)
        table.append(values)
    (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    content = pa.Table.from_pylist(table, schema=shard_schema(dim))
    write_parquet(folder / SHARDS / shard_name(part), content)


def clustered_embeddings(
    count: int, dim: int, *, clusters: int = 20, spread: float = 0.5, seed: int = 0
) -> np.ndarray:
    """[count, dim] float16, unit norm. spread: length of the noise around the centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dim), np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = rng.standard_normal((count, dim), np.float32) * spread / dim**0.5
    vectors = centres[rng.integers(clusters, size=count)] + noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
