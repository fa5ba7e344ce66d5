"""Find sound files in folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from wsac.types import AudioError

_FORMATS = """
wav wave flac ogg oga opus mp3 aif aiff aifc caf au w64 rf64
m4a m4b aac ac3 mp4 m4v mov mkv mka webm wma 3gp
"""
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _FORMATS.split())


def find_audio(patterns: Sequence[str | Path]) -> list[Path]:
    """List the sound files that files, folders and globs name: in this order, no file twice.

    Folders are searched recursively by AUDIO_SUFFIXES, without hidden files, sorted; so are the
    matches of a glob. A file that is named itself is listed whatever its suffix, even if missing:
    opening it says so. Raises AudioError when a folder or glob holds no sound file.
    """
    files: dict[Path, None] = {}
    for pattern in patterns:
        if not str(pattern):
            raise AudioError("an empty file name; name sound files, folders or globs")
        matches = list(_matches(pattern))
        if not matches:
            what = "no sound files here; name a file with an unusual suffix itself"
            raise AudioError(f"{pattern}: {what}")
        files.update(dict.fromkeys(matches))
    return list(files)


def _matches(pattern: str | Path) -> Iterable[Path]:
    path = Path(pattern)
    try:
        if path.is_dir():
            return _audio_in(path)
        is_glob = glob.has_magic(str(pattern)) and not path.exists()
    except OSError:  # opening it will say what is wrong
        return [path]
    if not is_glob:
        return [path]
    matches: list[Path] = []
    for match in sorted(map(Path, glob.glob(str(pattern), recursive=True))):  # noqa: PTH207 (any root)
        matches += _audio_in(match) if match.is_dir() else [match]
    return filter(_is_audio, matches)


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")


def _audio_in(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        what = f"cannot look into this folder ({error.strerror})"
        raise AudioError(f"{error.filename}: {what}") from error

    files: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += filter(_is_audio, (Path(place, name) for name in names))
    return sorted(files)
