"""The files of a dataset as people have them on disk: one look at a folder, and the sound that a caption names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wsac.data.audio.find import AUDIO_SUFFIXES
from wsac.types import CorpusError

TABLES = (".csv", ".jsonl", ".json", ".tsv", ".csv.gz")
ARCHIVES = (".7z", ".zip", ".tar", ".gz")
# A clip of AudioCaps as its downloaders name it: perhaps Y, the video, perhaps the second where it starts, and its end.
_VIDEO = re.compile(r"Y?([\w-]{11})(?:_(\d+(?:\.\d+)?)(?:_\d+(?:\.\d+)?)?)?")


class Tree:
    """What a folder holds, at any depth: caption files, archives, and sounds; empty sound files are only counted."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise CorpusError(
                f"{root}: no such folder; give the one that holds the recordings and the caption files"
            )
        self.root = root
        self.tables: list[Path] = []
        self.archives: list[Path] = []
        self.sounds: list[Path] = []
        self.empty = 0
        for path in sorted(_files(root), key=lambda path: (len(path.parts), path)):
            if path.suffix.lower() in AUDIO_SUFFIXES:
                if path.stat().st_size:
                    self.sounds.append(path)
                else:
                    self.empty += 1
            elif path.name.lower().endswith(TABLES):
                self.tables.append(path)
            elif path.suffix.lower() in ARCHIVES:
                self.archives.append(path)

    def table(self, names: Sequence[str]) -> Path | None:
        """The caption file of the first name that there is, the least deep. Raises CorpusError when two differ."""
        for name in names:
            found = [path for path in self.tables if path.name.lower() == name.lower()]
            found = [path for path in found if len(path.parts) == len(found[0].parts)]
            if found:
                if any(path.read_bytes() != found[0].read_bytes() for path in found[1:]):
                    raise CorpusError(
                        f"{found[0]} and {found[1]}: which one is meant? give the folder of one of them"
                    )
                return found[0]
        return None

    def of_split(self, folders: Mapping[str, Sequence[str]], split: str) -> list[Path]:
        """The sounds that are in a folder of this split, else those that are in no folder of another.

        folders: by split, the words that its folders' names have, the official one first.
        """
        official, other = folders[split][0], {word for words in folders.values() for word in words}
        ranked: dict[int, list[Path]] = defaultdict(list)
        for path in self.sounds:
            places = path.relative_to(self.root).parts[:-1]
            words = {word for place in places for word in re.split(r"[^a-z]+", place.lower())}
            own = (
                0
                if official in words
                else 1
                if words & set(folders[split])
                else 2
                if not words & other
                else 3
            )
            ranked[own].append(path)
        return next((ranked[rank] for rank in range(3) if ranked[rank]), [])


class ByName:
    """Sounds by the name that a caption file gives them, whatever their suffix."""

    def __init__(self, sounds: Sequence[Path]) -> None:
        self._exact: dict[str, Path] = {}
        self._rough: dict[str, set[Path]] = defaultdict(set)
        for path in sounds:
            self._exact.setdefault(path.stem, path)
            self._rough[_rough(path.stem)].add(path)

    def find(self, clip: str) -> Path | None:
        """The sound of this name; signs that file systems do not take, spaces and case are looked past if need be."""
        stem = Path(clip).stem if Path(clip).suffix.lower() in AUDIO_SUFFIXES else Path(clip).name
        if stem in self._exact:
            return self._exact[stem]
        alike = self._rough.get(_rough(stem), set())
        return next(iter(alike)) if len(alike) == 1 else None


class ByVideo:
    """Sounds by video and start second: VIDEO, YVIDEO, VIDEO_30, VIDEO_30_40, VIDEO_30000_40000, of any suffix."""

    def __init__(self, sounds: Sequence[Path]) -> None:
        self._names = ByName(sounds)
        self._videos: dict[str, list[tuple[float | None, Path]]] = defaultdict(list)
        for path in sounds:
            if found := _VIDEO.fullmatch(path.stem):
                self._videos[found[1]].append((float(found[2]) if found[2] else None, path))

    def find(self, clip: str) -> Path | None:
        """clip: as a caption file has it, VIDEO_START or a file name."""
        stem = Path(clip).stem if Path(clip).suffix.lower() in AUDIO_SUFFIXES else clip
        if not (found := _VIDEO.fullmatch(stem)):
            return self._names.find(clip)
        start = float(found[2]) if found[2] else None
        same = [
            path
            for at, path in self._videos[found[1]]
            if start is None or at in (start, 1000 * start)
        ]
        return next(iter(same or [path for at, path in self._videos[found[1]] if at is None]), None)


def _rough(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _files(root: Path) -> Iterator[Path]:
    """Files at any depth, through links too, each folder once; not the hidden ones."""
    seen = set()
    for place, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))
