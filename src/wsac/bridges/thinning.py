"""Thinning of a support memory: of captions that say nearly the same, one stays."""

from __future__ import annotations

from wsac.arrays import Tensor, torch

from .memory import SupportMemory, nearest_rows

PART = 4096  # entries that are compared with each other
ROWS = 256  # of them at once


def rows_unlike(memory: SupportMemory, threshold: float, rng: torch.Generator) -> Tensor:
    """Rows, rising, without near-duplicates: entries whose cosine to an earlier one that stays is
    at least ``threshold``.

    A memory of more than 8,192 entries is divided into parts, by the nearest of N / 4096 random
    entries, and what stays is divided once more by others. Near-duplicates that fall into different
    parts both times both stay.
    """
    rows = torch.arange(len(memory))
    if len(memory) < 2 * PART:
        return rows[_unlike(memory.embeddings, threshold)]
    for _ in range(2):
        rows = rows[_unlike_in_parts(memory.only(rows), threshold, rng)]
    return rows


def _unlike_in_parts(memory: SupportMemory, threshold: float, rng: torch.Generator) -> Tensor:
    """Rows, rising, that stay when only entries of one part are compared."""
    centres = SupportMemory(memory.take(memory.sample_rows(max(1, len(memory) // PART), rng)))
    nearest = torch.cat([nearest_rows(tile, centres, 1)[1].flatten() for tile in memory.tiles()])
    parts = nearest.argsort(stable=True).split(nearest.bincount().tolist())
    rows = [part[_unlike(memory.take(part), threshold)] for part in parts if len(part)]
    return torch.cat(rows).sort().values


def _unlike(entries: Tensor, threshold: float) -> Tensor:
    """Which of ``[n, D]`` stay: ``[n]``, bool."""
    stays = torch.ones(len(entries), dtype=torch.bool)
    for start in range(0, len(entries), ROWS):
        block, earlier = entries[start : start + ROWS], entries[:start][stays[:start]]
        here = stays[start : start + ROWS]  # a view
        here &= (block @ earlier.T < threshold).all(dim=1)
        alike = (block @ block.T >= threshold).tril(-1)
        for row in alike.any(dim=1).nonzero().flatten().tolist():
            here[row] &= not (alike[row] & here).any()
    return stays
