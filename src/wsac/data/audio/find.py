"""Find sound files in folders and globs, by their suffix or by their first bytes."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from wsac.io.console import say
from wsac.types import AudioError

from .headers import HEAD_BYTES, is_sound
from .local_files import STDIN, local_file, sound_name

_FORMATS = """
wav wave flac ogg oga opus spx mp3 mp2 aif aiff aifc caf au w64 rf64
m4a m4b aac ac3 eac3 mp4 m4v mov mkv mka webm wma 3gp
"""
# of these no file is opened to tell whether it is a sound
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _FORMATS.split())
_OTHER_SUFFIXES = frozenset(
    f".{name}"
    for name in """
txt csv tsv json jsonl xml yaml yml toml md rst html htm css js py ipynb sh log cfg ini lab
jpg jpeg png gif bmp webp svg tif tiff pdf doc docx xls xlsx ppt pptx srt vtt zip gz bz2 xz 7z tar
npy npz pt pth safetensors ckpt h5 hdf5 parquet arrow db sqlite mid midi m3u m3u8 pls cue part tmp
""".split()
)
MOST_NAMED = 6  # suffixes in the line about files that are skipped


def find_audio(patterns: Sequence[str | Path], names: Sequence[str | Path] = ()) -> list[Path]:
    """List the sound files that files, folders and globs name: in this order, no file twice.

    Folders are searched recursively, through links too, each once, without hidden files, sorted; so
    are the matches of a glob. A file is a sound by AUDIO_SUFFIXES or by its first bytes; a line on
    stderr counts the others. A file that is named itself is listed in any case, even if missing, as
    is a folder that cannot be read: opening it says so. Raises AudioError when a folder or glob
    holds no sound file. names: more files, which are no patterns.
    """
    if isinstance(patterns, (str, Path)):
        raise AudioError(f"{patterns}: give a list of names, such as [{str(patterns)!r}]")
    files: dict[Path, None] = {}
    selection = _Selection()
    for pattern in patterns:
        if not str(pattern):
            raise AudioError("an empty file name; name sound files, folders or globs")
        matches = _matches(pattern, selection)
        if not matches:
            what = "a file with another suffix can be named itself"
            if selection.skipped:
                what = f"{_skipped_line(selection.skipped)}; {what}"
            raise AudioError(f"{pattern}: no sound files here; {what}")
        files.update(dict.fromkeys(matches))
    if selection.skipped:
        say(_skipped_line(selection.skipped))
    return list(files | dict.fromkeys(map(Path, names)))


def stream_audio(patterns: Sequence[str | Path], leave_out: Path | None = None) -> Iterator[Path]:
    """What ``find_audio`` lists, one by one as folders are read, so perhaps a file twice.

    leave_out: a folder whose files are neither listed nor counted, where another is searched.
    Memory does not grow with the number of files. Raises AudioError as ``find_audio`` does.
    """
    for pattern in patterns:
        folder = Path(pattern)
        if not str(pattern) or not folder.is_dir():
            yield from find_audio([pattern])
            continue
        selection, empty = _Selection(leave_out), True
        for path in selection.stream(folder):
            empty = False
            yield path
        if empty:
            find_audio([pattern])  # raises
        if selection.skipped:
            say(_skipped_line(selection.skipped))


def all_missing(files: Sequence[Path]) -> list[AudioError]:
    """The error of each file, if none of them is there; else nothing."""
    errors = []
    for file in files:
        try:
            if file.exists() or str(file) == STDIN:
                return []
        except ValueError:  # a zero byte in the name
            pass
        try:
            local_file(file)
        except AudioError as error:
            error.file = sound_name(file)
            errors.append(error)
    return errors


def _skipped_line(skipped: Counter[str]) -> str:
    """Such as: 15 other files skipped: .txt 9, .jpg 6."""
    counts = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{suffix} {count}" for suffix, count in counts[:MOST_NAMED]]
    if rest := sum(count for _, count in counts[MOST_NAMED:]):
        parts.append(f"others {rest}")
    total = skipped.total()
    return f"{total} other file{'s' * (total > 1)} skipped: {', '.join(parts)}"


def _matches(pattern: str | Path, selection: _Selection) -> list[Path]:
    path = Path(pattern)
    try:
        if path.is_dir():
            return selection.of_folder(path)
        is_glob = glob.has_magic(str(pattern)) and not path.exists()
    except (OSError, ValueError):  # opening it will say what is wrong
        return [path]
    if not is_glob:
        return [path]
    matches: list[Path] = []
    for match in dict.fromkeys(sorted(_glob(str(pattern)))):
        if match.name.startswith("."):
            continue
        if match.is_dir():
            matches += selection.of_folder(match)
        elif selection.takes(match):
            matches.append(match)
    return matches


def _glob(pattern: str) -> Iterator[Path]:
    """The matches of a glob. With ``**`` every folder is entered once, so links cannot loop."""
    root, *rest = re.split(r"(?:^|/)\*\*(?=$|/)", pattern.replace(os.sep, "/"), maxsplit=1)
    if not rest:
        yield from map(Path, glob.glob(pattern))  # noqa: PTH207 (any root)
        return
    below = ["**", *filter(None, rest[0].split("/"))]
    start = root or ("/" if pattern.startswith("/") else ".")
    for base in map(Path, glob.glob(start)) if glob.has_magic(start) else [Path(start)]:  # noqa: PTH207
        for folder, names, readable in walk(base):
            for path in (folder / name for name in names) if readable else [folder]:
                parts = path.relative_to(base).parts
                if any(_fits(parts[:depth], below) for depth in range(1, len(parts) + 1)):
                    yield path


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a glob; ``**`` stands for any number."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


class _Selection:
    """Tells sounds from other files, and counts the others by suffix, each once."""

    def __init__(self, leave_out: Path | None = None) -> None:
        self._leave_out = leave_out.resolve() if leave_out else None
        self.skipped: Counter[str] = Counter()
        self._counted: set[Path] = set()

    def takes(self, path: Path) -> bool:
        if is_audio_file(path):
            return True
        if path not in self._counted:
            self._counted.add(path)
            self.skipped[path.suffix.lower() or "without suffix"] += 1
        return False

    def of_folder(self, folder: Path) -> list[Path]:
        return sorted(self.stream(folder))

    def stream(self, folder: Path) -> Iterator[Path]:
        for place, names, readable in walk(folder):
            if self._leave_out and place.resolve().is_relative_to(self._leave_out):
                continue
            if not readable:  # opening it will say why
                yield place
            yield from filter(self.takes, (place / name for name in sorted(names)))


def is_audio_file(path: Path) -> bool:
    """Whether a regular file is a sound, by its suffix or its first bytes."""
    suffix = path.suffix.lower()
    try:
        if not stat.S_ISREG(path.stat().st_mode) or suffix in _OTHER_SUFFIXES:
            return False
        if suffix in AUDIO_SUFFIXES:
            return True
        with path.open("rb") as file:
            return is_sound(file.read(HEAD_BYTES))
    except OSError:  # opening it will say why
        return suffix in AUDIO_SUFFIXES


def walk(folder: Path) -> Iterator[tuple[Path, list[str], bool]]:
    """Folders at any depth with the names of their files, and whether they can be read; without
    hidden ones. Linked folders come last, and each folder once, so that links cannot loop."""
    seen: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        names: list[str] = []
        try:
            status = place.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name, reverse=True):
                    if entry.name.startswith("."):
                        continue
                    if not _is_folder(entry):
                        names.append(entry.name)
                    elif entry.is_symlink():
                        links.append(place / entry.name)
                    else:
                        folders.append(place / entry.name)
        except OSError:
            yield place, [], False
            continue
        yield place, names, True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
