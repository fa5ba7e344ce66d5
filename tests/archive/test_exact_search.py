"""Exact search equals NumPy in double precision; the approximate index finds nearly all of it."""

from __future__ import annotations

import numpy as np
import pytest

from miniatures.archives import clustered_embeddings
from wsac.archive.search.embedding_file import EmbeddingFile, IndexedShard
from wsac.archive.search.exact_search import half_products, nearest_exact


def plain_search(embeddings, query, k, rows=None):
    """The oracle: all cosines in float64, sorted."""
    rows = np.arange(len(embeddings)) if rows is None else rows
    scores = (embeddings[rows].astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    order = np.lexsort((rows, -scores))[:k]
    return scores[order], rows[order]


def queries(embeddings, count):
    rng = np.random.default_rng(7)
    near = embeddings[rng.integers(len(embeddings), size=count)].astype(np.float32)
    near = near + 0.3 * rng.standard_normal(near.shape, np.float32) / near.shape[1] ** 0.5
    return near / np.linalg.norm(near, axis=1, keepdims=True)


@pytest.mark.parametrize("spread", [1.0, 0.01])  # the smaller, the less half precision tells apart
@pytest.mark.parametrize("dim", [16, 512])
def test_exact_search_equals_float64(spread, dim):
    embeddings = clustered_embeddings(3000, dim, spread=spread)
    embeddings[100:110] = embeddings[5]  # equal ones come in the order of their rows
    some = np.flatnonzero(np.random.default_rng(1).random(len(embeddings)) < 0.1)
    for query in queries(embeddings, 8):
        for rows in (None, some, np.array([7]), np.empty(0, np.int64)):
            for k in (1, 10, 5000):
                scores, places = nearest_exact(embeddings, query, k, rows)
                right_scores, right = plain_search(embeddings, query, k, rows)
                assert places.tolist() == right.tolist()
                np.testing.assert_array_equal(scores, right_scores)


def test_products_without_torch_are_those_of_float32():
    halves = clustered_embeddings(1000, 512)
    halves[0, :6] = [0, -0.0, 6e-8, -6e-8, 1, -1]  # zeros, subnormal numbers, the largest
    query = queries(halves, 1)[0]
    for rows in (None, np.array([0, 3, 999]), np.empty(0, np.int64)):
        right = (halves if rows is None else halves[rows]).astype(np.float64) @ query
        products = half_products(halves, query, rows)
        assert products.dtype == np.float32
        np.testing.assert_allclose(products, right, atol=512 * 2.0**-24)
    for odd in (halves[:10, :7], halves[:0]):
        right = odd.astype(np.float32) @ query[: odd.shape[1]]
        odd = np.ascontiguousarray(odd)
        np.testing.assert_allclose(half_products(odd, query[: odd.shape[1]]), right, atol=1e-6)


def test_equal_embeddings_keep_their_order():
    embeddings = np.repeat(clustered_embeddings(1, 64), 50, axis=0)
    assert nearest_exact(embeddings, embeddings[0].astype(np.float32), 5)[1].tolist() == [*range(5)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("embeddings", "scanned"),
    [
        (clustered_embeddings(20_000, 64), 1600),
        # without any order all have to be looked at
        (clustered_embeddings(20_000, 64, spread=100.0), 20_000),
    ],
    ids=["clustered", "random"],
)
def test_the_approximate_index_finds_nearly_all(embeddings, scanned, tmp_path):
    pytest.importorskip("faiss", reason="needs faiss: pip install '.[search]'")
    from wsac.archive.search.ivf_index import IvfIndex

    index = IvfIndex(unit_of(embeddings), tmp_path, scanned)
    shares, some = [], np.arange(0, len(embeddings), 7)
    for query in queries(embeddings, 50):
        scores, places = index.nearest(query, 10)
        right_scores, right = nearest_exact(embeddings, query, 10)
        exact = dict(zip(right.tolist(), right_scores, strict=True))
        both = [
            (exact[row], x) for row, x in zip(places.tolist(), scores, strict=True) if row in exact
        ]
        assert all(a == b for a, b in both)  # compared again, so exact
        shares.append(len(both) / 10)
    assert np.mean(shares) >= 0.98
    assert set(index.nearest(query, 10, some)[1].tolist()) <= set(some.tolist())


def unit_of(*parts):
    """An EmbeddingFile of these shards."""
    shards = []
    for i, part in enumerate(parts):
        mark = int(part.view(np.int16).sum(dtype=np.int64))
        shards.append(IndexedShard(f"{i}", 1, mark, len(part), len(part)))
    embeddings = np.concatenate(parts)
    return EmbeddingFile(
        "files", embeddings, np.zeros((len(embeddings), 2), np.int32), tuple(shards), "x"
    )


def test_only_new_shards_are_added(tmp_path, monkeypatch):
    pytest.importorskip("faiss", reason="needs faiss: pip install '.[search]'")
    from wsac.archive.search.ivf_index import IvfIndex

    old, new, other = (clustered_embeddings(2000, 16, seed=seed) for seed in range(3))
    IvfIndex(unit_of(old, new[:500]), tmp_path)
    monkeypatch.setattr(IvfIndex, "_trained", None)  # cells are not learned again
    for parts in (
        (old, new),
        (old, new, other),
        (old, other),
        (old, other),
    ):  # grown, changed, same
        source = unit_of(*parts)
        index = IvfIndex(source, tmp_path)
        for query in queries(source.embeddings, 10):
            assert index.nearest(query, 1)[1] == nearest_exact(source.embeddings, query, 1)[1]


def test_an_index_of_another_kind_is_made_again(tmp_path, monkeypatch):
    pytest.importorskip("faiss", reason="needs faiss: pip install '.[search]'")
    from wsac.archive.search import ivf_index

    source = unit_of(clustered_embeddings(500, 16))
    with monkeypatch.context() as before:
        before.setattr(ivf_index, "KIND", "another")
        ivf_index.IvfIndex(source, tmp_path)
    learned = []
    real = ivf_index.IvfIndex._trained
    monkeypatch.setattr(
        ivf_index.IvfIndex, "_trained", lambda self: learned.append(1) or real(self)
    )
    ivf_index.IvfIndex(source, tmp_path)
    ivf_index.IvfIndex(source, tmp_path)
    assert learned == [1]


def test_a_damaged_index_is_made_again(tmp_path):
    pytest.importorskip("faiss", reason="needs faiss: pip install '.[search]'")
    from wsac.archive.search.ivf_index import IvfIndex

    source = unit_of(clustered_embeddings(500, 16))
    first = IvfIndex(source, tmp_path)
    path = tmp_path / "files.faiss"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    query = queries(source.embeddings, 1)[0]
    assert (
        IvfIndex(source, tmp_path).nearest(query, 5)[1].tolist()
        == first.nearest(query, 5)[1].tolist()
    )
    assert path.read_bytes() != content
