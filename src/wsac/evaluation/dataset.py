"""A captioner's captions of the recordings of a dataset, as items to be scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsac.data.datasets.layouts import Dataset
from wsac.inference.batch import caption_files
from wsac.types import AudioError

from . import Item


def caption_dataset(
    dataset: Dataset, *, skip_invalid: bool = False, **options: Any
) -> tuple[list[Item], dict[str, int]]:
    """Caption every recording, uncertain captions included. Returns items, and what was left out.

    skip_invalid: leave out and count recordings that cannot be decoded. options: as for
    ``caption_files``. Raises AudioError when a recording cannot be decoded, or nothing is left.
    """
    paths = [item.audio for item in dataset.items]
    by_file = {result.file: result for result in caption_files(paths, **options)}
    results = [by_file[str(Path(path))] for path in paths]  # two clips may share a file
    failed = [result for result in results if isinstance(result, AudioError)]
    if failed and (not skip_invalid or len(failed) == len(results)):
        remedy = "get them again"
        if len(failed) < len(results):
            remedy += ", or leave them out: --skip-invalid"
        counts = f"{len(failed):,} of {len(results):,} recordings cannot be captioned"
        raise AudioError(f"{failed[0]}; {counts}; {remedy}")
    items = [
        Item(item.id, c.text or c.guess, item.references, item.audio, c.confidence)
        for item, c in zip(dataset.items, results, strict=True)
        if not isinstance(c, AudioError)
    ]
    return items, {"recordings that cannot be decoded": len(failed)} if failed else {}
