"""The content of a file: its id, and a local copy of what lies elsewhere."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsac.io.files import endless
from wsac.types import AudioError

from .listing import is_address

PIECE = 1 << 20  # bytes


def content_id(path: Path) -> str | None:
    """BLAKE2b of the content, 128 bits in hex; None of what cannot be read or may never end."""
    try:
        if endless(path):
            return None
        digest = hashlib.blake2b(digest_size=16)
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


@contextmanager
def copies() -> Iterator[Path]:
    """A folder for local copies, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="wsac-archive-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def local_copy(path: str, folder: Path, number: int) -> Path:
    """The file itself, or a copy in ``folder`` of what an address names; piece by piece.

    Raises AudioError.
    """
    if not is_address(path):
        return Path(path)
    import fsspec

    target = folder / f"{number}{Path(path).suffix[:16]}"
    try:
        with fsspec.open(path, "rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, PIECE)
    except Exception as error:  # any of a hundred file systems
        target.unlink(missing_ok=True)
        reason = " ".join(str(error).split()) or "no reason"
        what = f"cannot fetch it ({type(error).__name__}: {reason})"
        raise AudioError(f"{path}: {what}; check address and access") from error
    return target
