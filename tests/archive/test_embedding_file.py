"""The file of all embeddings follows the shards, and is whole or absent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from miniatures.archives import clustered_embeddings, write_archive, write_shard
from wsac.archive.archive_folder import Archive
from wsac.archive.search import embedding_file
from wsac.archive.search.embedding_file import open_embeddings
from wsac.types import ModelError

DIM = 8


def rows_of(embeddings):
    return [{"embedding": vector} for vector in embeddings]


def archive_of(tmp_path, embeddings):
    return write_archive(tmp_path / "archive", rows_of(embeddings), dim=DIM, shard_rows=100)


@pytest.fixture
def archive(tmp_path):
    return archive_of(tmp_path, clustered_embeddings(250, DIM))


def test_the_file_has_what_the_shards_have(archive):
    stored = open_embeddings(archive)
    np.testing.assert_array_equal(stored.embeddings, clustered_embeddings(250, DIM))
    assert stored.archive_rows().tolist() == list(range(250))
    shard, row, _ = stored.place(210)
    assert (shard.name, row) == ("part-000002.parquet", 10)


def test_silent_files_and_errors_are_left_out(tmp_path):
    archive = archive_of(tmp_path, clustered_embeddings(4, DIM))
    vectors = clustered_embeddings(4, DIM, seed=1)
    rows = rows_of(vectors)
    rows[0]["silent"] = True
    rows[2] |= {"error": "2.wav: no audio samples", "embedding": None}
    write_shard(archive.folder, 1, rows, dim=DIM)
    stored = open_embeddings(archive)
    np.testing.assert_array_equal(stored.embeddings[4:], vectors[[1, 3]])
    assert stored.archive_rows().tolist() == [0, 1, 2, 3, 5, 7]
    assert stored.place(5)[1:] == (3, 0)


def test_spans_have_places_in_their_files(tmp_path):
    archive = archive_of(tmp_path, clustered_embeddings(3, DIM))
    vectors = clustered_embeddings(3, DIM, seed=1)
    spans = [{"start": float(i), "end": i + 1.0, "embedding": v} for i, v in enumerate(vectors)]
    rows = rows_of(clustered_embeddings(4, DIM))
    for row, parts in zip(rows, ([spans[0]], None, [], spans[1:]), strict=True):
        row["spans"] = parts
    write_shard(archive.folder, 1, rows, dim=DIM)
    stored = open_embeddings(archive, "spans")
    np.testing.assert_array_equal(stored.embeddings, vectors)
    assert [stored.place(i)[1:] for i in range(3)] == [(0, 0), (3, 0), (3, 1)]
    assert stored.archive_rows().tolist() == [3, 6, 6]


def test_only_changed_shards_are_read(archive, monkeypatch):
    open_embeddings(archive)
    read: list[str] = []
    plain = Archive.embeddings
    monkeypatch.setattr(Archive, "embeddings", lambda a, s: read.append(s.name) or plain(a, s))
    open_embeddings(archive)
    assert read == []
    new = clustered_embeddings(30, DIM, seed=2)
    write_shard(archive.folder, 3, rows_of(new), dim=DIM)
    np.testing.assert_array_equal(open_embeddings(archive).embeddings[250:], new)
    assert read == ["part-000003.parquet"]
    write_shard(archive.folder, 1, rows_of(new[:7]), dim=DIM)  # a stale index is noticed
    (archive.folder / "shards" / "part-000000.parquet").unlink()
    stored = open_embeddings(archive)
    right = [new[:7], clustered_embeddings(250, DIM)[200:], new]
    np.testing.assert_array_equal(stored.embeddings, np.concatenate(right))
    assert read == ["part-000003.parquet", "part-000001.parquet"]


@pytest.mark.parametrize("name", ["files.npy", "files-places.npy", "files.json"])
def test_a_damaged_file_is_made_again(archive, name):
    right = np.array(open_embeddings(archive).embeddings)
    path = archive.folder / "search" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(open_embeddings(archive).embeddings, right)
    assert path.read_bytes() != content


def test_embeddings_of_another_clap_are_not_used(archive):
    open_embeddings(archive)
    other = Archive(archive.folder, archive.card | {"clap_fingerprint": "another"})
    assert open_embeddings(other).clap_fingerprint == "another"


def test_a_damaged_shard_is_named(archive):
    shard = archive.shards()[1]
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"part-000001\.parquet: damaged"):
        open_embeddings(archive)
    assert not (archive.folder / "search" / "files.npy").exists()


def test_an_archive_that_cannot_be_written_is_searched_from_memory(archive, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(embedding_file, "alone_in", failing(refuse))
    assert len(open_embeddings(archive).embeddings) == 250
    assert "read into memory instead" in capsys.readouterr().err


def failing(refuse):
    """alone_in, in a folder that cannot be written."""
    from contextlib import contextmanager

    from wsac.types import WsacError

    @contextmanager
    def alone_in(folder, **_):
        try:
            refuse()
        except OSError as error:
            raise WsacError(f"{folder}: cannot make the folder") from error
        yield

    return alone_in


@pytest.mark.slow
def test_a_killed_writer_leaves_the_old_file(archive, tmp_path):
    """Killed at each shard in turn, and while the files are moved to their places."""
    old = np.array(open_embeddings(archive).embeddings)
    for part in range(3, 6):
        write_shard(
            archive.folder, part, rows_of(clustered_embeddings(20, DIM, seed=part)), dim=DIM
        )
    right = np.concatenate([old, *map(archive.embeddings, archive.shards()[3:])])
    for kill in ("part-000003.parquet", "part-000005.parquet", "rename"):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(archive.folder), kill], env=dict(os.environ)
        )
        assert done.returncode == -signal.SIGKILL
        stored = embedding_file._stored(archive, archive.folder / "search", "files")
        assert stored is not None
        assert len(stored.embeddings) == len(old)
    np.testing.assert_array_equal(open_embeddings(archive).embeddings, right)
    assert not [p.name for p in (archive.folder / "search").iterdir() if "tmp" in p.name]


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from wsac.archive.archive_folder import Archive
    from wsac.archive.search.embedding_file import open_embeddings

    folder, kill = sys.argv[1:]
    plain, replace = Archive.embeddings, Path.replace

    def embeddings(archive, shard):
        if shard.name == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(archive, shard)

    def move(self, target):
        if kill == "rename":
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Archive.embeddings, Path.replace = embeddings, move
    open_embeddings(Archive.open(folder))
    """
)
