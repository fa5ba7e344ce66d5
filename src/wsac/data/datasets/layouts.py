"""Clotho, AudioCaps or a folder with a caption file, in the layouts that people have on disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wsac.data.captions.columns import is_missing
from wsac.data.captions.corpus import read_captions
from wsac.types import AudioError, CorpusError, Example

from .folders import TABLES, ByName, ByPath, ByVideo, Tree

CLOTHO_HOME = "https://zenodo.org/record/4783391"  # version 2.1
AUDIOCAPS_HOME = "https://github.com/cdjkim/audiocaps"
# Zenodo counts the headers of the caption files too: 3840 and 1046.
CLOTHO_COUNTS = {"train": 3839, "val": 1045, "test": 1045}
AUDIOCAPS_COUNTS = {"train": (49_838, 91_256), "val": (495,), "test": (975,)}  # of version 1 and 2
CLOTHO_SPLITS = {
    "train": ("development", "dev", "train"),
    "val": ("validation", "valid", "val"),
    "test": ("evaluation", "eval", "test"),
}
AUDIOCAPS_SPLITS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}


Reader = Callable[[Path], list[Example]]


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """A recording and its human captions. id: as the caption file names the clip."""

    id: str
    audio: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The recordings of a split that are here.

    problems: what is missing, one line each, to be shown with results. listed: clips of the caption
    file, with or without a recording.
    """

    name: str
    split: str
    items: tuple[DatasetItem, ...]
    problems: tuple[str, ...]
    listed: int


def find_dataset(
    name: str,
    root: str | Path,
    split: str = "test",
    *,
    column: str | None = None,
    skip_invalid: bool = False,
) -> Dataset:
    """The split of a dataset under ``root``, in any of the usual layouts.

    name: "clotho", "audiocaps", or "folder" for a folder with a caption file (root may be that
    file). split: train, val or test, or Clotho's names for them; with "folder", a word in the name
    of the caption file, if there are several. column, skip_invalid: as for ``read_captions``.
    Raises CorpusError when there is no readable caption
    file, AudioError when no recording is there.
    """
    root = _existing(root)
    read = partial(read_captions, column=column, skip_invalid=skip_invalid)
    match name.lower():
        case "clotho":
            return _clotho(Tree(root), _split(name, split, CLOTHO_SPLITS), read)
        case "audiocaps":
            return _audiocaps(Tree(root), _split(name, split, AUDIOCAPS_SPLITS), read)
        case "folder":
            return _plain(root, split, read)
    raise CorpusError(f"{name}: no dataset of this name; choose clotho, audiocaps or folder")


def _existing(root: str | Path) -> Path:
    if not Path(root).exists():
        raise CorpusError(f"{root}: no such folder; name the one where the dataset lies")
    return Path(root)


def caption_file(name: str, root: str | Path, split: str = "train") -> Path:
    """The caption file of a split, with or without recordings. Raises CorpusError without one."""
    root = _existing(root)
    if name == "clotho":
        return _clotho_table(Tree(root), _split(name, split, CLOTHO_SPLITS))
    if name == "audiocaps":
        return _audiocaps_table(Tree(root), _split(name, split, AUDIOCAPS_SPLITS))
    return _plain_table(root, split)


def _clotho_table(tree: Tree, split: str) -> Path:
    table = f"clotho_captions_{CLOTHO_SPLITS[split][0]}.csv"
    captions = tree.table([table, f"clotho.{split}.csv"])
    if captions is None:
        raise CorpusError(f"{tree.root}: no {table}; get it from {CLOTHO_HOME}")
    return captions


def _audiocaps_table(tree: Tree, split: str) -> Path:
    names = []
    for start in ("", "audiocaps_", "audiocaps."):
        names += [f"{start}{word}.csv" for word in AUDIOCAPS_SPLITS[split]]
    captions = tree.table(names)
    if captions is None:
        what = f"no {split}.csv; get it from {AUDIOCAPS_HOME}, folder dataset"
        raise CorpusError(f"{tree.root}: {what}")
    return captions


def _clotho(tree: Tree, split: str, read: Reader) -> Dataset:
    """clotho_captions_<official>.csv anywhere, sounds in a folder <official>, or all in one
    folder."""
    official = CLOTHO_SPLITS[split][0]
    archive, captions = f"clotho_audio_{official}.7z", _clotho_table(tree, split)
    listed, items = _joined(captions, read, ByName(tree.of_split(CLOTHO_SPLITS, split)))
    packed = next((path for path in tree.archives if path.name == archive), None)
    remedy = f"7z x {packed}" if packed else f"get {archive} from {CLOTHO_HOME} and unpack it there"
    what = f"Clotho {official}"
    if not items:
        none = f"none of the {len(listed)} recordings of {what} is here"
        raise AudioError(f"{tree.root}: {none}; {remedy}")
    problems = _missing(tree, listed, items, f"unpack them again: {remedy}")
    if len(listed) != (count := CLOTHO_COUNTS[split]):
        here = f"{captions} lists {len(listed)} recordings"
        problems.append(f"{here}, {what} has {count} since version 2; see {CLOTHO_HOME}")
    return Dataset("clotho", split, items, tuple(problems), len(listed))


def _audiocaps(tree: Tree, split: str, read: Reader) -> Dataset:
    """<split>.csv with youtube_id, start_time and caption; sounds by video; missing ones
    counted."""
    captions = _audiocaps_table(tree, split)
    listed, items = _joined(captions, read, ByVideo(tree.of_split(AUDIOCAPS_SPLITS, split)))
    if not items:
        none = f"none of the {len(listed)} clips of AudioCaps {split} is here"
        remedy = "name them VIDEO.wav or VIDEO_START.wav, by the columns youtube_id and start_time"
        raise AudioError(f"{tree.root}: {none}; {remedy}")
    here = f"figures are of the {len(items)} that are here and compare only with the same"
    problems = _missing(tree, listed, items, f"videos go away; {here}")
    if len(listed) not in AUDIOCAPS_COUNTS[split]:
        count = " or ".join(str(count) for count in AUDIOCAPS_COUNTS[split])
        problems.append(f"{captions} lists {len(listed)} clips, AudioCaps {split} has {count}")
    return Dataset("audiocaps", split, items, tuple(problems), len(listed))


def _plain_table(root: Path, split: str) -> Path:
    if root.is_file():
        return root
    tables = [path for path in Tree(root).tables if path.parent == root]
    named = [path for path in tables if split.lower() in re.split(r"[^a-z0-9]+", path.name.lower())]
    chosen = named or [path for path in tables if path.stem.lower() == "captions"] or tables
    if len(chosen) != 1:
        several = f"{', '.join(path.name for path in chosen[:4])}: which one?"
        what = several if chosen else "no caption file here;"
        remedy = f"name the file itself ({', '.join(TABLES)}; columns file_name,caption)"
        raise CorpusError(f"{root}: {what} {remedy}")
    return chosen[0]


def _plain(root: Path, split: str, read: Reader) -> Dataset:
    """A caption file that names sound files beside it, under its folder, or by full path."""
    tree, captions = Tree(root.parent if root.is_file() else root), _plain_table(root, split)
    listed, items = _joined(captions, read, ByPath(tree))
    if not items:
        none = f"none of its {len(listed)} recordings is here"
        raise AudioError(f"{captions}: {none}; paths count from {tree.root}")
    problems = _missing(tree, listed, items, f"paths count from {tree.root}")
    return Dataset("folder", split, items, tuple(problems), len(listed))


def _joined(
    captions: Path, read: Reader, sounds: ByName | ByVideo | ByPath
) -> tuple[list[str], tuple[DatasetItem, ...]]:
    """The clips that a caption file lists, and items for those that have a sound."""
    texts: dict[str, list[str]] = {}
    for example in read(captions):
        if example.clip is None:
            what = "does not say which recording a caption is of; add a column file_name"
            raise CorpusError(f"{captions}: {what}")
        caption = "" if is_missing(example.caption) else example.caption.strip()
        texts.setdefault(example.clip, []).extend(filter(None, [caption]))
    listed = [clip for clip, written in texts.items() if written]
    items = []
    for clip in listed:
        if path := sounds.find(clip):
            items.append(DatasetItem(clip, str(path), tuple(texts[clip])))
    return listed, tuple(items)


def _missing(
    tree: Tree, listed: Sequence[str], items: Sequence[DatasetItem], remedy: str
) -> list[str]:
    """Lines about recordings that are missing or empty."""
    here = {item.id for item in items}
    missing = [clip for clip in listed if clip not in here]
    lines = []
    if missing:
        count = f"{len(missing)} of {len(listed)} recordings are missing"
        lines.append(f"{count}, such as {missing[0]}; {remedy}")
    if tree.empty:
        count = f"{tree.empty} sound files are empty"
        lines.append(f"{tree.root}: {count} and left out; get them again")
    return lines


def _split(name: str, split: str, known: Mapping[str, Sequence[str]]) -> str:
    for official, words in known.items():
        if split.lower() in (official, *words):
            return official
    raise CorpusError(f"{split}: no split of {name}; choose {', '.join(known)}")
