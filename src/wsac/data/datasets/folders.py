"""The files under a folder, and the sound that a name in a caption file stands for."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
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
                if _is_empty(path):
                    self.empty += 1
                else:
                    self.sounds.append(path)
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
        stem = Path(without_suffix(clip)).name
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
            if video := video_of(path.name):
                self._videos[video[0]].append((video[1], path))

    def find(self, clip: str) -> Path | None:
        """clip: as a caption file has it, VIDEO_START or a file name."""
        if video_of(clip) is None:
            return self._names.find(clip)
        return next(iter(self.find_all(clip)), None)

    def find_all(self, clip: str) -> list[Path]:
        """Every sound that may be this part of a video."""
        video, start = video_of(clip) or ("", None)
        clips = self._videos.get(video, [])
        same = [path for at, path in clips if start is None or at in (start, 1000 * start)]
        return same or [path for at, path in clips if at is None]


class ByPath:
    """Sounds by full path, by path from the root, or else by name."""

    def __init__(self, tree: Tree) -> None:
        self._root, self._names = tree.root, ByName(tree.sounds)

    def find(self, clip: str) -> Path | None:
        """A path that leads nowhere is only looked for by name when it has no folder."""
        path = self._root / clip
        if path.is_file():
            return path if path.stat().st_size else None
        return self._names.find(clip) if len(Path(clip).parts) == 1 else None


class Sounds:
    """The sounds of ids under a folder, at any depth, whatever their folder, suffix or ``Y``.

    Two sounds that fit an id equally well, and two ids that fit one sound, are no match:
    ``ambiguous`` has a line for each such id.
    """

    def __init__(self, folder: str | Path) -> None:
        self.tree = Tree(Path(folder))
        self._by_key: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        for path in self.tree.sounds:
            for key in name_keys(path.relative_to(self.tree.root).as_posix()):
                self._by_key[key].append(path)
        self._videos = ByVideo(self.tree.sounds)

    def find_all(self, ids: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
        """The sound of each id that has one, and for each ambiguous id what it could be."""
        matches: dict[str, Path] = {}
        ambiguous: dict[str, str] = {}
        exact: set[Path] = set()
        owners: dict[Path, list[str]] = defaultdict(list)
        for clip in ids:
            path = self.tree.root / clip
            if is_sound(path):
                matches[clip] = path
                exact.add(path)
                continue
            alike = self._alike(clip)
            if len(alike) > 1:
                names = " or ".join(str(path.relative_to(self.tree.root)) for path in alike[:2])
                ambiguous[clip] = f"{names}?"
            elif alike:
                owners[alike[0]].append(clip)
        for path, clips in owners.items():
            if len(clips) == 1 and path not in exact:
                matches[clips[0]] = path
            else:
                what = f"only {path.relative_to(self.tree.root)}, which fits several ids"
                ambiguous |= dict.fromkeys(clips, what)
        return matches, ambiguous

    def _alike(self, clip: str) -> list[Path]:
        """The sounds that fit best: by most folders, then with any suffix, then by video."""
        for key in name_keys(clip):
            if key in self._by_key:
                return self._by_key[key]
        return self._videos.find_all(clip)


def name_keys(clip: str) -> list[tuple[str, ...]]:
    """What may name a sound, the surest first: its path with fewer and fewer folders, each as
    written and then without suffix, case and punctuation."""
    parts = [part for part in clip.replace("\\", "/").split("/") if part not in ("", ".")]
    plain = [_rough(part) for part in without_suffix("/".join(parts)).split("/")]
    keys = []
    for i in range(len(parts)):
        keys += [("name", *parts[i:]), *([("plain", *plain[i:])] if plain[-1] else [])]
    return keys


def is_sound(path: Path) -> bool:
    """Whether a path is a file; an id need not be a possible path."""
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def _is_empty(path: Path) -> bool:
    """Whether a file has no bytes. One that cannot be read is an error of its own later."""
    with suppress(OSError):
        return not path.stat().st_size
    return False


def without_suffix(clip: str) -> str:
    """A name without the suffix of a sound: names of clips may hold full stops."""
    suffix = Path(clip).suffix
    return clip.removesuffix(suffix) if suffix.lower() in AUDIO_SUFFIXES else clip


def video_of(clip: str) -> tuple[str, float | None] | None:
    """The video and start second of a clip such as YVIDEO_30_40.wav; None for other names."""
    match = _VIDEO.fullmatch(Path(without_suffix(clip.replace("\\", "/"))).name)
    return match and (match[1], float(match[2]) if match[2] else None)


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
