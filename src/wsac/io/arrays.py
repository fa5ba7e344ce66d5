"""Arrays as .npy with a checksum behind them: NumPy reads them, wsac trusts only undamaged ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from .files import atomic_path

MARK = b"wsac sha256 "  # before the checksum of the name and all bytes, at the end of the file


def write_array(
    target: Path, parts: Iterable[np.ndarray], shape: tuple[int, ...], dtype: np.dtype, key: str
) -> None:
    """Write an array, whole or not at all, from parts: it is never in memory.

    key: what the array is of; it is read with the same key only.
    """
    total = hashlib.sha256(key.encode(errors="surrogatepass"))
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    with atomic_path(target) as path, path.open("w+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        size = file.tell()
        file.seek(0)
        total.update(file.read(size))
        for part in parts:
            data = np.ascontiguousarray(part, dtype)
            total.update(data.data)
            file.write(data.data)
        file.seek(0, 2)
        file.write(MARK + total.digest())


def map_array(path: Path, key: str) -> np.ndarray | None:
    """The array of this key, mapped copy-on-write; None if it is missing, another or damaged."""
    with suppress(OSError):
        total = hashlib.sha256(key.encode(errors="surrogatepass"))
        left = path.stat().st_size - len(MARK) - total.digest_size
        with path.open("rb") as file:
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                total.update(block)
                left -= len(block)
            if file.read() == MARK + total.digest():
                return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    return None
