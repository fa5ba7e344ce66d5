"""What an update of the weights is made of: the optimiser, the precision, and the moving average."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from wsac.runtime.device import has_bfloat16


def adamw(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW over what is to be trained: one pass over the weights. Biases and norms do not decay."""
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    """For the forward pass. precision: float32, bfloat16, or auto: bfloat16 where the processor computes in it."""
    if precision == "float32" or (precision == "auto" and not has_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.partition(":")[0], torch.bfloat16)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """average ← decay · average + (1 − decay) · model, weights and running statistics.

    step: updates before this one; the decay is at most (1 + step) / (10 + step), so that what was there before the
    training is soon forgotten.
    """
    pairs = list(zip(average.state_dict().values(), model.state_dict().values(), strict=True))
    ours, theirs = (
        [pair[side] for pair in pairs if pair[0].is_floating_point()] for side in (0, 1)
    )
    torch._foreach_lerp_(ours, theirs, 1 - min(decay, (1 + step) / (10 + step)))
