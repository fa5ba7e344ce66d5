"""Find sound files in folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from wsac.types import AudioError

_FORMATS = "wav wave flac ogg oga opus mp3 aif aiff aifc caf au w64 rf64 m4a m4b aac ac3 mp4 m4v mov mkv mka webm wma 3gp"
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _FORMATS.split())


def find_audio(patterns: Sequence[str | Path]) -> list[Path]:
    """List the sound files that files, folders and globs name: in the given order, no file twice.

    Folders are searched recursively by AUDIO_SUFFIXES, without hidden files, sorted; so are the matches of a glob.
    An explicit file is kept whatever its suffix, even if missing: opening it says what is wrong.
    Raises AudioError when a folder or glob holds no sound file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if not str(pattern):
            raise AudioError("an empty file name; name sound files, folders or globs")
        if _is_dir(path):
            matches = _audio_in(path)
        elif glob.has_magic(str(pattern)) and not _exists(path):
            hits = sorted(Path(hit) for hit in glob.glob(str(pattern), recursive=True))  # noqa: PTH207 (any root)
            matches = [
                file
                for hit in hits
                for file in (_audio_in(hit) if hit.is_dir() else [hit])
                if _is_audio(file)
            ]
        else:
            matches = [path]
        if not matches:
            raise AudioError(
                f"{pattern}: no sound files here; name a file with an unusual suffix itself"
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")


def _audio_in(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise AudioError(
            f"{error.filename}: cannot look into this folder ({error.strerror})"
        ) from error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [file for file in (Path(place, name) for name in names) if _is_audio(file)]
    return sorted(found)


def _is_dir(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False  # opening it will say what is wrong


def _exists(path: Path) -> bool:
    with suppress(OSError):
        return path.exists()
    return True
