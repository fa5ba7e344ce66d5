"""A run on disk: its state in one safetensors file, its log in metrics.jsonl."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsac.io.files import write_tensors, write_text
from wsac.types import ModelError, RecipeError


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, meta: dict[str, Any]
) -> None:
    """Write the weights, the optimizer's moments and ``meta`` as JSON."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    write_tensors(path, tensors, meta={"meta": json.dumps(meta)})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, inputs: str
) -> dict[str, Any]:
    """Restore weights and moments in place and return ``meta``. inputs: digest of the material.

    Raises ModelError if the file does not fit, RecipeError if the material has changed since.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["meta"])
            if meta["inputs"] != inputs:
                raise RecipeError(
                    f"{path.parent}: the captions, sounds or CLAP changed since; give another --out"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        weights: dict[str, Tensor] = {}
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            kind, _, name = key.partition(".")
            if kind == "model":
                weights[name] = value
            else:
                index, _, name = name.partition(".")
                moments.setdefault(int(index), {})[name] = value
        model.load_state_dict(weights)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
    except (SafetensorError, KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: cannot resume from this checkpoint ({reason}); start afresh in another --out"
        ) from error
    return meta


def digest(*parts: str | bytes) -> str:
    """A name for everything a run learns from, so that it is not resumed on other material."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()[:32]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl, without a truncated last line; none if the file is absent."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def append_metrics(path: Path, row: dict[str, Any]) -> None:
    """Add a row; ``row["step"]`` is the step of the measurement."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def cut_metrics(path: Path, step: int) -> None:
    """Drop the rows after ``step``: the resumed run writes them again."""
    if path.is_file():
        rows = [json.dumps(row) + "\n" for row in read_metrics(path) if row["step"] <= step]
        write_text(path, "".join(rows))
