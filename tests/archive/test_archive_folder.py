"""The folder of an archive: its card, its columns, and what damage says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from miniatures.archives import write_archive
from test_docs import blocks
from wsac.archive.archive_folder import Archive, embeddings_of
from wsac.archive.schema import shard_schema
from wsac.io.checked_json import write_record
from wsac.types import WsacError

PAGE = Path(__file__).parents[2] / "docs" / "archive.md"
ROWS = [
    {"caption": "Rain", "tags": [{"label": "rain", "score": 0.5, "probability": 0.9}]},
    {"error": "1.wav: no audio samples"},
    {"caption": "A dog barks", "confidence": 0.75, "loudness": -20.0},
]


def test_what_is_written_is_read_back(tmp_path):
    archive = write_archive(tmp_path / "a", ROWS, shard_rows=2)
    assert [shard.name for shard in archive.shards()] == [
        "part-000000.parquet",
        "part-000001.parquet",
    ]
    assert len(archive) == 3
    assert [archive.rows(shard) for shard in archive.shards()] == [2, 1]
    rows = [row for table in Archive.open(tmp_path / "a").tables() for row in table.to_pylist()]
    assert [row["caption"] for row in rows] == ["Rain", None, "A dog barks"]
    assert rows[0]["tags"][0]["label"] == "rain"
    assert rows[1]["embedding"] is None
    first = archive.read(archive.shards()[0])
    assert first.schema.equals(shard_schema(16))
    assert archive.read(archive.shards()[0], ["path"]).column_names == ["path"]


def test_duckdb_answers_the_question_of_the_docs(tmp_path, monkeypatch):
    """The ten loudest files with thunder."""
    pytest.importorskip("duckdb", reason="needs duckdb (pip install duckdb)")
    captions = ["Thunder rumbles", "Rain", "A storm with thunder", None]
    rows = [{"caption": captions[i % 4], "loudness": -((7.0 * i) % 41)} for i in range(40)]
    write_archive(tmp_path / "sounds.archive", rows, shard_rows=9)
    monkeypatch.chdir(tmp_path)
    [block] = [b for b in blocks(PAGE.read_text(encoding="utf-8")) if "import duckdb" in b.text]
    tables = []
    exec(block.text, {"print": tables.append})
    thunder = [i for i in range(40) if i % 2 == 0]
    loudest = sorted(thunder, key=lambda i: -rows[i]["loudness"])[:10]
    expected = [(f"{i}.wav", rows[i]["loudness"], rows[i]["caption"]) for i in loudest]
    assert tables[0].fetchall() == expected


def test_embeddings_are_arrays_with_zeros_for_errors(tmp_path):
    archive = write_archive(tmp_path, ROWS)
    [shard] = archive.shards()
    embeddings = archive.embeddings(shard)
    assert embeddings.shape == (3, archive.embed_dim)
    assert embeddings.dtype == np.float16
    norms = np.linalg.norm(embeddings.astype(np.float32), axis=1)
    np.testing.assert_allclose(norms, [1, 0, 1], atol=2e-3)
    assert embeddings_of(archive.read(shard).slice(0, 0)).shape == (0, 16)
    [row] = archive.read(shard).slice(2, 1).to_pylist()
    np.testing.assert_array_equal(embeddings[2], np.array(row["embedding"], np.float16))


@pytest.mark.parametrize("column", ["path", "caption", "embedding"])
def test_a_flipped_bit_in_a_shard_is_noticed(tmp_path, column):
    archive = write_archive(tmp_path, ROWS)
    [shard] = archive.shards()
    with pq.ParquetFile(shard) as file:
        group = file.metadata.row_group(0)
        chunks = [group.column(i) for i in range(group.num_columns)]
    [chunk] = [c for c in chunks if c.path_in_schema.split(".")[0] == column]
    content = bytearray(shard.read_bytes())
    first = chunk.dictionary_page_offset or chunk.data_page_offset
    content[first + chunk.total_compressed_size - 1] ^= 1  # in its last page
    shard.write_bytes(content)
    with pytest.raises(WsacError, match=r"part-000000.parquet: damaged .*delete it"):
        list(archive.tables())


def no_card(folder):
    (folder / "archive.json").unlink()


def changed_card(folder):
    card = json.loads((folder / "archive.json").read_text())
    (folder / "archive.json").write_text(json.dumps(card | {"embed_dim": 8}))


def newer(folder):
    write_record(folder / "archive.json", Archive.open(folder).card | {"format": 2})


def cut(folder):
    (folder / "shards" / "part-000000.parquet").write_bytes(b"PAR1")


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (no_card, "no archive here (no archive.json); make one with wsac archive build"),
        (changed_card, "damaged or changed by hand"),
        (newer, "an archive of format 2, but this wsac reads format 1"),
        (cut, "part-000000.parquet: damaged or not readable as Parquet"),
    ],
)
def test_errors_say_what_to_do(tmp_path, cause, words):
    write_archive(tmp_path, ROWS)
    cause(tmp_path)
    with pytest.raises(WsacError) as error:
        len(Archive.open(tmp_path))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
