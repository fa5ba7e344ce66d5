"""Formats that carry their sounds: tar files for webdataset, Parquet for Hugging Face datasets."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from wsac.io.files import write_text
from wsac.io.json_text import to_json
from wsac.types import AudioError

SHARD_BYTES = 1 << 29  # of sounds, after which the next file begins
CELL_BYTES = 1 << 30  # the longest sound in a cell of Parquet
GROUP_ROWS, GROUP_BYTES = 100, 1 << 26  # of a row group: what readers hold at once


class Writer(Protocol):
    """Writes the sounds of an export. reads_sounds: it needs them, not only their paths.

    It is made with a place, the provenance of the export, and a stack that closes its files.
    """

    reads_sounds: bool

    def add(self, row: dict[str, Any], place: Path) -> None:
        """place: the sound, or a copy of it. Raises AudioError, and has then written nothing."""

    def close(self, card: dict[str, Any]) -> None:
        """card: the provenance and the counts of the export."""


def suffix_of(row: dict[str, Any]) -> str:
    """Of the file, in lower case and without its dot."""
    return Path(row["path"]).suffix.lower().removeprefix(".") or "audio"


class WebDataset:
    """``000000.tar`` and so on. A sample is the file as it is, ``.txt`` (its caption) and
    ``.json`` (the rest)."""

    reads_sounds = True

    def __init__(self, folder: Path, card: dict[str, Any], stack: ExitStack) -> None:
        stack.callback(self._end)
        self._folder, self._count, self._bytes, self._shards = folder, 0, 0, 0
        self._tar: tarfile.TarFile | None = None

    def add(self, row: dict[str, Any], place: Path) -> None:
        if self._tar is None or self._bytes >= SHARD_BYTES:
            self._end()
            self._tar = tarfile.open(self._folder / f"{self._shards:06d}.tar", "w")  # noqa: SIM115
            self._shards, self._bytes = self._shards + 1, 0
        key, size = f"{self._count:09d}", place.stat().st_size
        try:
            sound = place.open("rb")
        except OSError as error:
            raise AudioError(f"{row['path']}: cannot read it ({error.strerror})") from error
        texts = {"json": to_json(row), "txt": row["caption"]}
        with sound:
            self._member(f"{key}.{suffix_of(row)}", sound, size)
            for suffix, text in texts.items():
                content = text.encode()
                self._member(f"{key}.{suffix}", io.BytesIO(content), len(content))
        self._count, self._bytes = self._count + 1, self._bytes + size

    def _member(self, name: str, content: Any, size: int) -> None:
        assert self._tar is not None
        entry = tarfile.TarInfo(name)  # without owner and time, so that equal exports are equal
        entry.size = size
        self._tar.addfile(entry, content)

    def _end(self) -> None:
        if self._tar is not None:
            self._tar.close()

    def close(self, card: dict[str, Any]) -> None:
        self._end()


SPAN = ("start", "end", "text", "confidence")
HF_TYPES = {"string": "string", "double": "float64"}
README = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---

# Captioned sounds

{files:,} sounds with captions by a machine: wsac {wsac_version}, captioner {captioner}
({captioner_fingerprint}). `clap_score`: {clap_score}. Licences: {licences}.
"""


class HuggingFace:
    """``data/train-00000-of-00001.parquet`` and so on, which ``load_dataset`` reads, with the files
    as they are in a column of type Audio."""

    reads_sounds = True

    def __init__(self, folder: Path, card: dict[str, Any], stack: ExitStack) -> None:
        import pyarrow as pa

        stack.callback(self._end)
        self._data = folder / "data"
        self._data.mkdir()
        numbers = ("confidence", "clap_score", "seconds", "loudness")
        texts = ("path", "caption", "licence", "extra", "id")
        provenance = ("captioner", "captioner_fingerprint", "wsac_version")
        span = pa.struct([(x, pa.string() if x == "text" else pa.float64()) for x in SPAN])
        schema = pa.schema(
            [
                ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
                *((name, pa.string()) for name in (*texts, *provenance)),
                *((name, pa.float64()) for name in numbers),
                ("tags", pa.list_(pa.string())),
                ("spans", pa.list_(span)),
            ]
        )
        info = {"info": {"features": {field.name: _feature(field.type) for field in schema}}}
        info["info"]["features"]["audio"] = {"_type": "Audio"}
        self._schema = schema.with_metadata({b"huggingface": json.dumps(info).encode()})
        self._rows: list[dict[str, Any]] = []
        self._row_bytes, self._shard_bytes, self._shards = 0, SHARD_BYTES, 0
        self._file: Any = None

    def add(self, row: dict[str, Any], place: Path) -> None:
        size = place.stat().st_size
        if size > CELL_BYTES:
            remedy = "export as webdataset instead"
            raise AudioError(f"{row['path']}: {size >> 20} MB is too much for a cell; {remedy}")
        try:
            audio = {"bytes": place.read_bytes(), "path": Path(row["path"]).name}
        except OSError as error:
            raise AudioError(f"{row['path']}: cannot read it ({error.strerror})") from error
        extra = to_json(row["extra"]) if row["extra"] else ""
        self._rows.append(row | {"audio": audio, "extra": extra})
        self._row_bytes += size
        if len(self._rows) >= GROUP_ROWS or self._row_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._shard_bytes >= SHARD_BYTES:
            self._end()
            path = self._data / f"{self._shards}.parquet"
            self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._shards, self._shard_bytes = self._shards + 1, 0
        self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._shard_bytes += self._row_bytes
        self._rows, self._row_bytes = [], 0

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()

    def close(self, card: dict[str, Any]) -> None:
        if self._rows:
            self._flush()
        self._end()
        for i in range(self._shards):
            name = f"train-{i:05d}-of-{self._shards:05d}.parquet"
            (self._data / f"{i}.parquet").rename(self._data / name)
        licences = ", ".join(f"{name} ({count:,})" for name, count in card["licences"].items())
        write_text(self._data.parent / "README.md", README.format(**card | {"licences": licences}))


def _feature(kind: Any) -> Any:
    """A column's type in the words of ``datasets``, also of versions before 4."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        nested = pa.types.is_struct(kind.value_type)
        return [inner] if nested else {"feature": inner, "_type": "Sequence"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": HF_TYPES.get(str(kind), str(kind)), "_type": "Value"}
