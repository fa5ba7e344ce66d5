"""The data of a benchmark: SoundWorld made on the spot, Clotho, AudioCaps, or a folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wsac.data.datasets.layouts import DatasetItem, caption_file, find_dataset
from wsac.data.soundworld.reading import read_kinds
from wsac.data.soundworld.write import write_scenes
from wsac.io.console import say
from wsac.io.files import write_csv, write_text
from wsac.types import CorpusError

from .benchmark_recipe import DataOptions

Judge = Callable[[Sequence[str]], dict[str, list[float | None]]]


@dataclass(frozen=True, slots=True)
class Data:
    """Captions to train on and clips to test on.

    captions: files. pairs: CSV audio,caption of training sounds, "" if there are none. test:
    clips with references. judge: further figures of captions, one value per clip, None where a
    clip has none. sounds: without captions, to fit a gap on; default: those of the pairs.
    """

    name: str
    captions: tuple[str, ...]
    pairs: str
    test: tuple[DatasetItem, ...]
    judge: Judge | None = None
    sounds: tuple[str, ...] = ()


def prepare(name: str, options: DataOptions, folder: Path, *, tested: bool = True) -> Data:
    """Find the data, or make it in ``folder``. tested: whether any row is tested on it.

    Raises CorpusError or AudioError for data that are not there.
    """
    if options.kind == "soundworld":
        return _soundworld(name, options, folder)
    kind, root, captions, pairs = options.kind, options.root, options.captions, ""
    if not root or not Path(root).exists():
        where = f"{root}: no such folder" if root else "no root"
        remedy = f"say where it lies: --set data.{name}.root=FOLDER"
        raise CorpusError(f"data '{name}': {where}; {remedy}")
    items: tuple[DatasetItem, ...] = ()
    if tested:
        test = find_dataset(kind, root, "test")
        for problem in test.problems:
            say(f"{name}: {problem}")
        items = test.items[: options.scenes or None]
    if kind == "folder" and tested and (options.sounds or not captions):
        file = caption_file(kind, root, "train")
        if file == caption_file(kind, root, "test"):
            what = f"the only captions of data '{name}', to train and to test on"
            remedy = "name a train and a test file, or give captions and sounds = false"
            raise CorpusError(f"{file}: {what}; {remedy}")
    if options.sounds:
        train = find_dataset(kind, root, "train").items
        rows = [(clip.audio, text) for clip in train for text in clip.references]
        pairs = str(folder / "pairs.csv")
        write_csv(pairs, ("audio", "caption"), rows)
    captions = captions or (str(caption_file(kind, root, "train")),)
    return Data(name, captions, pairs, items)


def _soundworld(name: str, options: DataOptions, folder: Path) -> Data:
    """Scenes to train on, whose captions alone text-only captioners see, and scenes to test on."""
    test, train = folder / "test", folder / "train"
    train_size = options.train_scenes, options.seed + 1
    for part, size in ((test, (options.scenes or 500, options.seed)), (train, train_size)):
        if not (part / "captions.csv").is_file():
            say(f"{part}: {size[0]:,} scenes of seed {size[1]}")
            write_scenes(part, *size, jobs=2)
    with (train / "captions.csv").open(newline="", encoding="utf-8") as file:
        rows = [(str(train / row["audio"]), row["caption"]) for row in csv.DictReader(file)]
    pairs, captions = folder / "pairs.csv", folder / "captions.txt"
    write_csv(pairs, ("audio", "caption"), rows)
    write_text(captions, "".join(f"{caption}\n" for _, caption in rows))
    with (test / "scenes.jsonl").open(encoding="utf-8") as file:
        scenes = [json.loads(line) for line in file]
    items = []
    for scene in scenes:
        path = str(test / scene["file"])
        items.append(DatasetItem(scene["file"], path, tuple(scene["captions"])))
    return Data(name, (str(captions),), str(pairs), tuple(items), partial(judge_scenes, scenes))


def judge_scenes(
    scenes: Sequence[dict[str, Any]], captions: Sequence[str]
) -> dict[str, list[float | None]]:
    """event_f1 and order of each scene's caption.

    event_f1: F-score of the kinds of sound that the caption names. order: for scenes of two
    sounds in turn, 1 when the caption names both in their order, else 0; None for other scenes.
    """
    events: list[float | None] = []
    order: list[float | None] = []
    for scene, caption in zip(scenes, captions, strict=True):
        kinds, named = {event["kind"] for event in scene["events"]}, read_kinds(caption)
        events.append(2 * len(kinds & set(named)) / (len(kinds) + len(named)))
        turns = [event["kind"] for event in scene["events"] if event["role"] == "event"]
        in_turn = scene["form"] == "then" and len(set(turns)) == 2
        order.append(float([k for k in named if k in turns] == turns) if in_turn else None)
    return {"event_f1": events, "order": order}
