"""The files under a folder, and the sound that a name in a caption file stands for."""

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
# AudioCaps clips as downloaders name them: Y or not, the video, perhaps its start and end second
_VIDEO = re.compile(r"Y?([\w-]{11})(?:_(\d+(?:\.\d+)?)(?:_\d+(?:\.\d+)?)?)?")


class Tree:
    """Caption files, archives and sounds under a folder, at any depth. empty: empty sound files."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            remedy = "give the one that holds the recordings and the caption files"
            raise CorpusError(f"{root}: no such folder; {remedy}")
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
        """The least deep file of the first name that exists. Raises CorpusError when two differ."""
        for name in names:
            matches = [path for path in self.tables if path.name.lower() == name.lower()]
            matches = [path for path in matches if len(path.parts) == len(matches[0].parts)]
            if len({path.read_bytes() for path in matches}) > 1:
                which = f"{matches[0]} and {matches[1]}: which one is meant?"
                raise CorpusError(f"{which} give the folder of one of them")
            if matches:
                return matches[0]
        return None

    def of_split(self, folders: Mapping[str, Sequence[str]], split: str) -> list[Path]:
        """Sounds in a folder of this split, else those in no folder of another split.

        folders: words in the names of the folders of each split, the official one first.
        """
        official, every = folders[split][0], {word for words in folders.values() for word in words}
        ranked: dict[int, list[Path]] = defaultdict(list)
        for path in self.sounds:
            places = path.relative_to(self.root).parts[:-1]
            words = {word for place in places for word in re.split(r"[^a-z]+", place.lower())}
            ranks = (official in words, not words.isdisjoint(folders[split]), not words & every)
            ranked[ranks.index(True) if any(ranks) else 3].append(path)
        return next((ranked[rank] for rank in range(3) if ranked[rank]), [])


class ByName:
    """Sounds by their name in a caption file, whatever their suffix."""

    def __init__(self, sounds: Sequence[Path]) -> None:
        self._exact: dict[str, Path] = {}
        self._rough: dict[str, set[Path]] = defaultdict(set)
        for path in sounds:
            self._exact.setdefault(path.stem, path)
            self._rough[_rough(path.stem)].add(path)

    def find(self, clip: str) -> Path | None:
        """The sound of this name, if need be regardless of case, spaces and punctuation."""
        stem = Path(clip).stem if Path(clip).suffix.lower() in AUDIO_SUFFIXES else Path(clip).name
        if stem in self._exact:
            return self._exact[stem]
        alike = self._rough.get(_rough(stem), set())
        return next(iter(alike)) if len(alike) == 1 else None


class ByVideo:
    """Sounds by video and start: VIDEO, YVIDEO, VIDEO_30, VIDEO_30_40, VIDEO_30000_40000."""

    def __init__(self, sounds: Sequence[Path]) -> None:
        self._names = ByName(sounds)
        self._videos: dict[str, list[tuple[float | None, Path]]] = defaultdict(list)
        for path in sounds:
            if match := _VIDEO.fullmatch(path.stem):
                self._videos[match[1]].append((float(match[2]) if match[2] else None, path))

    def find(self, clip: str) -> Path | None:
        """clip: as a caption file has it, VIDEO_START or a file name."""
        stem = Path(clip).stem if Path(clip).suffix.lower() in AUDIO_SUFFIXES else clip
        if not (match := _VIDEO.fullmatch(stem)):
            return self._names.find(clip)
        start, clips = float(match[2]) if match[2] else None, self._videos[match[1]]
        same = [path for at, path in clips if start is None or at in (start, 1000 * start)]
        return next(iter(same or [path for at, path in clips if at is None]), None)


def _rough(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _files(root: Path) -> Iterator[Path]:
    """Files at any depth, through links too, each folder once, without hidden ones."""
    seen = set()
    for place, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))
