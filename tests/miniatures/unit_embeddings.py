"""Embeddings that stand for texts and sounds."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def unit(rows: int, seed: int, dim: int = 16, offset: float = 0.0) -> torch.Tensor:
    """[rows, dim] unit norm, the same for the same seed. offset: moves them all to one side."""
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, dim, generator=rng) + offset, dim=-1)
