"""Embeddings on disk: computed once, memory-mapped after, readable with NumPy alone.

A cache entry is ``<folder>/<key>.npy``, its name a hash of what made it (the CLAP's fingerprint) and of every text.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsac.io.console import progress, say
from wsac.io.files import atomic_path
from wsac.runtime.process import return_freed_memory
from wsac.types import WsacError

if TYPE_CHECKING:
    from . import ClapEncoder

AT_ONCE = 4096  # captions embedded between two looks at the clock; among so many, equal lengths find each other


def cache_folder() -> Path:
    """``$WSAC_CACHE``, else ``wsac`` in the user's cache folder."""
    if folder := os.environ.get("WSAC_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsac"


def load_or_make(
    key: str, texts: Sequence[str], make: Callable[[], Tensor], folder: Path | None = None
) -> Tensor:
    """The tensor ``[N, D]`` for (key, texts): memory-mapped from the cache, or made and stored first."""
    path = _entry(key, texts, folder)
    if (found := _mapped(path)) is not None:
        return found
    made = make()
    try:
        with atomic_path(path) as temporary:
            np.save(temporary, made.numpy(), allow_pickle=False)
    except WsacError as error:
        _without_cache(error)
    return made


def embed_texts(clap: ClapEncoder, captions: Sequence[str], *, half: bool = False) -> Tensor:
    """Unit-norm text embeddings ``[N, D]`` of the captions, memory-mapped from the cache, where they are made once.

    They are written as they are made, so that memory holds none of them. half: as float16, for many captions of which
    some are read at a time; unit norm only after ``.float()`` and normalising.
    """
    kind = np.dtype(np.float16 if half else np.float32)
    path = _entry(f"{clap.fingerprint}/float16" if half else clap.fingerprint, captions)
    if (found := _mapped(path)) is not None:
        return found

    def parts() -> Iterator[np.ndarray]:
        with progress("text embeddings", len(captions), unit="captions") as tick:
            for first in range(0, len(captions), AT_ONCE):
                part = (
                    clap.embed_text(captions[first : first + AT_ONCE])
                    .numpy()
                    .astype(kind, copy=False)
                )
                yield part
                return_freed_memory()  # every length leaves holes that fit no other
                tick(len(part))

    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            shape = {
                "descr": kind.str,
                "fortran_order": False,
                "shape": (len(captions), clap.embed_dim),
            }
            np.lib.format.write_array_header_1_0(file, shape)
            for part in parts():
                part.tofile(file)
        if (found := _mapped(path)) is not None:
            return found
    except WsacError as error:
        if not isinstance(error.__cause__, OSError):  # not of the disk, but of the CLAP
            raise
        _without_cache(error)
    return torch.from_numpy(np.concatenate([*parts(), np.empty((0, clap.embed_dim), kind)]))


def _entry(key: str, texts: Sequence[str], folder: Path | None = None) -> Path:
    digest = hashlib.sha256(key.encode())
    for text in texts:
        digest.update(b"\0" + text.encode(errors="surrogatepass"))
    return (folder or cache_folder()) / f"{digest.hexdigest()[:32]}.npy"


def _mapped(path: Path) -> Tensor | None:
    with suppress(OSError, ValueError, EOFError):  # absent, or cut short: made again
        array = np.load(
            path, mmap_mode="c", allow_pickle=False
        )  # copy-on-write: tensors want a writable array
        return torch.from_numpy(array)
    return None


def _without_cache(error: WsacError) -> None:
    say(f"{error}; going on without a cache, WSAC_CACHE names another folder")
