"""Scores over a vocabulary and their cross-entropy in one step: they are gone through once and not ten times."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .packing import ROUND

ROWS = 32  # tokens at once on a CPU: their scores, in float32, stay in its cache


class Tied:
    """One matrix [V, W] for what is read and what is written. What it learns from the scores is kept until its rows'
    own gradient is known, and that is added to it: nothing of the size of the matrix is filled with zeros or copied.

    For one forward pass: ``rows`` once, then ``linear_cross_entropy`` once, of what came of them.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.learned: Tensor | None = None

    def rows(self, ids: Tensor) -> Tensor:
        """[..., W] of ids [...]."""
        return _Rows.apply(self.weight, ids, self)  # type: ignore[no-any-return]


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, tied: Tied) -> Tensor:  # type: ignore[override]
        ctx.ids, ctx.tied = ids, tied
        return F.embedding(ids, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        learned, ctx.tied.learned = ctx.tied.learned, None
        if learned is None:  # no scores were made
            learned = torch.zeros_like(ctx.tied.weight)
        return (
            learned.index_add_(0, ctx.ids.flatten(), gradient.flatten(0, -2).to(learned.dtype)),
            None,
            None,
        )


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float = 0.0, tied: Tied | None = None
) -> Tensor:
    """Mean of -log softmax(hidden weightᵀ) at the targets, as ``F.cross_entropy`` with ``label_smoothing``.

    hidden: [R, W], weight: [V, W], target: [R], not empty. Products are of autocast's type, the softmax of float32.
    tied: where the hidden states came of rows of the same matrix, which its gradient is then left to.
    """
    device = hidden.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    return _LinearCrossEntropy.apply(hidden, weight, target, smoothing, kind, tied)  # type: ignore[no-any-return]


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient is made on the way, where the scores were: softmax minus what was wanted, over the tokens."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        smoothing: float,
        kind: torch.dtype,
        tied: Tied | None,
    ) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            half, table = _filled(hidden, kind), _filled(weight, kind)
            scores = (
                half @ table.T
            )  # what fills up has scores of zero, and so no part in what follows
            rows = ROWS if scores.device.type == "cpu" else len(scores)
            real = scores[: len(target), : len(weight)]
            losses = [
                _to_gradient(part, wanted, smoothing, len(target))
                for part, wanted in zip(real.split(rows), target.split(rows), strict=True)
            ]
            ctx.save_for_backward((scores @ table)[: len(target)], (scores.T @ half)[: len(weight)])
            ctx.kinds, ctx.tied = (hidden.dtype, weight.dtype), tied
            return torch.cat(losses).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        found = tuple(
            part.to(kind) for part, kind in zip(ctx.saved_tensors, ctx.kinds, strict=True)
        )
        if gradient.device.type != "cpu" or gradient != 1:
            found = tuple(part * gradient for part in found)
        if ctx.tied is not None:
            kept = found[1].data_ptr() == ctx.saved_tensors[1].data_ptr()  # for another backward
            ctx.tied.learned = found[1].clone() if kept else found[1]
            return found[0], None, None, None, None, None
        return found[0], found[1], None, None, None, None


def _filled(matrix: Tensor, kind: torch.dtype) -> Tensor:
    """Of another type, with rows of zeros up to a multiple: products of odd sizes are slower by a half."""
    size = -(-len(matrix) // ROUND) * ROUND
    if matrix.dtype == kind or size == len(matrix):
        return matrix.to(kind)
    filled = matrix.new_empty((size, matrix.shape[1]), dtype=kind)
    filled[: len(matrix)] = matrix
    filled[len(matrix) :] = 0
    return filled


def _to_gradient(scores: Tensor, target: Tensor, smoothing: float, tokens: int) -> Tensor:
    """[r] losses; the scores [r, V] become their part of the gradient of the mean over all tokens."""
    x = scores.float()
    wanted = x.gather(1, target[:, None])
    mean = x.mean(1, keepdim=True) if smoothing else wanted
    top = x.amax(1, keepdim=True)
    x = (x - top).exp_()
    total = x.sum(1, keepdim=True)
    loss = top + total.log() - (1 - smoothing) * wanted - smoothing * mean
    x.mul_(1 / (total * tokens))
    if smoothing:
        x.sub_(smoothing / (x.shape[1] * tokens))
    x.scatter_add_(1, target[:, None], torch.full_like(wanted, -(1 - smoothing) / tokens))
    scores.copy_(x)
    return loss[:, 0]
