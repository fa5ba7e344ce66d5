"""Scores over a vocabulary and their cross-entropy in one step: they are gone through once and not ten times."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .packing import ROUND

ROWS = 32  # tokens at once on a CPU: their scores, in float32, stay in its cache


def linear_cross_entropy(hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean of -log softmax(hidden weightᵀ) at the targets, as ``F.cross_entropy`` with ``label_smoothing``.

    hidden: [R, W], weight: [V, W], target: [R], not empty. Products are of autocast's type, the softmax of float32.
    """
    device = hidden.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    return _LinearCrossEntropy.apply(hidden, weight, target, smoothing, kind)  # type: ignore[no-any-return]


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient is made on the way, where the scores were: softmax minus what was wanted, over the tokens."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float, kind: torch.dtype
    ) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            half, table = F.pad(hidden.to(kind), (0, 0, 0, -len(hidden) % ROUND)), weight.to(kind)
            scores = half @ table.T  # what fills it up has scores of zero, and so no part in what follows
            rows = ROWS if scores.device.type == "cpu" else len(scores)
            losses = [
                _to_gradient(part, wanted, smoothing, len(target))
                for part, wanted in zip(scores[: len(target)].split(rows), target.split(rows), strict=True)
            ]
            ctx.save_for_backward((scores @ table)[: len(target)], scores.T @ half)
            ctx.kinds = hidden.dtype, weight.dtype
            return torch.cat(losses).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore[override]
        found = tuple(part.to(kind) for part, kind in zip(ctx.saved_tensors, ctx.kinds, strict=True))
        if gradient.device.type != "cpu" or gradient != 1:
            found = tuple(part * gradient for part in found)
        return found[0], found[1], None, None, None


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
