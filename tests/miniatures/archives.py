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
    rng, schema = np.random.default_rng(0), shard_schema(dim)
    for start in range(0, len(rows), shard_rows):
        part = []
        for i, row in enumerate(rows[start : start + shard_rows], start):
            values = DEFAULTS | {"path": f"{i}.wav", "id": f"{i:032x}"} | row
            if "embedding" not in values and not values["error"]:
                vector = rng.standard_normal(dim)
                values["embedding"] = (vector / np.linalg.norm(vector)).astype(np.float16)
            part.append(values)
        table = pa.Table.from_pylist(part, schema=schema)
        write_parquet(folder / SHARDS / shard_name(start // shard_rows), table)
    return archive
