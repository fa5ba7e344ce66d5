"""The state of a training run in one safetensors file: replaced in one rename, resumed bit for bit, no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .files import atomic_path
from .types import ModelError


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, meta: dict[str, Any]) -> None:
    """Write weights, optimizer moments and ``meta`` (JSON: step, best loss, …)."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    owned = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}  # no shared storage
    with atomic_path(path) as temporary:
        save_file(owned, temporary, metadata={"meta": json.dumps(meta)})


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore weights and optimizer in place and return ``meta``. Raises ModelError when the file does not fit."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["meta"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    except (SafetensorError, KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: cannot resume from this checkpoint ({reason}); start afresh in another --out"
        ) from error
    return meta


def learning_rate(step: int, total: int, *, peak: float, warmup: int, schedule: str) -> float:
    """The rate at a step, counted from 0: linear warm-up to the peak, then cosine or linear to 0, or constant."""
    import math

    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    done = (step - warmup) / max(1, total - warmup)
    return peak * (0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1 - done)
