"""Embeddings on disk: computed once, memory-mapped after, readable with NumPy alone.

A cache entry is ``<folder>/<key>.npy``, its name a hash of what made it (the CLAP's fingerprint) and of every text.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .console import progress, say
from .files import atomic_path
from .types import WsacError

if TYPE_CHECKING:
    from .clap import ClapEncoder


def cache_folder() -> Path:
    """``$WSAC_CACHE``, else ``wsac`` in the user's cache folder."""
    if folder := os.environ.get("WSAC_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsac"


def load_or_make(key: str, texts: Sequence[str], make: Callable[[], Tensor], folder: Path | None = None) -> Tensor:
    """The tensor ``[N, D]`` for (key, texts): memory-mapped from the cache, or made and stored first."""
    digest = hashlib.sha256(key.encode())
    for text in texts:
        digest.update(b"\0" + text.encode(errors="surrogatepass"))
    path = (folder or cache_folder()) / f"{digest.hexdigest()[:32]}.npy"
    with suppress(OSError, ValueError, EOFError):  # absent, or cut short: made again
        array = np.load(path, mmap_mode="c", allow_pickle=False)  # copy-on-write: tensors want a writable array
        return torch.from_numpy(array)
    made = make()
    try:
        with atomic_path(path) as temporary:
            np.save(temporary, made.numpy(), allow_pickle=False)
    except WsacError as error:
        say(f"{error}; going on without a cache, WSAC_CACHE names another folder")
    return made


def embed_texts(clap: ClapEncoder, captions: Sequence[str]) -> Tensor:
    """Unit-norm text embeddings ``[N, D]`` of the captions, from the cache where they are."""

    def make() -> Tensor:
        chunks = []
        with progress("text embeddings", len(captions), unit="captions") as tick:
            for first in range(0, len(captions), 4096):
                chunks.append(clap.embed_text(captions[first : first + 4096]))
                tick(len(chunks[-1]))
        return torch.cat(chunks)

    return load_or_make(clap.fingerprint, captions, make)
