"""A decoder that multiplies in bfloat16 while it writes, made from the trained one."""

from __future__ import annotations

from typing import Any

from wsac.arrays import WITH_TORCH, need_torch
from wsac.runtime.device import has_bfloat16
from wsac.types import RecipeError

PRECISIONS = ("auto", "float32", "bfloat16")


def check_precision(name: str) -> None:
    """Raises RecipeError for an unknown precision."""
    if name not in PRECISIONS:
        raise RecipeError(f"precision '{name}': choose from {', '.join(PRECISIONS)}")


def prepare(decoder: Any, precision: str = "float32") -> Any:
    """The decoder (``DecoderRuntime``) in another precision: float32 (itself), bfloat16, or auto.

    auto is bfloat16 on devices that compute in it, else float32. Linear layers are replaced in a
    copy, which shares all other weights. Raises RecipeError for an unknown precision.
    """
    check_precision(precision)
    if precision == "auto":
        fast = WITH_TORCH and has_bfloat16(decoder.device)
        precision = "bfloat16" if fast else "float32"
    if precision == "float32":
        return decoder
    need_torch(f"precision {precision}", RecipeError)
    from wsac.decoder.kernels.bfloat16 import in_bfloat16

    return in_bfloat16(decoder)
