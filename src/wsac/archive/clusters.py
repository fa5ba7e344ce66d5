"""Embeddings in groups: what sounds alike, and what is nearly the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wsac.arrays import F, Tensor, torch

ROUNDS = 12  # of k-means
LEARNED = 50_000  # embeddings at most that centres and the map are learned from
AT_ONCE = 4096  # embeddings compared with the centres at once
CELL = 2000  # embeddings of a cell, about, within which near duplicates are looked for
COMPARED = 1 << 24  # cosines in memory at once


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
    groups = []
    for cell in range(int(cells.max(initial=-1)) + 1):
        rows = np.flatnonzero(cells == cell)
        entries = torch.from_numpy(embeddings[rows]).float()
        alike = _near_another(entries, threshold)
        rows = rows[alike.numpy()]
        for group in _connected(entries[alike], threshold):
            groups.append(rows[group.numpy()].tolist())
    return sorted(groups)


def _near_another(entries: Tensor, threshold: float) -> Tensor:
    """Which of [n, D] have another that is near: [n] bool."""
    size, parts = max(1, COMPARED // max(1, len(entries))), []
    for start in range(0, len(entries), size):
        cosines = entries[start : start + size] @ entries.T
        cosines.diagonal(start).fill_(-1.0)  # each with itself
        parts.append((cosines >= threshold).any(dim=1))
    return torch.cat(parts)


def _connected(entries: Tensor, threshold: float) -> Iterator[Tensor]:
    """Groups of rows, rising, in which each is reached from each through near ones."""
    left = torch.arange(len(entries))
    while len(left):
        ahead, left = left[:1], left[1:]
        group = [ahead]
        while len(ahead):
            block, ahead = ahead[:AT_ONCE], ahead[AT_ONCE:]
            near = (entries[left] @ entries[block].T >= threshold).any(dim=1)
            ahead = torch.cat((ahead, left[near]))
            group.append(left[near])
            left = left[~near]
        yield torch.cat(group).sort().values
