"""Mix segments of 5 s from recordings and let YAMNet tag them, for the recipe pocket-distil.

    python benchmarks/pocket/segments.py --shared ../shared --teacher-texts runs/all-MiniLM-L6-v2

Writes the arrays that `wsac.training.clap.distillation.Segments` lists, and runs/world.csv, the
labelled recordings of `world` as pairs. An interrupted run goes on where it stopped. The sounds are
the training part of pocket_pairs.py and the recordings of `world` but for one source in ten, held
out whole. Needs ai-edge-litert for the teacher: 100 ms a segment on one core.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import sys
import tomllib
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pocket_pairs
import torch
from scipy.signal import butter, fftconvolve, sosfilt

from wsac import load_clap
from wsac.data.captions.corpus import read_captions
from wsac.data.datasets.pairs import Clip
from wsac.io.console import progress
from wsac.training.clap.distillation import NONE, UNKNOWN
from wsac.training.clap.store import AudioStore
from wsac.training.clap.teacher import sentence_embeddings

RATE, SECONDS, SOUNDS, PART = 16_000, 5, 3, 250
LENGTH = RATE * SECONDS
FRAME, STEP, MOMENTS = 15_600, 7_680, 9  # of YAMNet, in samples; its frames in a segment
FEATURES = 121  # the tensor with its mean-pooled features
HELD_OUT = 10  # per cent of the sources of `world`
CAPTIONS, PROFILE_TEMPERATURE = 8_000, 0.1
UNIMPORTANT = [
    "Silence",
    "Inside, small room",
    "Inside, large room or hall",
    "Inside, public space",
    "Outside, urban or manmade",
    "Outside, rural or natural",
    "Sound effect",
]
RULES = tomllib.loads(Path(__file__).with_name("world_phrases.toml").read_text("utf-8"))["rules"]


def phrase(hint: str) -> str:
    """What a recording of `world` is by the hint of its name, "" if no rule knows."""
    words = re.sub(r"[\d_\W]+", " ", hint).strip().lower()
    return next((text for rule, text in RULES if re.search(rf"\b(?:{rule})", words)), "")


def held_out(source: str) -> bool:
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % 100 < HELD_OUT


def recordings(shared: Path) -> tuple[list[Clip], list[str]]:
    """All training sounds with their phrases, and their sources."""
    with (shared / "audio" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = pocket_pairs.select(list(csv.DictReader(file)), "train")
    table = json.loads(pocket_pairs.PHRASES.read_text(encoding="utf-8"))
    clips, sources = [], []
    for row in rows:
        texts = tuple(pocket_pairs.draw(row, table, 8, 0))
        path = str(shared / "audio" / row["file"])
        clips.append(Clip(path, texts, pocket_pairs.label(row)))
        sources.append(row["source"] + row["esc50_class"])
    with (shared / "world" / "world.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not held_out(row["source"]):
                label = phrase(row["hint"])
                texts = (label, f"the sound of {label}") if label else ()
                clips.append(Clip(str(shared / "world" / row["file"]), texts, label))
                sources.append(row["source"])
    return clips, sources


def write_world_pairs(path: Path, shared: Path, clips: list[Clip]) -> None:
    """A CSV ``audio,caption,label`` of the labelled recordings of `world`."""
    world = str(shared / "world")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("audio", "caption", "label"))
        for clip in clips:
            if clip.path.startswith(world):
                writer.writerows((clip.path, text, clip.label) for text in clip.captions)


class Mixer:
    """Draws segments: one to three sounds, each in a room, dull or thin by chance, and noise."""

    def __init__(self, store: AudioStore, sources: list[str]) -> None:
        self.store = store
        size = {source: sources.count(source) for source in set(sources)}
        weights = [
            size[source] ** -0.35 * min(10.0, store.seconds(row)) ** 0.5
            for row, source in enumerate(sources)
        ]  # short sounds and large sources count less
        self.chances = np.array(weights) / sum(weights)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
        """float32 [LENGTH] and the rows of its sounds."""
        count = int(rng.choice((1, 2, 3), p=(0.5, 0.4, 0.1)))
        rows = [int(row) for row in rng.choice(len(self.chances), count, p=self.chances)]
        mixture, loudest = np.zeros(LENGTH, np.float32), 0.0
        for row in rows:
            sound = self._change(self._place(self._crop(row, rng), rng), rng)
            level = loudness(sound)
            if level < 1e-4:
                continue
            if loudest == 0.0:
                wanted = loudest = 10 ** (-rng.uniform(12, 36) / 20)
            else:
                wanted = loudest * 10 ** (rng.uniform(-12, 3) / 20)
            mixture += sound * (wanted / level)
        if rng.random() < 0.25:
            noise = rng.standard_normal(LENGTH) * 10 ** (-rng.uniform(45, 75) / 20)
            mixture += noise.astype(np.float32)
        return np.clip(mixture, -1, 1), rows

    def _crop(self, row: int, rng: np.random.Generator) -> np.ndarray:
        sound = self.store[row]
        start = int(rng.integers(0, max(1, len(sound) - LENGTH + 1)))
        return sound[start : start + LENGTH]

    def _place(self, sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Somewhere in a segment; a short sound may be repeated."""
        placed = np.zeros(LENGTH, np.float32)
        if rng.random() < 0.25 and RATE // 4 < len(sound) < LENGTH:
            start = 0
            while start < LENGTH:
                part = sound[: LENGTH - start]
                placed[start : start + len(part)] += part
                start += len(sound) + int(rng.random() * RATE)
        else:
            start = int(rng.integers(0, LENGTH - len(sound) + 1))
            placed[start : start + len(sound)] = sound
        return placed

    def _change(self, sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A room, a dull or a thin microphone, each by chance."""
        if rng.random() < 0.2:
            length = int(rng.uniform(0.1, 0.9) * RATE)
            room = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
            room *= rng.uniform(0.03, 0.3)
            room[0] = 1
            sound = fftconvolve(sound, room.astype(np.float32))[:LENGTH]
        if rng.random() < 0.2:
            sound = sosfilt(butter(4, rng.uniform(1500, 7000), fs=RATE, output="sos"), sound)
        if rng.random() < 0.1:
            low = butter(2, rng.uniform(80, 400), "high", fs=RATE, output="sos")
            sound = sosfilt(low, sound)
        return sound.astype(np.float32)


def loudness(sound: np.ndarray) -> float:
    """The root mean square of the loudest quarter of a sound, in frames of 25 ms."""
    frames = sound[: len(sound) // 400 * 400].reshape(-1, 400)
    power = np.sort((frames**2).mean(1))
    return float(np.sqrt(power[-max(1, len(power) // 4) :].mean()))


class Teacher:
    """YAMNet: scores and features of its frames."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.model = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
        self.model.allocate_tensors()
        self.input = self.model.get_input_details()[0]["index"]
        self.output = self.model.get_output_details()[0]["index"]

    def __call__(self, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[moments, classes], [width]."""
        scores, features = [], []
        for start in range(0, len(sound) - FRAME + 1, STEP):
            self.model.set_tensor(self.input, sound[None, start : start + FRAME])
            self.model.invoke()
            scores.append(self.model.get_tensor(self.output)[0].copy())
            features.append(self.model.get_tensor(FEATURES).reshape(-1).copy())
        return np.array(scores), np.mean(features, 0)


class Work:
    """Everything a process needs to make a part of the segments."""

    def __init__(self, options: argparse.Namespace) -> None:
        clips, sources = recordings(options.shared)
        self.clips = clips
        self.folder, self.seed = options.output, options.seed
        self.store = AudioStore(clips, RATE, options.output)
        self.mixer = Mixer(self.store, sources)
        self.phrases: dict[str, list[str]] = {}
        for clip in clips:
            if clip.label:
                texts = self.phrases.setdefault(clip.label, [])
                texts += [text for text in clip.captions if text not in texts]
        rows = {label: row for row, label in enumerate(self.phrases)}
        self.label = [rows[clip.label] if clip.label else UNKNOWN for clip in clips]
        self.model = options.shared / "teacher" / "yamnet.tflite"

    def part(self, number: int) -> int:
        """Make a part and mark it as done."""
        arrays = {name: np.load(self.folder / f"{name}.npy", mmap_mode="r+") for name in SHAPES}
        teacher, clap = Teacher(self.model), load_clap("pocket")
        rng = np.random.default_rng([self.seed, number])
        for row in range(number * PART, min((number + 1) * PART, len(arrays["labels"]))):
            sound, sources = self.mixer.draw(rng)
            with torch.inference_mode():
                arrays["log_mels"][row] = clap.log_mel(torch.from_numpy(sound[None]))[0].numpy()
            arrays["scores"][row], arrays["features"][row] = teacher(sound)
            labels = [self.label[source] for source in sources]
            arrays["labels"][row] = labels + [NONE] * (SOUNDS - len(labels))
        for array in arrays.values():
            array.flush()
        (self.folder / "done" / str(number)).touch()
        return number


SHAPES = {
    "log_mels": ("<f2", (64, 1 + LENGTH // 320)),
    "scores": ("<f2", (MOMENTS, 521)),
    "features": ("<f2", (1024,)),
    "labels": ("<i4", (SOUNDS,)),
}


def write_words(options: argparse.Namespace, phrases: dict[str, list[str]]) -> None:
    """words.json and profiles.npy: which classes the words of each caption speak of."""
    with (options.shared / "teacher" / "class_map.csv").open(newline="", encoding="utf-8") as file:
        classes = [row["display_name"] for row in csv.DictReader(file)]
    corpus = options.shared / "captions" / "AudioCaps.train.csv"
    texts = sorted({example.caption for example in read_captions(corpus)})
    rng = np.random.default_rng(options.seed)
    captions = [texts[row] for row in np.sort(rng.choice(len(texts), CAPTIONS, replace=False))]
    encoder = str(options.teacher_texts)
    names, meanings = sentence_embeddings(classes, encoder), sentence_embeddings(captions, encoder)
    profiles = (meanings @ names.T / PROFILE_TEMPERATURE).softmax(-1)
    np.save(options.output / "profiles.npy", profiles.numpy().astype(np.float16))
    words = {
        "classes": classes,
        "unimportant": UNIMPORTANT,
        "captions": captions,
        "labels": phrases,
    }
    (options.output / "words.json").write_text(json.dumps(words), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--teacher-texts", type=Path, default=Path("runs/all-MiniLM-L6-v2"))
    parser.add_argument("--count", type=int, default=26_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=Path, default=Path("runs/world.csv"))
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/segments"))
    options = parser.parse_args()
    (options.output / "done").mkdir(parents=True, exist_ok=True)
    for name, (kind, shape) in SHAPES.items():
        path = options.output / f"{name}.npy"
        if not path.exists():
            np.lib.format.open_memmap(path, "w+", kind, (options.count, *shape)).flush()
        elif len(np.load(path, mmap_mode="r")) != options.count:
            sys.exit(f"{path}: another number of segments; give another --output")
    torch.set_num_threads(1)
    work = Work(options)
    write_world_pairs(options.pairs, options.shared, work.clips)
    parts = range(-(-options.count // PART))
    left = [n for n in parts if not (options.output / "done" / str(n)).exists()]
    with (
        get_context("fork").Pool(options.jobs) as pool,
        progress("segments", len(left) * PART, unit="segments") as tick,
    ):
        for _ in pool.imap_unordered(work.part, left):
            tick(PART)
    if not (options.output / "words.json").exists():
        write_words(options, work.phrases)


if __name__ == "__main__":
    main()
