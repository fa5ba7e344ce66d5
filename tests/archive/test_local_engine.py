"""The local engine: the rows of one process, whatever dies in between."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from wsac.archive.archive_folder import Archive
from wsac.archive.engines import local

TESTS = Path(__file__).parents[1]


def rows_of(folder) -> list[dict]:
    rows = [row for table in Archive.open(folder).tables() for row in table.to_pylist()]
    return sorted(rows, key=lambda row: row["path"])


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "shards").glob("part*")}


@pytest.fixture
def crashing(monkeypatch):
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setattr(local, "PROGRAM", "miniatures.crashing_worker")


@pytest.mark.slow
def test_two_processes_write_what_one_writes(tmp_path, build, make_sounds):
    make_sounds(tmp_path / "sounds", 10)
    build(out=tmp_path / "one", workers=1)
    summary = build(out=tmp_path / "two", workers=2)
    assert summary.rows == 10
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    lines = (tmp_path / "two" / "build.log").read_text().splitlines()
    assert len(lines) == 3
    assert "10 of 10 files" in lines[-1]


@pytest.mark.slow
def test_what_kills_its_process_twice_is_set_aside(tmp_path, build, make_sounds, crashing):
    sounds = make_sounds(tmp_path / "sounds", 6)
    (sounds / "001.wav").rename(sounds / "poison.wav")
    (sounds / "002.wav").rename(sounds / "once.wav")
    summary = build(workers=1)
    assert (summary.rows, summary.errors, summary.failed) == (6, 1, 0)
    rows = {Path(row["path"]).name: row for row in rows_of(tmp_path / "archive")}
    error = rows.pop("poison.wav")["error"]
    assert "poison.wav: set aside, since its process ended twice (SIGKILL" in error
    assert not any(row["error"] for row in rows.values())
    # without the crashes, the other rows are the same
    shutil.copytree(sounds, tmp_path / "healthy")
    (tmp_path / "healthy" / "poison.wav").unlink()
    build(tmp_path / "healthy", out=tmp_path / "plain")
    for row in rows_of(tmp_path / "plain"):
        name = Path(row["path"]).name
        assert {**row, "path": ""} | {"mtime": 0} == {**rows[name], "path": ""} | {"mtime": 0}


@pytest.mark.slow
def test_what_takes_too_much_memory_is_set_aside(tmp_path, build, make_sounds, crashing):
    sounds = make_sounds(tmp_path / "sounds", 2)
    (sounds / "000.wav").rename(sounds / "greedy.wav")
    summary = build(workers=1, max_memory=1 << 30)
    assert (summary.rows, summary.errors) == (2, 1)
    [error] = [row["error"] for row in rows_of(tmp_path / "archive") if row["error"]]
    assert "more than 1.0 GiB of memory" in error


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(
    tmp_path, build, make_sounds, model, seed
):
    """The whole process group, by SIGKILL; then the same command, until it ends by itself."""
    sounds, archive = make_sounds(tmp_path / "sounds", 30), tmp_path / "archive"
    build(out=tmp_path / "whole", shard_files=2)
    rng = random.Random(seed)
    command = [sys.executable, "-m", "wsac", "archive", "build", sounds, "--workers", "2"]
    command += ["--out", archive, "--model", model, "--shard-files", "2"]
    written: set[str] = set()
    for _ in range(3):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        enough = len(written) + rng.randint(0, 3)
        while process.poll() is None and len(contents(archive)) < enough:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.2)
        assert written <= set(contents(archive))  # what is written stays
        written = set(contents(archive))
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert contents(archive) == contents(tmp_path / "whole")
    leftovers = [path.name for path in (archive / "shards").iterdir()]
    assert all(name.startswith("part-") for name in leftovers)
