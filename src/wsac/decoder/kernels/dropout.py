"""Dropout by sixteen random bits per value, several times faster than ``F.dropout`` on a CPU."""

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
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    levels = drawn.view(torch.int16)[: x.numel()].view(x.shape)
    remains = levels >= dropped - LEVELS // 2
    return x * remains.to(x.dtype).mul_(LEVELS / (LEVELS - dropped))
