"""An archive on disk: its card, and its shards read one at a time.

ARCHIVE/archive.json                 model, CLAP, options, format version; with a checksum
ARCHIVE/manifest.parquet             one row for each file that was listed
ARCHIVE/shards/part-000000.parquet   the results of some hundred files, and so on
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsac.io.checked_json import read_record, write_record
from wsac.types import ModelError, WsacError

from .schema import CARD, FORMAT, MANIFEST, SHARDS, shard_number

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

NEEDED = ("format", "model", "model_fingerprint", "clap", "clap_fingerprint", "embed_dim")


@dataclass(frozen=True)
class Archive:
    """A folder that ``wsac archive build`` wrote. It may be written meanwhile: a shard is whole.

    card: the content of ``archive.json``: format, model, model_fingerprint, clap (its source),
    clap_fingerprint, embed_dim and options.
    """

    folder: Path
    card: dict[str, Any]

    @staticmethod
    def open(folder: str | Path) -> Archive:
        """Raises WsacError where there is no archive, ModelError for a damaged or newer card."""
        folder = Path(folder)
        path = folder / CARD
        if not path.is_file():
            remedy = "make one with wsac archive build"
            raise WsacError(f"{folder}: no archive here (no {CARD}); {remedy}")
        card = read_record(path)
        if missing := [name for name in NEEDED if name not in card]:
            raise ModelError(f"{path}: no {', '.join(missing)} in it; build the archive again")
        if card["format"] != FORMAT:
            reads = f"this wsac reads format {FORMAT}; install the wsac that wrote it"
            raise ModelError(f"{folder}: an archive of format {card['format']}, but {reads}")
        return Archive(folder, card)

    @staticmethod
    def create(folder: str | Path, **card: Any) -> Archive:
        """Write the card of a new archive; all of NEEDED but the format. Raises WsacError."""
        write_record(Path(folder) / CARD, {"format": FORMAT, **card})
        return Archive.open(folder)

    @property
    def embed_dim(self) -> int:
        return int(self.card["embed_dim"])

    @property
    def clap_fingerprint(self) -> str:
        return str(self.card["clap_fingerprint"])

    @property
    def manifest(self) -> Path:
        return self.folder / MANIFEST

    def shards(self) -> list[Path]:
        """The shards that are there, in the order of their numbers."""
        return sorted((self.folder / SHARDS).glob("part-*.parquet"), key=shard_number)

    def rows(self, shard: Path) -> int:
        """The rows of a shard, those with an error included; only its footer is read."""
        with _parquet(shard) as file:
            return int(file.metadata.num_rows)

    def __len__(self) -> int:
        """The rows of all shards: files that were tried."""
        return sum(map(self.rows, self.shards()))

    def read(self, shard: Path, columns: Sequence[str] | None = None) -> pa.Table:
        """A shard, or some of its columns. Raises ModelError for a damaged one."""
        return read_table(shard, columns)

    def shard_table(self, name: str, rows: int, columns: Sequence[str]) -> pa.Table:
        """A shard by its name, with the rows that it had. Raises WsacError if it has others now."""
        table = self.read(self.folder / SHARDS / name, columns)
        if table.num_rows != rows:
            raise WsacError(f"{self.folder}: {name} was written again meanwhile; try again")
        return table

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The shards, one after the other."""
        for shard in self.shards():
            yield self.read(shard, columns)

    def embeddings(self, shard: Path) -> np.ndarray:
        """[N, D] float16 of a shard's N rows, unit norm; rows with an error are zeros."""
        return embeddings_of(self.read(shard, ["embedding"]))


def embeddings_of(table: pa.Table, column: str = "embedding") -> np.ndarray:
    """[N, D] float16 of a column; a row without an embedding is zeros."""
    import numpy as np
    import pyarrow as pa

    column_type = table.schema.field(column).type
    array = pa.concat_arrays([pa.array([], column_type), *table[column].chunks])
    dim = column_type.list_size
    values = np.zeros((len(array), dim), np.float16)
    here = ~np.asarray(array.is_null())
    values[here] = np.asarray(array.flatten()).reshape(-1, dim)  # without those that are null
    return values


def _parquet(path: Path) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return _checked(path, lambda: pq.ParquetFile(path, page_checksum_verification=True))


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file of an archive. Raises ModelError for a damaged one."""
    with _parquet(path) as file:
        return _checked(path, lambda: file.read(columns=list(columns) if columns else None))


def _checked(path: Path, read: Any) -> Any:
    import pyarrow as pa

    try:
        return read()
    except FileNotFoundError as error:
        raise WsacError(f"{path}: no such file; was the archive built again meanwhile?") from error
    except (OSError, pa.ArrowException) as error:
        what = "damaged or not readable as Parquet; delete it, and the same build makes it again"
        raise ModelError(f"{path}: {what} ({error})") from error
