"""Safetensors with a checksum of their own: written in parts, checked when they are read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wsac.types import ModelError

from .files import atomic_path

if TYPE_CHECKING:
    from torch import Tensor, dtype

DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
BLANK = "0" * 64  # in the place of the checksum while it is computed
MARKS = (b'"written_by":"wsac"', b'"checksum":"')  # either says that there must be a checksum
LONGEST_HEADER = 100 << 20  # bytes; the limit of the safetensors library


def write_tensors(
    target: str | Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str] | None = None
) -> None:
    """Write safetensors, whole or not at all; tensors may be views or lie on any device."""
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # aligned
    entries = {name: (tensors[name].dtype, tuple(tensors[name].shape)) for name in order}
    _write(target, entries, (tensors[name] for name in order), meta or {})


def write_tensor(
    target: str | Path, name: str, parts: Iterable[Tensor], shape: tuple[int, ...], kind: dtype
) -> None:
    """Write one tensor as safetensors, whole or not at all, from parts: it is never in memory.

    kind: float32, float16 or int8.
    """
    _write(target, {name: (kind, shape)}, (part.to(kind) for part in parts), {})


def _write(
    target: str | Path,
    entries: Mapping[str, tuple[dtype, tuple[int, ...]]],
    parts: Iterable[Tensor],
    meta: Mapping[str, str],
) -> None:
    from wsac.arrays import torch

    header: dict[str, Any] = {"__metadata__": {"written_by": "wsac", "checksum": BLANK, **meta}}
    end = 0
    for name, (kind, shape) in entries.items():
        begin, end = end, end + math.prod(shape) * kind.itemsize
        label = DTYPES[str(kind).removeprefix("torch.")]
        header[name] = {"dtype": label, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    total = hashlib.sha256(text)
    with atomic_path(target) as path, path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for part in parts:
            data = part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            total.update(data.data)
            file.write(data.data)
        file.seek(8)
        file.write(text.replace(BLANK.encode(), total.hexdigest().encode(), 1))


def read_tensors(
    path: str | Path, checksum: str | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file, mapped into memory, after ``check``.

    Raises ModelError for a damaged file, OSError or SafetensorError for one that is none.
    """
    from safetensors import safe_open

    from wsac.arrays import WITH_TORCH, torch

    with safe_open(path, framework="pt" if WITH_TORCH else "np") as file:
        tensors = {name: torch.as_tensor(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        meta = file.metadata() or {}
    check(path, checksum)  # after the mapping: a file that was replaced meanwhile does not pass
    check_finite(tensors, path)
    return tensors, meta


def check_finite(tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Raises ModelError for NaN and infinite values. 0.25 s a gigabyte on one thread.

    They come from a training that failed, and from damage that no checksum tells.
    """
    for name, value in tensors.items():
        # not isfinite, which takes 15 times as long; both ends are NaN where any value is
        if value.is_floating_point() and value.numel() and value.element_size() > 1:
            low, high = value.detach().aminmax()
            if not (low.isfinite() and high.isfinite()):
                what = f"tensor '{name}' holds NaN or infinite values"
                raise ModelError(f"{source}: {what}; get it again, or train it again")


def check(path: str | Path, checksum: str | None = None) -> str:
    """The checksum of a file, "" for one that has none, as others write them.

    checksum: the one that the file must have. Raises ModelError if it is damaged, or another file.
    """
    with Path(path).open("rb") as file:
        text = _header(file)
        stored = ""
        if any(mark in text for mark in MARKS):
            stored = text.partition(MARKS[1])[2][:64].decode(errors="replace")
            total = hashlib.sha256(text.replace(stored.encode(errors="replace"), BLANK.encode(), 1))
            while block := file.read(1 << 20):
                total.update(block)
            if stored != total.hexdigest():
                raise ModelError(f"{path}: damaged (its checksum differs); get or make it again")
    if checksum is not None and stored != checksum:
        raise ModelError(f"{path}: not the file that was saved with the others; save them again")
    return stored


def checksum_of(path: Path) -> str:
    """What identifies a file: the checksum written in safetensors, else the SHA-256 of it."""
    with path.open("rb") as file:
        if path.suffix == ".safetensors":
            return _header(file).partition(MARKS[1])[2][:64].decode(errors="replace")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _header(file: IO[bytes]) -> bytes:
    size = int.from_bytes(file.read(8), "little")
    return file.read(size) if size <= LONGEST_HEADER else b""
