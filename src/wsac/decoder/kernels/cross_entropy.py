"""Vocabulary scores and their cross-entropy in one step, which reads them once, not ten times."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .packing import ROUND

ROWS = 32  # tokens at once on a CPU: their scores, in float32, stay in its cache


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float = 0.0
) -> Tensor:
    """``F.cross_entropy(hidden @ weight.T, target, label_smoothing=smoothing)`` in one pass.

    hidden: [R, W], weight: [V, W], target: [R], not empty. Products have autocast's type, the
    softmax float32.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, target, smoothing, dtype)
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    """The forward pass turns the scores into their gradient: softmax minus target, over R."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float, dtype: Any
    ) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            half, table = _padded(hidden, dtype), _padded(weight, dtype)
            scores = half @ table.T  # rows and columns of padding are zero, and add nothing below
            rows = ROWS if scores.device.type == "cpu" else len(scores)
            real = scores[: len(target), : len(weight)]
            parts = zip(real.split(rows), target.split(rows), strict=True)
            losses = [_to_gradient(part, ids, smoothing, len(target)) for part, ids in parts]
            to_hidden, to_weight = (scores @ table)[: len(target)], (scores.T @ half)[: len(weight)]
            ctx.save_for_backward(to_hidden.to(hidden.dtype), to_weight.to(weight.dtype))
            return torch.cat(losses).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        to_hidden, to_weight = ctx.saved_tensors
        if gradient.device.type != "cpu" or gradient != 1:
            to_hidden, to_weight = to_hidden * gradient, to_weight * gradient
        return to_hidden, to_weight, None, None, None


def _padded(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """In another type, with rows of zeros up to a multiple of ROUND: odd sizes are slow."""
    size = -(-len(matrix) // ROUND) * ROUND
    if matrix.dtype == dtype or size == len(matrix):
        return matrix.to(dtype)
    padded = matrix.new_empty((size, matrix.shape[1]), dtype=dtype)
    padded[: len(matrix)] = matrix
    padded[len(matrix) :] = 0
    return padded


def _to_gradient(scores: Tensor, target: Tensor, smoothing: float, tokens: int) -> Tensor:
    """[r] losses; the scores [r, V] become their part of the gradient of the mean."""
    x = scores.float()
    at_target = x.gather(1, target[:, None])
    mean = x.mean(1, keepdim=True) if smoothing else at_target
    top = x.amax(1, keepdim=True)
    x = (x - top).exp_()
    total = x.sum(1, keepdim=True)
    loss = top + total.log() - (1 - smoothing) * at_target - smoothing * mean
    x.mul_(1 / (total * tokens))
    if smoothing:
        x.sub_(smoothing / (x.shape[1] * tokens))
    x.scatter_add_(1, target[:, None], torch.full_like(at_target, -(1 - smoothing) / tokens))
    scores.copy_(x)
    return loss[:, 0]
