"""A captioner's folder on disk."""

from __future__ import annotations

import json
from pathlib import Path


def unfinished(folder: Path) -> str:
    """Where a run stopped before its end, such as ``step 200 of 800``; "" of any other folder."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
            meta = json.loads(file.metadata()["meta"])
            return "" if meta["over"] else f"step {meta['step']:,} of {meta['total']:,}"
    except (
        OSError,
        SafetensorError,
        TypeError,
        KeyError,
        ValueError,
    ):  # no run, or one that does not say
        return ""
