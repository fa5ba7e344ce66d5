"""Listing: every file once, in memory that is that of the table."""

from __future__ import annotations

import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wsac.archive.listing import list_files
from wsac.data.audio.find import find_audio, stream_audio


def names(table: pa.Table) -> list[str]:
    return [os.path.relpath(path) for path in table["path"].to_pylist()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.wav", "b/1.wav", "a/3.flac", "a/notes.txt", ".hidden/4.wav", "z.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_folders_globs_and_files_each_once(folder):
    every = ["z.mp3", "a/3.flac", "b/1.wav", "b/2.wav"]
    assert names(list_files(["."])) == every
    assert sorted(map(str, stream_audio([folder]))) == sorted(map(str, find_audio([folder])))
    assert names(list_files(["b/2.wav", ".", "b/*.wav"])) == ["b/2.wav", *every[:3]]
    table = list_files(["missing.wav"])
    assert table["size"].to_pylist() == [None]


def test_names_that_are_not_utf8_are_counted(folder, capsys):
    with open(b"b/\xff.wav", "wb") as file:  # noqa: PTH123 (bytes)
        file.write(b"x")
    assert len(list_files(["b"])) == 2
    err = capsys.readouterr().err
    assert "1 file left out, since the name is not UTF-8, such as " in err
    assert "/b/\\xff.wav; rename to include" in err


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_lists(folder, kind):
    path, columns = folder / f"list.{kind}", {"File_Name": ["a/3.flac", "z.mp3"], "tag": ["", "x"]}
    if kind == "parquet":
        pq.write_table(pa.table(columns), path)
    else:
        separator = "," if kind == "csv" else "\t"
        lines = [separator.join(row) for row in (columns, *zip(*columns.values(), strict=True))]
        path.write_text("\n".join(lines) + "\n")
    table = list_files([path])
    assert names(table) == ["a/3.flac", "z.mp3"]
    assert table["extra"].to_pylist() == ["", '{"tag": "x"}']


MEASURE = """
import os, sys
from wsac.archive.listing import list_files
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
list_files([sys.argv[1] + "/0"])
before = resident()
table = list_files([sys.argv[1]])
print(len(table), resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")  # noqa: PTH110
def test_memory_is_flat(tmp_path):
    """100,000 files take at most 60 MB more than the first 1,000."""
    for folder in range(100):
        place = tmp_path / "sounds" / str(folder)
        place.mkdir(parents=True)
        (place / "0.wav").write_bytes(b"x")
        for i in range(1, 1000):
            os.link(place / "0.wav", place / f"{i}.wav")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "sounds"],
        capture_output=True,
        text=True,
        check=True,
    )
    count, growth = done.stdout.split()
    assert int(count) == 100_000
    assert float(growth) <= 60
