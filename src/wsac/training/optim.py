"""Updates of the weights: optimiser, learning rate, precision, moving average."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from wsac.runtime.device import has_bfloat16


def adamw(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW over the trainable weights. Biases and norms do not decay."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in trainable if p.ndim > 1], [p for p in trainable if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)


def learning_rate(step: int, total: int, *, peak: float, warmup: int, schedule: str) -> float:
    """The rate at a step, counted from 0: linear warm-up, then cosine or linear to 0, or
    constant.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    done = (step - warmup) / max(1, total - warmup)
    return peak * (0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1 - done)


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    """For the forward pass. precision: float32, bfloat16, or auto: bfloat16 where hardware has
    it.
    """
    if precision == "float32" or (precision == "auto" and not has_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.partition(":")[0], torch.bfloat16)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """average ← decay · average + (1 − decay) · model, weights and running statistics.

    step: updates before this one. The decay is at most (1 + step) / (10 + step), which soon
    forgets the initial weights.
    """
    targets, sources = [], []
    states = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
    for target, source in states:
        if target.is_floating_point():
            targets.append(target)
            sources.append(source)
    torch._foreach_lerp_(targets, sources, 1 - min(decay, (1 + step) / (10 + step)))
