"""A folder that is watched: sounds that are new in it, once they are complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wsac.data.audio.find import is_audio_file, walk

from .soft_track import MARK

SECONDS = 2.0  # between two looks


def complete_files(
    folder: Path, *, wait: Callable[[], object] = lambda: time.sleep(SECONDS)
) -> Iterator[Path]:
    """Every sound in the folder and those below, once, when it has stopped to grow; without end.

    A sound is complete when two looks find the same size and time. One that changes later comes
    again. Hidden files and copies with subtitles are passed by.
    """
    before: dict[Path, tuple[int, float]] = {}
    done: dict[Path, tuple[int, float]] = {}
    while True:
        now = {path: state for path in _sounds(folder) if (state := _state(path))}
        for path, state in sorted(now.items()):
            if before.get(path) == state and done.get(path) != state:
                done[path] = state
                yield path
        before = now
        wait()


def _sounds(folder: Path) -> Iterator[Path]:
    for place, names, _ in walk(folder):
        for name in names:
            if not Path(name).stem.endswith(MARK) and is_audio_file(place / name):
                yield place / name


def _state(path: Path) -> tuple[int, float] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime) if status.st_size else None
