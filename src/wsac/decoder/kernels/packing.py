"""Rows of several lengths without their padding, for layers that act on single positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROUND = 64  # sizes are rounded up to a multiple: oneDNN prepares few shapes, and odd ones are slow


class Packing:
    """real: [B, P] which positions are not padding. Only these are computed and trained on."""

    def __init__(self, real: Tensor) -> None:
        self.shape = real.shape
        self.places = real.flatten().nonzero()[:, 0]
        self.size = -(-len(self.places) // ROUND) * ROUND

    def pack(self, x: Tensor) -> Tensor:
        """[B, P, W] → [size, W]: the real positions in their order, then zeros."""
        packed: Tensor = _Move.apply(x.flatten(0, 1), self.places, self.size, True)
        return packed

    def unpack(self, x: Tensor) -> Tensor:
        """[size, W] → [B, P, W], zero at padding."""
        unpacked: Tensor = _Move.apply(x, self.places, self.shape.numel(), False)
        return unpacked.view(*self.shape, -1)


class _Move(torch.autograd.Function):
    """Each place is used once, so gradients are copied; those of an index would be added up."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, places: Tensor, size: int, gather: bool
    ) -> Tensor:
        ctx.places, ctx.size, ctx.gather = places, len(x), gather
        return _move(x, places, size, gather)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return _move(gradient, ctx.places, ctx.size, not ctx.gather), None, None, None


def _move(x: Tensor, places: Tensor, size: int, gather: bool) -> Tensor:
    """[size, W]: the rows of x at the places and then zeros, or its first rows at the places."""
    if not gather:
        return x.new_zeros(size, x.shape[1]).index_copy_(0, places, x[: len(places)])
    rows = x.new_empty(size, x.shape[1])
    torch.index_select(x, 0, places, out=rows[: len(places)])
    rows[len(places) :] = 0
    return rows
