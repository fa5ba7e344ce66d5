"""What is in an archive: clusters, duplicates and faults, in figures and on a page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from miniatures.archives import clustered_embeddings, write_archive
from wsac.archive.archive_stats import archive_stats
from wsac.archive.clusters import k_means, near_duplicates, on_a_map

DIM = 16


def test_k_means_finds_the_clusters():
    embeddings = clustered_embeddings(600, 64, clusters=5, spread=0.3)
    labels, centres = k_means(embeddings, 5)
    assert centres.shape == (5, 64)
    # of one cluster are those that are near each other
    alike = embeddings.astype(np.float32) @ embeddings.astype(np.float32).T > 0.5
    np.testing.assert_array_equal(labels[:, None] == labels, alike)
    np.testing.assert_array_equal(k_means(embeddings, 5)[0], labels)


def test_the_map_has_most_of_the_variance():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, DIM)) * ([5, 3] + [0.1] * (DIM - 2))
    points = on_a_map(vectors.astype(np.float16))
    assert points.var(axis=0).sum() >= 0.99 * vectors.var(axis=0).sum()
    assert points[:, 0].var() >= points[:, 1].var()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_embeddings(count):
    embeddings = clustered_embeddings(2, DIM)[:count]
    assert len(k_means(embeddings, 10)[0]) == count
    assert on_a_map(embeddings).shape == (count, 2)
    assert near_duplicates(embeddings, 0.99) == []


def test_near_duplicates_equal_all_pairs():
    embeddings = clustered_embeddings(300, DIM, spread=0.15)
    cosines = embeddings.astype(np.float32) @ embeddings.astype(np.float32).T
    near = (cosines >= 0.98) | np.eye(300, dtype=bool)
    for _ in range(10):  # what is near a near one is in its group
        near = (near.astype(int) @ near) > 0
    right = {tuple(np.flatnonzero(row).tolist()) for row in near if row.sum() > 1}
    assert len(right) > 3
    assert set(map(tuple, near_duplicates(embeddings, 0.98))) == right


def test_many_of_one_sound_are_one_group():
    """Each is near each, so there are 18 million pairs."""
    same = np.repeat(clustered_embeddings(1, DIM), 6000, axis=0)
    assert near_duplicates(same, 0.98) == [list(range(6000))]


@pytest.fixture
def archive(tmp_path):
    vectors = clustered_embeddings(30, DIM, clusters=3, spread=0.3)
    rows = [
        {"embedding": v, "caption": f"Sound {i}", "loudness": -30.0} for i, v in enumerate(vectors)
    ]
    rows[0] |= {"seconds": 3600.0, "clipped": 0.01}
    rows[1] |= {"silent": True}
    rows[2] |= {"id": "same", "embedding": vectors[4]}
    rows[3] |= {"id": "same", "embedding": vectors[4]}
    rows[5] |= {"embedding": vectors[4]}
    rows.append({"path": "<b>.wav", "error": "<b>.wav: no audio samples"})
    return write_archive(tmp_path / "archive", rows, dim=DIM, shard_rows=7)


def test_what_is_counted(archive):
    stats = archive_stats(archive, near=0.9999)
    assert stats.counts() == {
        "files": 31,
        "hours": round(1 + 30 * 5 / 3600, 3),
        "errors": 1,
        "silent": 1,
        "clipped": 1,
        "copies": 1,
        "near_copies": 2,
    }
    assert stats.copies == [["2.wav", "3.wav"]]
    assert stats.near_copies == [["2.wav", "4.wav", "5.wav"]]  # one of equal content
    assert sum(cluster.files for cluster in stats.clusters) == 29
    assert [c.files for c in stats.clusters] == np.bincount(stats.of_cluster).tolist()


@pytest.mark.slow
def test_the_command_and_its_page(run, archive, tmp_path):
    page = tmp_path / "page.html"
    code, out, err = run("archive", "stats", archive.folder, "--html", page, "--json")
    assert code == 0, err
    assert json.loads(out)["counts"]["files"] == 31
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 2
    assert "&lt;b&gt;.wav: no audio samples" in text
    assert "<b>.wav" not in text
    code, out, _ = run("archive", "stats", archive.folder)
    assert "near copies" in out
    code, _, err = run("archive", "stats", archive.folder, "--near", 2)
    assert (code, err) == (1, "error: --near 2: give a cosine above 0, and at most 1\n")
