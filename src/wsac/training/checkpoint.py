"""The state of a training run in one safetensors file: replaced in one rename, resumed bit for bit, no pickle."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsac.io.files import write_tensors, write_text
from wsac.types import ModelError, RecipeError


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, meta: dict[str, Any]
) -> None:
    """Write weights, optimizer moments and ``meta`` (JSON: step, best loss, …)."""
    tensors: dict[str, Tensor] = {
        f"model.{name}": value for name, value in model.state_dict().items()
    }
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    write_tensors(path, tensors, meta={"meta": json.dumps(meta)})


def digest(*parts: str | bytes) -> str:
    """A name for everything that a run learns from, so that it is not resumed on other material."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()[:32]


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, inputs: str
) -> dict[str, Any]:
    """Restore weights and optimizer in place and return ``meta``, in which ``inputs`` is the digest of the material.

    Raises ModelError when the file does not fit, and RecipeError when the material has changed since it was written.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["meta"])
            if meta["inputs"] != inputs:
                raise RecipeError(
                    f"{path.parent}: the captions, sounds or CLAP changed since; give another --out"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        model.load_state_dict(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict(
            {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
        )
    except (SafetensorError, KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: cannot resume from this checkpoint ({reason}); start afresh in another --out"
        ) from error
    return meta


def check_loss(loss: float, step: int) -> float:
    """The loss itself. Raises ModelError when it is not finite: nothing that follows could be trusted."""
    if not math.isfinite(loss):
        raise ModelError(
            f"step {step}: the loss is {loss}; lower the learning rate or the noise, in another --out"
        )
    return loss


def learning_rate(step: int, total: int, *, peak: float, warmup: int, schedule: str) -> float:
    """The rate at a step, counted from 0: linear warm-up to the peak, then cosine or linear to 0, or constant."""
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    done = (step - warmup) / max(1, total - warmup)
    return peak * (0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1 - done)


def append_metrics(path: Path, row: dict[str, Any]) -> None:
    """Add a line of JSON; ``row["step"]`` says when."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def cut_metrics(path: Path, step: int) -> None:
    """Drop the rows after a checkpoint: the resumed run will write them again."""
    if path.is_file():
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")
        ]
        write_text(path, "".join(line + "\n" for line in lines if json.loads(line)["step"] <= step))
