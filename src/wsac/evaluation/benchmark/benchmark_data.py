"""What a benchmark is run on: SoundWorld made on the spot, Clotho, AudioCaps, or a folder; and how it is judged."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsac.data.datasets.layouts import DatasetItem, caption_file, find_dataset
from wsac.data.soundworld.reading import read_kinds
from wsac.data.soundworld.write import write_scenes
from wsac.evaluation.benchmark.benchmark_recipe import DataOptions
from wsac.io.console import say
from wsac.io.files import write_text
from wsac.types import CorpusError

Judge = Callable[[Sequence[str]], dict[str, list[float | None]]]


@dataclass(frozen=True, slots=True)
class Data:
    """captions: files to train on. pairs: CSV audio,caption of training sounds, "" if there are none. test: clips with
    references. judge: further figures of captions, a value a clip, None where a clip has none. sounds: for bridges that
    need to know where sounds lie, without captions; left out: those of the pairs."""

    name: str
    captions: tuple[str, ...]
    pairs: str
    test: tuple[DatasetItem, ...]
    judge: Judge | None = None
    sounds: tuple[str, ...] = ()


def prepare(name: str, options: DataOptions, folder: Path, *, tested: bool = True) -> Data:
    """Find the data, or make it in ``folder``. tested: whether any row is tested on it.

    Raises CorpusError or AudioError for what is not there.
    """
    if options.kind == "soundworld":
        return _soundworld(name, options, folder)
    if not options.root or not Path(options.root).exists():
        where = f"{options.root}: no such folder" if options.root else "no root"
        raise CorpusError(
            f"data '{name}': {where}; say where it lies: --set data.{name}.root=FOLDER"
        )
    items: tuple[DatasetItem, ...] = ()
    if tested:
        test = find_dataset(options.kind, options.root, "test")
        for problem in test.problems:
            say(f"{name}: {problem}")
        items = test.items[: options.scenes] if options.scenes else test.items
    captions, pairs = options.captions, ""
    if options.kind == "folder" and tested and (options.sounds or not captions):
        files = {caption_file(options.kind, options.root, split) for split in ("test", "train")}
        if len(files) == 1:
            raise CorpusError(
                f"{files.pop()}: the only captions of data '{name}', to train and to test on; name "
                "a train and a test file, or give captions and sounds = false"
            )
    if options.sounds:
        train = find_dataset(options.kind, options.root, "train")
        pairs = str(folder / "pairs.csv")
        _write_pairs(
            Path(pairs), [(clip.audio, text) for clip in train.items for text in clip.references]
        )
    captions = captions or (str(caption_file(options.kind, options.root, "train")),)
    return Data(name, tuple(captions), pairs, items)


def _soundworld(name: str, options: DataOptions, folder: Path) -> Data:
    """Scenes to train on, of whose captions text-only captioners see the sentences alone, and scenes to test on."""
    test, train = folder / "test", folder / "train"
    for place, scenes, seed in (
        (test, options.scenes or 500, options.seed),
        (train, options.train_scenes, options.seed + 1),
    ):
        if not (place / "captions.csv").is_file():
            say(f"{place}: {scenes:,} scenes of seed {seed}")
            write_scenes(place, scenes, seed, jobs=2)
    with (train / "captions.csv").open(newline="", encoding="utf-8") as file:
        rows = [(str(train / row["audio"]), row["caption"]) for row in csv.DictReader(file)]
    pairs = folder / "pairs.csv"
    _write_pairs(pairs, rows)
    write_text(folder / "captions.txt", "".join(f"{caption}\n" for _, caption in rows))
    with (test / "scenes.jsonl").open(encoding="utf-8") as file:
        heard = [json.loads(line) for line in file]
    items = tuple(
        DatasetItem(s["file"], str(test / s["file"]), tuple(s["captions"])) for s in heard
    )
    return Data(
        name,
        (str(folder / "captions.txt"),),
        str(pairs),
        items,
        lambda texts: judge_scenes(heard, texts),
    )


def judge_scenes(
    scenes: Sequence[dict[str, Any]], captions: Sequence[str]
) -> dict[str, list[float | None]]:
    """Of every scene event_f1, how well the kinds that are said are those that sound, and order: of scenes of two
    sounds in turn, whether both are said in their order (0 when one is missing)."""
    events: list[float | None] = []
    order: list[float | None] = []
    for scene, caption in zip(scenes, captions, strict=True):
        true = {event["kind"] for event in scene["events"]}
        said = read_kinds(caption)
        events.append(2 * len(true & set(said)) / (len(true) + len(said)))
        turns = [event["kind"] for event in scene["events"] if event["role"] == "event"]
        if scene["form"] == "then" and len(set(turns)) == 2:
            order.append(float([kind for kind in said if kind in turns] == turns))
        else:
            order.append(None)
    return {"event_f1": events, "order": order}


def _write_pairs(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("audio", "caption"), *rows])
    write_text(path, text.getvalue())
