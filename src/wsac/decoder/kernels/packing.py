"""Rows of several lengths without their padding: layers that act on single positions see the real ones alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROUND = (
    64  # packed positions are filled up to a multiple: products of few shapes need few preparations
)


class Packing:
    """real: [B, P] which positions are real. Everything else is neither computed nor learned from."""

    def __init__(self, real: Tensor) -> None:
        self.rows, self.positions = real.shape
        self.places = real.flatten().nonzero()[:, 0]
        self.size = -(-len(self.places) // ROUND) * ROUND

    def pack(self, x: Tensor) -> Tensor:
        """[B, P, W] → [size, W], the real positions in their order, then zeros."""
        return _Gather.apply(x.flatten(0, 1), self.places, self.size)  # type: ignore[no-any-return]

    def unpack(self, x: Tensor) -> Tensor:
        """[size, W] → [B, P, W], zero where nothing is real."""
        found: Tensor = _Scatter.apply(x, self.places, self.rows * self.positions)
        return found.view(self.rows, self.positions, -1)


def _gather(x: Tensor, places: Tensor, size: int) -> Tensor:
    found = x.new_empty(size, x.shape[1])
    torch.index_select(x, 0, places, out=found[: len(places)])
    found[len(places) :] = 0
    return found


def _scatter(x: Tensor, places: Tensor, size: int) -> Tensor:
    return x.new_zeros(size, x.shape[1]).index_copy_(0, places, x[: len(places)])


class _Gather(torch.autograd.Function):
    """Every place is taken once, so the gradient is copied back, where that of an index would be added up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, size: int) -> Tensor:  # type: ignore[override]
        ctx.places, ctx.size = places, len(x)
        return _gather(x, places, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _scatter(gradient, ctx.places, ctx.size), None, None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, size: int) -> Tensor:  # type: ignore[override]
        ctx.places, ctx.size = places, len(x)
        return _scatter(x, places, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _gather(gradient, ctx.places, ctx.size), None, None
