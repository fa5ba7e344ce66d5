"""Linear layers that multiply in bfloat16."""

from __future__ import annotations

import copy
import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# These run once a caption, or decide between tokens, and stay in float32: rounding the map from the
# embedding causes half of the differences in tokens, and scores rounded to bfloat16 make ties.
EXACT = ("prefix", "mapper", "lm_head")


def packs_weights() -> bool:
    """Whether oneDNN can store bfloat16 matrices in its own order; by private torch functions."""
    try:
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        return x86 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    except (AttributeError, RuntimeError):
        return False


class Bfloat16Linear(nn.Module):
    """A linear layer with matrix and input rounded to bfloat16; the output has the input's type.

    packed: store the matrix as oneDNN reads it; otherwise every product converts it again. The
    products are the same.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, packed: bool | None = None) -> None:
        super().__init__()
        self.matrix = weight.to(torch.bfloat16).contiguous()
        self.bias = None if bias is None else bias.to(torch.bfloat16)
        self.packed = weight.device.type == "cpu" and packs_weights() if packed is None else packed
        if self.packed:
            self.matrix = torch.ops.mkldnn._reorder_linear_weight(self.matrix, None)

    def forward(self, x: Tensor) -> Tensor:
        half = x.to(torch.bfloat16)
        if self.packed:
            linear = torch.ops.mkldnn._linear_pointwise
            return linear(half, self.matrix, self.bias, "none", [], "").to(x.dtype)
        return F.linear(half, self.matrix, self.bias).to(x.dtype)


def in_bfloat16(module: nn.Module) -> nn.Module:
    """A copy with all float32 linear layers replaced, also GPT-2's transposed Conv1D."""
    transposed = type(module).__name__ == "Conv1D"
    if type(module) is nn.Linear or transposed:
        weights = {name: value.detach() for name, value in module.named_parameters(recurse=False)}
        if weights["weight"].dtype != torch.float32:
            return copy.copy(module)
        weight = weights["weight"].T if transposed else weights["weight"]
        return Bfloat16Linear(weight, weights.get("bias"))
    other = copy.copy(module)
    other._modules = dict(module._modules)
    for name, child in module._modules.items():
        if child is not None and name not in EXACT:
            other._modules[name] = in_bfloat16(child)
    return other
