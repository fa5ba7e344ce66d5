"""Devices, and what the processor supports."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from wsac.types import RecipeError, first_line

if TYPE_CHECKING:
    import torch


def check_device(name: str) -> str:
    """The name. Raises RecipeError if torch has no device of this kind; imports nothing."""
    if name.partition(":")[0] not in ("auto", "cpu", "cuda", "mps", "xpu"):
        raise RecipeError(f"device '{name}': unknown; choose cpu, cuda or auto")
    return name


def pick_device(name: str) -> str:
    """``"auto"``: a GPU when there is one, else the CPU. Raises RecipeError when it does not
    work."""
    from wsac.arrays import WITH_TORCH, need_torch, torch

    from .determinism import prepare_cublas

    if not WITH_TORCH:
        if check_device(name) not in ("auto", "cpu"):
            need_torch(f"device {name}", RecipeError)
        return "cpu"
    if check_device(name) == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        prepare_cublas()
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        what = f"does not work here ({first_line(error)}); use cpu or auto"
        raise RecipeError(f"device '{name}' {what}") from error
    return name


def has_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware; emulation is slow."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return kind == "cpu" and not processor_flags().isdisjoint(("avx512_bf16", "amx_bf16", "bf16"))


@lru_cache(maxsize=1)
def processor_flags(path: str = "/proc/cpuinfo") -> frozenset[str]:
    """The features that the processor reports; none where there is no such file."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    features = (line.split() for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(features, ()))
