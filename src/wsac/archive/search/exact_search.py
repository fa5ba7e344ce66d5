"""The nearest embeddings, exactly: all are compared, in half precision or in tiles of float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wsac.arrays import WITH_TORCH, Tensor, torch

TILE = 1 << 18  # numbers in float32 at once: 1 MB, which stays in the processor's cache
CACHED = 1 << 17  # numbers that are written three times: 512 kB
HALF = 2.0**-11  # the largest relative error of rounding to float16
SINGLE = 2.0**-24  # and to float32
SMALLEST = 2.0**-14  # of float16, but for subnormal numbers, which some processes take for 0
RAISED = np.float32(2.0**112)  # the exponents of float32 begin at -127, those of float16 at -15
SIGN_AND_REST = np.int32(-0x70002000)  # of float16, spread to 32 bits and 13 to the left


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
    if WITH_TORCH:
        parts = [torch.from_numpy(part).float() @ query for part in _tiles(embeddings, rows, TILE)]
        return torch.cat(parts), dim * SINGLE
    products = half_products(embeddings, query.numpy(), rows)
    return torch.from_numpy(products), dim * SINGLE + dim**0.5 * SMALLEST


def half_products(
    embeddings: np.ndarray, query: np.ndarray, rows: np.ndarray | None = None
) -> np.ndarray:
    """[N] float32 of embeddings [N, D] float16, or of some rows, and a query [D] float32.

    NumPy turns float16 into float32 a number at a time. Here the bits are moved to their places,
    which leaves the exponents 112 too low, and the query makes up for it: five times as fast.
    """
    raised, parts = query * RAISED, [np.empty(0, np.float32)]
    space = np.empty((max(1, CACHED // len(query)), len(query)), np.int32)
    for part in _tiles(embeddings, rows, CACHED):
        bits = space[: len(part)]
        bits[:] = part.view(np.int16)
        np.left_shift(bits, 13, out=bits)
        np.bitwise_and(bits, SIGN_AND_REST, out=bits)
        parts.append(bits.view(np.float32) @ raised)
    return np.concatenate(parts)


def _tiles(embeddings: np.ndarray, rows: np.ndarray | None, numbers: int) -> Iterator[np.ndarray]:
    size = max(1, numbers // embeddings.shape[1])
    for start in range(0, len(embeddings) if rows is None else len(rows), size):
        part = slice(start, start + size)
        yield embeddings[part if rows is None else rows[part]]
