"""A decoder for writing, made from the one that was trained: bfloat16 or int8 matrices, compiled steps."""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.decoder import CaptionDecoder, TransformerDecoder
from wsac.decoder.kernels.topk import likeliest
from wsac.io.console import say
from wsac.runtime.device import has_bfloat16, processor_flags
from wsac.types import RecipeError

X86 = platform.machine().lower() in ("x86_64", "amd64")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
# What runs once a caption, or decides between tokens, stays in float32: rounding of the map from the embedding causes
# half of the differences in tokens, and scores rounded to bfloat16 make ties.
EXACT = ("prefix", "mapper", "lm_head")
LARGE = (
    16_384  # entries of a vocabulary from which on scores are rough, but for those of the likeliest
)
EXACT_SCORES = 16
AT_ONCE = (
    8192  # of its entries whose rough scores are made at once: these stay in the processor's cache
)


def check_precision(name: str) -> None:
    if name not in PRECISIONS:
        raise RecipeError(f"precision '{name}': choose of {', '.join(PRECISIONS)}")


def prepare(
    decoder: CaptionDecoder, precision: str = "float32", compiled: bool = False
) -> CaptionDecoder:
    """The decoder in another precision; itself for float32. Its linear layers are replaced in a copy, which shares all
    other weights. auto: bfloat16 where the device computes in it, else float32.

    Raises RecipeError for an unknown precision, or where int8 does not work.
    """
    check_precision(precision)
    device = next(decoder.parameters()).device
    if precision == "auto":
        precision = "bfloat16" if has_bfloat16(device) else "float32"
    if precision == "bfloat16":
        exact, decoder = decoder, _replaced(decoder, Bfloat16Linear)
        if isinstance(exact, TransformerDecoder) and exact.vocab_size >= LARGE:
            decoder._modules["scores"] = RoughScores(exact.tokens.weight.detach())
    elif precision == "int8":
        if device.type != "cpu":
            raise RecipeError(
                f"precision int8 is for the processor, not for {device}; take bfloat16 or --device cpu"
            )
        try:
            decoder = _replaced(decoder, Int8Linear)
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            raise RecipeError(
                "precision int8 does not work on this processor; take float32 or auto"
            ) from error
    return _compiled(decoder) if compiled else decoder


class Bfloat16Linear(nn.Module):
    """A linear layer whose matrix and input are rounded to bfloat16; what it gives is of the input's type.

    On a processor the matrix lies as oneDNN reads it; else every product would bring it into that order anew.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        whole = weight.to(torch.bfloat16).contiguous()
        self.bias = None if bias is None else bias.to(torch.bfloat16)
        self.packed = (
            whole.device.type == "cpu" and X86 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
        self.matrix = torch.ops.mkldnn._reorder_linear_weight(whole, None) if self.packed else whole

    def forward(self, x: Tensor) -> Tensor:
        half = x.to(torch.bfloat16)
        if self.packed:
            y = torch.ops.mkldnn._linear_pointwise(half, self.matrix, self.bias, "none", [], "")
        else:
            y = F.linear(half, self.matrix, self.bias)
        return y.to(x.dtype)

    def inputs(self, rows: Tensor) -> Tensor:
        """What ``product`` takes, of rows [R, W]."""
        return rows.to(torch.bfloat16)

    def product(self, inputs: Tensor, out: Tensor) -> None:
        """Write the outputs [R, ·] to ``out``."""
        out.copy_(self(inputs))


class RoughScores(nn.Module):
    """Scores over a large vocabulary: roughly first, those of the likeliest then in float32.

    Rough scores alone would make ties and mistakes; as it is, the choice is between exact scores, and only the sum over
    the rest of the vocabulary is off, by the mean of many small errors. They are of int8 where the processor multiplies
    it fast (VNNI), else of bfloat16.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        fast = weight.device.type == "cpu" and {"avx512_vnni", "avx_vnni"} & processor_flags()
        parts = weight.split(AT_ONCE if weight.device.type == "cpu" else len(weight))
        try:
            self.rough = nn.ModuleList(
                (Int8Linear if fast else Bfloat16Linear)(part, None) for part in parts
            )
        except (RuntimeError, AttributeError, NotImplementedError):
            self.rough = nn.ModuleList(Bfloat16Linear(part, None) for part in parts)

    def forward(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """hidden: [R, W], weight: [V, W], float32. Returns [R, V]."""
        scores = hidden.new_empty(len(hidden), len(weight))
        places = scores.split(len(weight) if len(self.rough) == 1 else AT_ONCE, dim=1)
        parts: Any = self.rough
        inputs = parts[0].inputs(hidden)  # the same for all
        for part, place in zip(parts, places, strict=True):
            part.product(inputs, place)
        _, best = likeliest(scores, EXACT_SCORES)
        return scores.scatter_(1, best, torch.bmm(weight[best], hidden[:, :, None])[:, :, 0])


class Int8Linear(nn.Module):
    """A linear layer with int8 weights, one scale an output, and inputs quantised row by row while it runs.

    x = low + scale · q with the row's own low and scale, so a row gives the same alone and in any batch. Processors
    without VNNI add pairs of products in 16 bits; there q takes 7 bits, so that this cannot overflow.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        if not X86:
            raise NotImplementedError("int8 matrices of oneDNN are for x86")
        self.scale, self.bias = (weight.abs().amax(dim=1) / 127).clamp_min(1e-12), bias
        whole = (
            (weight / self.scale[:, None]).round().to(torch.int8).contiguous()
        )  # oneDNN reads it so
        self.sums = whole.sum(dim=1) * self.scale  # of each output's weights
        self.zeros = torch.zeros(len(weight), dtype=torch.long)
        self.packed = torch.ops.onednn.qlinear_prepack(whole, None)
        self.most = 255 if {"avx512_vnni", "avx_vnni"} & processor_flags() else 127

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -2)
        y = rows.new_empty(len(rows), len(self.sums))
        self.product(self.inputs(rows), y)
        return (y if self.bias is None else y.add_(self.bias)).view(*x.shape[:-1], -1)

    def inputs(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, scale and low of rows [R, W]."""
        low, high = rows.aminmax(dim=1, keepdim=True)
        scale = ((high - low) / self.most).clamp_min(1e-12)
        return ((rows - low) / scale).round_().to(torch.uint8), scale, low

    def product(self, inputs: tuple[Tensor, Tensor, Tensor], out: Tensor) -> None:
        """Write the outputs [R, ·], without the bias, to ``out``."""
        whole, scale, low = inputs
        y = torch.ops.onednn.qlinear_pointwise(
            whole,
            1.0,
            0,
            self.packed,
            self.scale,
            self.zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        torch.addcmul(low * self.sums, y, scale, out=out)


def _replaced(
    decoder: CaptionDecoder, kind: Callable[[Tensor, Tensor | None], nn.Module]
) -> CaptionDecoder:
    """A copy with every float32 linear layer replaced, also those that transformers' GPT-2 writes as Conv1D."""

    def visit(module: nn.Module) -> nn.Module:
        linear, transposed = type(module) is nn.Linear, type(module).__name__ == "Conv1D"
        given: dict[str, Tensor] = {
            name: value.detach() for name, value in module.named_parameters(recurse=False)
        }
        if (linear or transposed) and given["weight"].dtype == torch.float32:
            return kind(given["weight"].T if transposed else given["weight"], given.get("bias"))
        other = copy.copy(module)
        other._modules = {  # type: ignore[assignment]
            name: child if child is None or name in EXACT else visit(child)
            for name, child in module._modules.items()
        }
        return other

    return visit(decoder)  # type: ignore[return-value]


def _compiled(decoder: CaptionDecoder) -> CaptionDecoder:
    """A copy whose step is compiled when it first runs; where that fails, one line says so, and it runs as it is."""
    other = copy.copy(decoder)
    other.step = _Compiled(decoder.step)  # type: ignore[method-assign]
    return other


class _Compiled:
    def __init__(self, plain: Callable[[Tensor, Any], tuple[Tensor, Any]]) -> None:
        self.plain, self.fast = plain, torch.compile(plain, dynamic=True)

    def __call__(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        try:
            return self.fast(token, state)
        except Exception as error:  # of the compiler; one of the step itself comes again below
            if self.fast is self.plain:
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            say(f"note: not compiled, as no compiler works here ({reason})")
            self.fast = self.plain
            return self.plain(token, state)
