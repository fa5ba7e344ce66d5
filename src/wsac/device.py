"""Where tensors live."""

from __future__ import annotations

import torch

from .types import RecipeError


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
        raise RecipeError(f"device '{name}' does not work here ({reason}); use cpu or auto") from error
    return name
