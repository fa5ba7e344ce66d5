"""The few largest of many, by the largest of each block first: what ``topk`` gives, without sorting a vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128
MANY = 32  # blocks: below that topk is as fast


def likeliest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest of the last dimension and their places, falling, as ``values.topk(count)``."""
    size = values.shape[-1]
    blocks = size // BLOCK
    if values.device.type != "cpu" or blocks < max(MANY, 2 * count):
        best, place = values.topk(min(count, size))
        return best, place
    whole, rest = (
        values[..., : blocks * BLOCK].unflatten(-1, (blocks, BLOCK)),
        values[..., blocks * BLOCK :],
    )
    # the largest lie in the blocks with the largest maxima, or in the rest
    chosen = whole.amax(-1).topk(count).indices
    found = whole.gather(-2, chosen[..., None].expand(*chosen.shape, BLOCK)).flatten(-2)
    places = (chosen[..., None] * BLOCK + torch.arange(BLOCK)).flatten(-2)
    tail = torch.arange(blocks * BLOCK, size).expand(*rest.shape[:-1], -1)
    best, place = torch.cat((found, rest), dim=-1).topk(count)
    return best, torch.cat((places, tail), dim=-1).gather(-1, place)
