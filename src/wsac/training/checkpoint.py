"""A run on disk: its state in one safetensors file, its log in metrics.jsonl."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsac.io.json_text import to_json
from wsac.io.tensors import check, write_tensors
from wsac.types import ModelError, RecipeError, first_line


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, meta: dict[str, Any]
) -> None:
    """Write the weights, the optimizer's moments and ``meta`` as JSON."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    write_tensors(path, tensors, meta={"meta": to_json(meta)})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, recipe: str, inputs: str
) -> dict[str, Any]:
    """Restore weights and moments in place and return ``meta``.

    recipe, inputs: digests of the recipe and of the material. Raises ModelError if the file is
    damaged or does not fit, RecipeError if the recipe or the material has changed since.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["meta"])
            if not check(path):
                raise ValueError("of an older wsac, without a checksum")
            if meta["recipe"] != recipe:
                raise RecipeError(f"{path}: a run of another recipe; give another --out")
            if meta["inputs"] != inputs:
                what = "the captions, sounds or CLAP changed since; give another --out"
                raise RecipeError(f"{path.parent}: {what}")
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
    except (
        *(SafetensorError, LookupError, RuntimeError, ValueError, TypeError),
        *(AttributeError, OSError),
    ) as error:
        what = f"cannot resume from this checkpoint ({first_line(error)})"
        raise ModelError(f"{path}: {what}; use another --out") from error
    return meta


def digest(*parts: str | bytes) -> str:
    """A name for everything a run learns from, so that it is not resumed on other material."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()[:32]


def append_metrics(path: Path, row: dict[str, Any]) -> None:
    """Add a row; ``row["step"]`` is the step of the measurement."""
    with path.open("a", encoding="utf-8") as file:
        file.write(to_json(row) + "\n")
