"""Text embeddings on disk: computed once, memory-mapped after, readable with NumPy alone.

A cache entry is ``<folder>/<key>.npy``, named by a hash of the CLAP's fingerprint and of all texts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsac.io.console import progress, say
from wsac.io.files import atomic_path
from wsac.runtime.process import return_freed_memory
from wsac.types import WsacError

from .encoder import ClapEncoder

AT_ONCE = 4096  # captions embedded between two steps of the progress bar; equal lengths batch well


def cache_folder() -> Path:
    """``$WSAC_CACHE``, else ``wsac`` in the user's cache folder."""
    if folder := os.environ.get("WSAC_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsac"


def load_or_make(
    key: str, texts: Sequence[str], make: Callable[[], Tensor], folder: Path | None = None
) -> Tensor:
    """The tensor ``[N, D]`` for (key, texts): memory-mapped from the cache, or made and stored."""
    path = _entry(key, texts, folder)
    if (stored := _mapped(path)) is not None:
        return stored
    tensor = make()
    try:
        with atomic_path(path) as temporary:
            np.save(temporary, tensor.numpy(), allow_pickle=False)
    except WsacError as error:
        _without_cache(error)
    return tensor


def embed_texts(clap: ClapEncoder, captions: Sequence[str], *, half: bool = False) -> Tensor:
    """Unit-norm text embeddings ``[N, D]``, memory-mapped from the cache, where they are made once.

    They are written as they are made, so none stays in memory. half: float16, for many captions
    that are read in parts; unit norm only after ``.float()`` and normalising.
    """
    dtype = np.dtype(np.float16 if half else np.float32)
    path = _entry(f"{clap.fingerprint}/float16" if half else clap.fingerprint, captions)
    if (stored := _mapped(path)) is not None:
        return stored

    def parts() -> Iterator[np.ndarray]:
        with progress("text embeddings", len(captions), unit="captions") as tick:
            for start in range(0, len(captions), AT_ONCE):
                part = clap.embed_text(captions[start : start + AT_ONCE]).numpy()
                yield part.astype(dtype, copy=False)
                return_freed_memory()  # every length leaves holes that fit no other
                tick(len(part))

    shape = (len(captions), clap.embed_dim)
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts():
                part.tofile(file)
        if (stored := _mapped(path)) is not None:
            return stored
    except WsacError as error:
        if not isinstance(error.__cause__, OSError):  # an error of the CLAP, not of the disk
            raise
        _without_cache(error)
    return torch.from_numpy(np.concatenate([*parts(), np.empty((0, clap.embed_dim), dtype)]))


def _entry(key: str, texts: Sequence[str], folder: Path | None = None) -> Path:
    digest = hashlib.sha256(key.encode())
    for text in texts:
        digest.update(b"\0" + text.encode(errors="surrogatepass"))
    return (folder or cache_folder()) / f"{digest.hexdigest()[:32]}.npy"


def _mapped(path: Path) -> Tensor | None:
    with suppress(OSError, ValueError, EOFError):  # a missing or cut file is made again
        # Copy-on-write, since tensors want a writable array.
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    return None


def _without_cache(error: WsacError) -> None:
    say(f"{error}; continuing without a cache; set WSAC_CACHE to another folder")
