"""Embeddings in groups: what sounds alike, and what is nearly the same."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDS = 12  # of k-means
LEARNED = 50_000  # embeddings at most that centres and the map are learned from
AT_ONCE = 4096  # embeddings compared with the centres at once
CELL = 2000  # embeddings of a cell, within which near duplicates are looked for


def k_means(embeddings: np.ndarray, k: int) -> tuple[np.ndarray, Tensor]:
    """Spherical k-means: for each of [N, D] its cluster, and the centres [K, D], unit norm.

    It begins with embeddings that lie far apart, and gives the same result each time.
    """
    generator = torch.Generator().manual_seed(0)
    if not (count := len(embeddings)):
        return np.empty(0, np.int64), torch.empty(0, embeddings.shape[1])
    rows = torch.randperm(count, generator=generator)[:LEARNED].sort().values
    sample = torch.from_numpy(embeddings[rows.numpy()]).float()
    centres = _far_apart(sample, min(k, count))
    for _ in range(ROUNDS):
        nearest = (sample @ centres.T).argmax(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, sample)
        full = torch.bincount(nearest, minlength=len(centres)) > 0
        centres = torch.where(full[:, None], F.normalize(sums, dim=-1), centres)
    return _nearest(embeddings, centres), centres


def _far_apart(sample: Tensor, k: int) -> Tensor:
    """Each is the one that is least like those before it."""
    rows, best = [0], sample @ sample[0]
    while len(rows) < k:
        rows.append(int(best.argmin()))
        best = torch.maximum(best, sample @ sample[rows[-1]])
    return sample[rows]


def _nearest(embeddings: np.ndarray, centres: Tensor) -> np.ndarray:
    parts = [np.empty(0, np.int64)]
    for start in range(0, len(embeddings), AT_ONCE):
        part = torch.from_numpy(embeddings[start : start + AT_ONCE]).float()
        parts.append((part @ centres.T).argmax(dim=1).numpy())
    return np.concatenate(parts)


def on_a_map(embeddings: np.ndarray) -> np.ndarray:
    """[N, 2]: the two directions in which the embeddings differ most (principal components)."""
    if not len(embeddings):
        return np.empty((0, 2), np.float32)
    rows = np.linspace(0, len(embeddings) - 1, min(len(embeddings), LEARNED)).astype(int)
    sample = embeddings[rows].astype(np.float32)
    mean = sample.mean(axis=0)
    _, directions = np.linalg.eigh((sample - mean).T @ (sample - mean))  # rising
    parts = [np.empty((0, 2), np.float32)]
    for start in range(0, len(embeddings), AT_ONCE):
        part = embeddings[start : start + AT_ONCE].astype(np.float32) - mean
        parts.append(part @ directions[:, :-3:-1])
    return np.concatenate(parts)


def near_duplicates(embeddings: np.ndarray, threshold: float) -> list[list[int]]:
    """Groups of rows [N, D] of which each has a cosine of at least ``threshold`` with another.

    Archives of more than 2,000 are cut into cells by k-means first, and compared within them; so a
    pair across the border of two cells is missed.
    """
    cells, _ = k_means(embeddings, 1 + (len(embeddings) - 1) // CELL)
    group = np.arange(len(embeddings))

    def head(row: int) -> int:
        while group[row] != row:
            group[row] = row = group[group[row]]
        return int(row)

    for cell in range(int(cells.max(initial=-1)) + 1):
        rows = np.flatnonzero(cells == cell)
        for start in range(0, len(rows), AT_ONCE):
            part = torch.from_numpy(embeddings[rows[start : start + AT_ONCE]]).float()
            for at in range(0, start + 1, AT_ONCE):
                other = torch.from_numpy(embeddings[rows[at : at + AT_ONCE]]).float()
                for i, j in (part @ other.T >= threshold).nonzero().tolist():
                    if at + j < start + i:
                        a, b = sorted((head(rows[at + j]), head(rows[start + i])))
                        group[b] = a
    heads: dict[int, list[int]] = {}
    for row in range(len(embeddings)):
        heads.setdefault(head(row), []).append(row)
    return [rows for rows in heads.values() if len(rows) > 1]
