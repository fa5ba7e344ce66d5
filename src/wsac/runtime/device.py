"""Where tensors live, and what the processor can."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from wsac.types import RecipeError


def pick_device(name: str) -> str:
    """``"auto"`` is a GPU when there is one, else the CPU. Raises RecipeError for a device that does not work here."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda", "mps", "xpu"):
        raise RecipeError(f"device '{name}': unknown; choose cpu, cuda or auto")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(
            f"device '{name}' does not work here ({reason}); use cpu or auto"
        ) from error
    return name


def has_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 matrices itself; elsewhere that is emulated, and slow."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.device(device).type == "cpu" and bool(
        {"avx512_bf16", "amx_bf16", "bf16"} & processor_flags()
    )


@lru_cache(maxsize=1)
def processor_flags(path: str = "/proc/cpuinfo") -> frozenset[str]:
    """What the processor says that it can; nothing where there is no such file."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(
        next((line.split() for line in lines if line.startswith(("flags", "Features"))), ())
    )
