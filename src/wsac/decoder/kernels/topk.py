"""``topk`` of a large vocabulary, by the maxima of blocks first, without sorting all."""

from __future__ import annotations

from wsac.arrays import Tensor, torch

BLOCK = 128
MIN_BLOCKS = 32  # with fewer, torch's topk is as fast


def likeliest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest of the last dimension and their places, as ``values.topk(count)``."""
    size = values.shape[-1]
    blocks = size // BLOCK
    if values.device.type != "cpu" or blocks < max(MIN_BLOCKS, 2 * count):
        best, place = values.topk(min(count, size))
        return best, place
    split = blocks * BLOCK
    whole, rest = values[..., :split].unflatten(-1, (blocks, BLOCK)), values[..., split:]
    # the largest values lie in the blocks with the largest maxima, or in the rest
    chosen = whole.amax(-1).topk(count).indices[..., None]
    near = whole.gather(-2, chosen.expand(*chosen.shape[:-1], BLOCK)).flatten(-2)
    places = (chosen * BLOCK + torch.arange(BLOCK)).flatten(-2)
    tail = torch.arange(split, size).expand(*rest.shape[:-1], -1)
    best, place = torch.cat((near, rest), dim=-1).topk(count)
    return best, torch.cat((places, tail), dim=-1).gather(-1, place)
