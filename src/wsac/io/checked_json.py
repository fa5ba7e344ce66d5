"""JSON with a checksum of itself and of the files beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsac.types import ModelError

from .files import atomic_update, read_json, write_json
from .json_text import to_json
from .tensors import checksum_of

FILES, CHECKSUM, FREE = "checksums", "checksum", "unchecked"
UNSEEN = ("dropout", "quietest")  # sizes that no graph knows


def write_record(
    target: Path,
    value: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
    free: Iterable[str] = (),
) -> None:
    """Write JSON with its own checksum, and those of files beside it by their names.

    free: keys that may be changed by hand, such as ``decoder.model``.
    """
    write_json(target, with_checksum(value, files, free))


def add_files(card: Path, write: Callable[[Path], object]) -> None:
    """Add files to those beside a record, all or none. write: into an empty folder.

    Raises ModelError for a damaged record.
    """

    def write_card(part: Path) -> None:
        record = read_record(card)
        sums = {path.name: checksum_of(path) for path in sorted(part.iterdir())}
        write_record(part / card.name, record, record[FILES] | sums, record[FREE])

    with atomic_update(card.parent, last=write_card) as part:
        write(part)


def with_checksum(
    value: Mapping[str, Any], files: Mapping[str, str] | None = None, free: Iterable[str] = ()
) -> dict[str, Any]:
    """What ``write_record`` writes."""
    record = {**value, FILES: dict(files or {}), FREE: list(free)}
    record.pop(CHECKSUM, None)
    return record | {CHECKSUM: _checksum(record)}


def read_record(path: Path) -> dict[str, Any]:
    """Read what ``write_record`` wrote. Raises ModelError if it is no such file, or damaged."""
    record = read_json(path)
    if not isinstance(record, dict) or not {FILES, CHECKSUM} <= record.keys():
        raise ModelError(f"{path}: not as wsac wrote it; make it again")
    check_record(path, record)
    return record


def check_record(path: Path, record: Mapping[str, Any]) -> None:
    """Raise ModelError if a record does not have its checksum; one of an older wsac has none."""
    if not {FILES, CHECKSUM} & record.keys():
        return
    try:
        checksum = _checksum(record)
    except (AttributeError, TypeError, ValueError):  # damage in the list of free keys itself
        checksum = ""
    if record.get(CHECKSUM) != checksum or not isinstance(record.get(FILES), dict):
        remedy = f'restore it, or, if you changed it, delete "{FILES}" and "{CHECKSUM}" in it'
        raise ModelError(f"{path}: damaged or changed by hand; {remedy}")


def check_file(path: Path, record: Mapping[str, Any]) -> None:
    """Raise ModelError if a file beside a record, no safetensors, is not the one saved with it."""
    if FILES in record and record[FILES].get(path.name) != checksum_of(path):
        what = "damaged, or not the file that was saved with the others"
        raise ModelError(f"{path}: {what}; get or make the model again")


def _checksum(record: Mapping[str, Any]) -> str:
    values = json.loads(to_json(record))
    for key in (CHECKSUM, *values.get(FREE, ())):
        *above, name = key.split(".")
        table = values
        for part in above:
            table = table.get(part, {})
        table.pop(name, None)
    return hashlib.sha256(to_json(values, sort_keys=True).encode()).hexdigest()


def copy_graphs(
    names: Sequence[str], card: Path, key: str, sizes: Mapping[str, Any], folder: Path
) -> None:
    """Graphs without weights depend on sizes alone: take those beside ``card`` if it has the same.

    key: where the card has its sizes; "" for the card itself. Where they differ, nothing is copied.
    """
    if not card.is_file():
        return
    built_in = read_json(card)
    wanted = {name: value for name, value in sizes.items() if name not in UNSEEN}
    if json.loads(json.dumps(wanted)).items() <= (built_in[key] if key else built_in).items():
        for name in names:
            shutil.copyfile(card.with_name(name), folder / name)
