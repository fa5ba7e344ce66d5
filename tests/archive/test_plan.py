"""The numbers of shards: which files are done together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from wsac.archive.archive_folder import Archive
from wsac.archive.listing import list_files
from wsac.archive.plan import make_plan, write_manifest


@pytest.fixture
def archive(tmp_path) -> Archive:
    (tmp_path / "archive").mkdir()
    facts = {"model": "m", "model_fingerprint": "f", "clap": "c", "clap_fingerprint": "c"}
    return Archive.create(tmp_path / "archive", **facts, embed_dim=4, options={})


def sizes(archive: Archive, files: int, shard_files: int) -> list[int]:
    listed = list_files([f"/none/{i}.wav" for i in range(files)])
    plan = make_plan(archive, listed, shard_files=shard_files, retry_errors=False)
    write_manifest(archive, plan)
    assert isinstance(plan.manifest, pa.Table)
    return np.bincount(plan.manifest["part"].to_numpy()).tolist()


@pytest.mark.parametrize("files", [1, 15, 16, 17, 127, 128, 129, 256, 257, 700])
def test_the_first_shards_are_small_and_every_file_is_in_one(archive, files):
    counts = sizes(archive, files, 128)
    assert sum(counts) == files
    assert all(count == 16 for count in counts[:8][:-1])
    assert all(count == 128 for count in counts[8:-1])
    assert counts[-1] <= (16 if len(counts) <= 8 else 128)


def test_what_was_planned_keeps_its_numbers_and_what_is_new_comes_behind(archive):
    before = sizes(archive, 200, 128)
    assert before == [16] * 8 + [72]
    assert sizes(archive, 250, 128) == [*before, 50]


def test_small_shards_are_of_one_size(archive):
    assert sizes(archive, 40, 16) == [16, 16, 8]
