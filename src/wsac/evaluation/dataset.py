"""What a captioner says of the recordings of a dataset, as items to be scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsac.data.datasets.layouts import Dataset
from wsac.inference.batch import Row, caption_files
from wsac.types import AudioError

from . import Item


def caption_dataset(
    dataset: Dataset,
    *,
    model: str | Path = "pocket",
    bridge: str | None = None,
    beam: int | None = None,
    gap: str | Path | None = None,
    skip_invalid: bool = False,
    device: str = "auto",
) -> tuple[list[Item], dict[str, int]]:
    """Caption every recording; what the captioner is not sure of counts as said. The second part: what was left out.

    skip_invalid: leave out and count recordings that cannot be decoded. Raises AudioError for them otherwise, and when
    nothing is left.
    """
    paths = [item.audio for item in dataset.items]
    options: dict[str, Any] = {
        "model": model,
        "bridge": bridge,
        "beam": beam,
        "gap": gap,
        "device": device,
    }
    found = {row.file: row for row in caption_files(paths, **options)}
    rows = [found[str(Path(path))] for path in paths]  # two clips may share a file
    failed = [row for row in rows if row.error]
    if failed and (not skip_invalid or len(failed) == len(rows)):
        remedy = (
            "get them again"
            if len(failed) == len(rows)
            else "get them again, or leave them out: --skip-invalid"
        )
        raise AudioError(
            f"{failed[0].error}; {len(failed):,} of {len(rows):,} recordings cannot be captioned; {remedy}"
        )
    items = [
        Item(item.id, _said(row), item.references, item.audio, row.confidence)
        for item, row in zip(dataset.items, rows, strict=True)
        if not row.error
    ]
    return items, {"recordings that cannot be decoded": len(failed)} if failed else {}


def _said(row: Row) -> str:
    return row.caption or row.guess
