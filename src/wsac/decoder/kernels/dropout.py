"""Dropout whose random numbers cost a quarter: sixteen bits decide of a value, not a whole number drawn for it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 1 << 16


def drop(x: Tensor, share: float, training: bool) -> Tensor:
    """As ``F.dropout``, from torch's generator; on a CPU the share is rounded to 1 / 65,536."""
    if x.device.type != "cpu":
        return F.dropout(x, share, training)
    dropped = round(share * LEVELS)
    if not training or not dropped:
        return x
    drawn = (
        torch.empty(-(-x.numel() // 4), dtype=torch.int64)
        .random_(-(1 << 63), None)
        .view(torch.int16)
    )
    kept = drawn[: x.numel()].view(x.shape) >= dropped - LEVELS // 2
    return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - dropped))
