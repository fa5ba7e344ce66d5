"""The nearest embeddings, exactly: all are compared, in half precision or in tiles of float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wsac.arrays import WITH_TORCH, Tensor, torch

TILE = 1 << 18  # numbers in float32 at once: 1 MB, which stays in the processor's cache
HALF = 2.0**-11  # the largest relative error of rounding to float16
SINGLE = 2.0**-24  # and to float32


def nearest_exact(
    embeddings: np.ndarray, query: np.ndarray, k: int, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest: cosines, falling, and their rows; equal ones in the order of the rows.

    embeddings: [N, D] float16, perhaps mapped. query: [D] float32, unit norm. rows: the only ones
    that count, rising. A first pass over all keeps those that rounding cannot rule out, and these
    are compared in float64; so the result is that of float64.
    """
    count = len(embeddings) if rows is None else len(rows)
    k = min(k, count)
    if k == 0:
        return np.empty(0), np.empty(0, np.int64)
    scores, error = _scan(embeddings, torch.from_numpy(query), rows)
    least = float(torch.topk(scores, k).values[-1]) - 2 * error
    places = np.flatnonzero((scores.float() >= least).numpy())
    return rerank(embeddings, query, places if rows is None else rows[places], k)


def rerank(
    embeddings: np.ndarray, query: np.ndarray, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest among some rows, in float64: cosines, falling, and rows."""
    scores = np.empty(len(rows))
    size = max(1, TILE // embeddings.shape[1])
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        # a sum a row, not a product of matrices, whose last bits depend on the place of the row
        scores[part] = (embeddings[rows[part]] * query.astype(np.float64)).sum(axis=1)
    order = np.lexsort((rows, -scores))[:k]
    return scores[order], rows[order]


def _scan(embeddings: np.ndarray, query: Tensor, rows: np.ndarray | None) -> tuple[Tensor, float]:
    """Rounded cosines of all, or of some rows, and the largest error of one."""
    dim = embeddings.shape[1]
    if rows is None and WITH_TORCH and query.device.type == "cpu":
        # both factors and the result in half precision, sums in float32
        return torch.mv(torch.from_numpy(embeddings), query.half()), 2 * HALF + 2 * dim * SINGLE
    parts = [part.float() @ query for part in _tiles(embeddings, rows)]
    return torch.cat(parts), dim * SINGLE


def _tiles(embeddings: np.ndarray, rows: np.ndarray | None) -> Iterator[Tensor]:
    size = max(1, TILE // embeddings.shape[1])
    for start in range(0, len(embeddings) if rows is None else len(rows), size):
        part = slice(start, start + size)
        yield torch.from_numpy(embeddings[part if rows is None else rows[part]])
