"""Text embeddings on disk: computed once, memory-mapped after, readable with NumPy alone.

A cache entry is ``<folder>/<key>.npy``, named by a hash of the CLAP's fingerprint and of all texts.
Behind the array lies a checksum (``wsac.io.arrays``): a damaged entry is made again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from wsac.arrays import Tensor, torch
from wsac.io.arrays import map_array, write_array
from wsac.io.console import progress, say
from wsac.io.locks import sweep
from wsac.runtime.process import return_freed_memory
from wsac.types import WsacError

from .encoder import ClapEncoder

AT_ONCE = 4096  # captions embedded between two steps of the progress bar; equal lengths batch well


class CacheError(WsacError):
    """There is no place for a cache."""


def cache_folder() -> Path:
    """``$WSAC_CACHE``, else ``wsac`` in the user's cache folder.

    Raises CacheError where the user has no home folder.
    """
    if folder := os.environ.get("WSAC_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "wsac"
    try:
        return Path.home() / ".cache" / "wsac"
    except RuntimeError as error:
        raise CacheError("this user has no home folder") from error


def load_or_make(
    key: str, texts: Sequence[str], make: Callable[[], Tensor], folder: Path | None = None
) -> Tensor:
    """The tensor ``[N, D]`` for (key, texts): memory-mapped from the cache, or made and stored."""
    with or_without_cache():
        path = _entry(key, texts, folder)
        if (stored := _mapped(path)) is not None:
            return stored
    tensor = make()
    array = tensor.numpy()
    with or_without_cache():
        path = _entry(key, texts, folder)
        write_array(path, [array], array.shape, array.dtype, path.stem)
    return tensor


def embed_texts(clap: ClapEncoder, captions: Sequence[str], *, half: bool = False) -> Tensor:
    """Unit-norm text embeddings ``[N, D]``, memory-mapped from the cache, where they are made once.

    They are written as they are made, so none stays in memory. half: float16, for many captions
    that are read in parts; unit norm only after ``.float()`` and normalising.
    """
    dtype = np.dtype(np.float16 if half else np.float32)
    shape = (len(captions), clap.embed_dim)

    def parts() -> Iterator[np.ndarray]:
        with progress("text embeddings", len(captions), unit="captions") as tick:
            for start in range(0, len(captions), AT_ONCE):
                part = clap.embed_text(captions[start : start + AT_ONCE]).numpy()
                yield part.astype(dtype, copy=False)
                return_freed_memory()  # every length leaves holes that fit no other
                tick(len(part))

    with or_without_cache():
        path = _entry(f"{clap.fingerprint}/float16" if half else clap.fingerprint, captions)
        if (stored := _mapped(path)) is not None:
            return stored
        write_array(path, parts(), shape, dtype, path.stem)
        if (stored := _mapped(path)) is not None:
            return stored
    return torch.from_numpy(np.concatenate([*parts(), np.empty((0, clap.embed_dim), dtype)]))


@contextmanager
def or_without_cache() -> Iterator[None]:
    """Report a cache that cannot be used, and go on after the block."""
    try:
        yield
    except WsacError as error:
        of_disk = type(error) is WsacError and isinstance(error.__cause__, OSError)
        if not of_disk and not isinstance(error, CacheError):
            raise  # an error of the CLAP or of a sound
        say(f"{error}; continuing without a cache; set WSAC_CACHE to another folder")


def _entry(key: str, texts: Sequence[str], folder: Path | None = None) -> Path:
    digest = hashlib.sha256(key.encode())
    for text in texts:
        digest.update(b"\0" + text.encode(errors="surrogatepass"))
    return (folder or cache_folder()) / f"{digest.hexdigest()[:32]}.npy"


def _mapped(path: Path) -> Tensor | None:
    sweep(path.parent)
    array = map_array(path, path.stem)
    return None if array is None else torch.from_numpy(array)
