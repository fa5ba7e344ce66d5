"""Long recordings with exact times: events over backgrounds, synthesised or real.

    python benchmarks/spans/hours.py soundworld --minutes 60 --seed 1 -o runs/spans/soundworld-test

Writes `NAME.flac` (16 kHz, mono) and `NAME.json`: the events and the stretches of background, each
with start, end (seconds), text and kind (sound, speech or music).

soundworld: events of all kinds of SoundWorld, 1.2 to 6 s long, at 0 to -10 dB. real: the loudest
active part of ESC-50 clips, of speech and of music, at -6 to +12 dB against the background. Every
stretch of 30 to 90 s has a background or, three times of ten, none but the noise of a room. Events
follow each other after 0.4 to 8 s, one in five at once. Parts: test takes ESC-50 fold 5 and
sources of `world` that no training used; development takes the held-out clips of fold 4 and other
sources.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from wsac.data.audio.stream import load_audio
from wsac.data.soundworld import KINDS, Event, render_event
from wsac.data.soundworld.scene import BACKGROUNDS, alike
from wsac.data.soundworld.words import WORDS

sys.path.append(str(Path(__file__).parents[1] / "pocket"))
from pocket_pairs import PHRASES, label, select
from segments import held_out

RATE = 16_000
FRAME = RATE // 50
ROOM = -66.0  # dBFS of the noise of a room
STRETCH, BARE = (30.0, 90.0), 0.3  # seconds of a stretch; how often it has no background
PAUSE, AT_ONCE = (0.4, 8.0), 0.2  # seconds to the next event; how often it follows at once
AUDIBLE = -30.0  # dB below the loudest frame of an event: outside these frames it is not heard
LONGEST_PAUSE = 0.8  # seconds in an event of ESC-50; after a longer one another event begins
STEADY = 6.0  # dB from the median to the 95th percentile of a background's levels, at most
AMBIENCE = re.compile(
    r"rain|wind|fan|highway|road|street|traffic|water|wave|ocean|sea\b|river|stream|fire|hearth"
    r"|crickets|frogs|grasshoppers|cafe|chatter|crowd|restaurant|supermarket|shop_ambiant|machine"
    r"|train|subway|dryer|cleaner|forest|playground|people_talking|public_places|airplane|ambient"
    r"|power_generator|furnace|white_noise|brown|pink|office|library|laboratory|underwater|bubbles"
)


def frame_levels(sound: np.ndarray) -> np.ndarray:
    """dB of frames of 20 ms."""
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10((frames.astype(np.float64) ** 2).mean(1) + 1e-12)


def active(sound: np.ndarray) -> tuple[int, int]:
    """The samples from the first to the last audible frame of the loudest group of frames, which
    pauses of more than LONGEST_PAUSE part from others."""
    levels = frame_levels(sound)
    audible = np.flatnonzero(levels > max(levels.max() + AUDIBLE, -70))
    if not len(audible):
        return 0, 0
    groups = np.split(audible, np.flatnonzero(np.diff(audible) > LONGEST_PAUSE * 50) + 1)
    best = max(groups, key=lambda group: float((10 ** (levels[group] / 10)).sum()))
    return int(best[0]) * FRAME, (int(best[-1]) + 1) * FRAME


class SoundWorld:
    """Draws synthesised events and backgrounds."""

    def background(self, rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, str, str]:
        """Samples, text and name of a background; its name tells what would sound like it."""
        name = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
        sound = render_event(Event(name, seconds=seconds), rng, RATE)
        return sound * 10 ** (rng.uniform(-16, -10) / 20), text_of(name), name

    def event(self, rng: np.random.Generator, unlike: list[str], floor: float) -> tuple:
        names = [name for name in KINDS if not any(alike(name, other) for other in unlike if other)]
        name = names[int(rng.integers(len(names)))]
        sound = render_event(Event(name, seconds=float(rng.uniform(1.2, 6))), rng, RATE)
        kind = {"man": "speech", "woman": "speech", "crowd": "speech"}.get(name, "sound")
        kind = "music" if name in ("piano", "guitar", "drums") else kind
        return sound * 10 ** (rng.uniform(-10, 0) / 20), text_of(name), name, kind


class Real:
    """Draws recorded events and backgrounds."""

    def __init__(self, shared: Path, part: str) -> None:
        test = part == "test"
        with (shared / "audio" / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with (shared / "world" / "world.csv").open(newline="", encoding="utf-8") as file:
            world = [row for row in csv.DictReader(file) if held_out(row["source"]) == test]
        phrases = json.loads(PHRASES.read_text(encoding="utf-8"))
        self.events = []
        for row in select(rows, "test" if test else "held-out"):
            text = phrases[label(row)][0]
            name = row["esc50_class"]
            self.events.append((shared / "audio" / row["file"], text, name, "sound"))
        speech = [r for r in world if re.search("read speech|lhotse|speech audios", r["hint"])]
        music = [r for r in world if re.match("classical music|music|instrument", r["hint"])]
        for rows_of_kind, text, kind in (
            (speech[:60], "a person speaking", "speech"),
            (music[:60], "music playing", "music"),
        ):
            self.events += [
                (shared / "world" / row["file"], text, kind, kind) for row in rows_of_kind
            ]
        places = [
            (shared / "world" / r["file"], r["hint"]) for r in world if float(r["seconds"]) > 5
        ]
        moodist = [row for row in rows if "moodist" in row["source"]][int(test) :: 2]
        places += [(shared / "audio" / row["file"], row["label"]) for row in moodist]
        self.places = [place for place in places if AMBIENCE.search(place[1].lower())]
        self.by_name: dict[str, list[tuple]] = {}
        for event in self.events:
            self.by_name.setdefault(event[2], []).append(event)

    def background(self, rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, str, str]:
        while True:
            path, text = self.places[int(rng.integers(len(self.places)))]
            sound = load_audio(path, RATE).samples
            levels = np.sort(frame_levels(sound))
            if len(levels) > 250 and levels[len(levels) * 95 // 100] - np.median(levels) < STEADY:
                break
        wanted, fade = int(seconds * RATE), RATE // 2
        ramp = np.sqrt(np.linspace(0, 1, fade, dtype=np.float32))
        out = sound
        while len(out) < wanted:  # repeated, with a cross-fade
            joint = out[-fade:] * ramp[::-1] + sound[:fade] * ramp
            out = np.concatenate((out[:-fade], joint, sound[fade:]))
        level = 10 ** (rng.uniform(-42, -26) / 20)
        out = out[:wanted] * (level / max(float(np.sqrt((out**2).mean())), 1e-6))
        return out.astype(np.float32), re.sub(r"^(raw|sounds) ", "", text), ""

    def event(self, rng: np.random.Generator, unlike: list[str], floor: float) -> tuple:
        names = sorted(set(self.by_name) - set(unlike))
        weights = np.array([4.0 if name in ("speech", "music") else 1.0 for name in names])
        while True:
            name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
            choices = self.by_name[name]
            path, text, _, kind = choices[int(rng.integers(len(choices)))]
            sound = load_audio(path, RATE).samples
            begin, end = active(sound)
            sound = sound[begin : min(end, begin + 8 * RATE)].copy()
            if len(sound) >= 0.2 * RATE:
                break
        ramp = min(len(sound) // 4, RATE // 50)
        sound[:ramp] *= np.linspace(0, 1, ramp)
        sound[-ramp:] *= np.linspace(1, 0, ramp)
        level = floor + rng.uniform(-6, 12) if floor > -60 else rng.uniform(-40, -16)
        rms = float(np.sqrt((sound**2).mean()))
        return sound * (10 ** (level / 20) / max(rms, 1e-6)), text, name, kind


def text_of(name: str) -> str:
    """A SoundWorld kind in words, such as "a dog barking"."""
    clause = WORDS[name].clauses[0]
    return clause.gerund(clause.subject)


def make(world: SoundWorld | Real, minutes: float, seed: int) -> tuple[np.ndarray, list[dict]]:
    """Samples and what is heard when."""
    rng = np.random.default_rng(seed)
    total = int(minutes * 60 * RATE)
    mix = (rng.standard_normal(total) * 10 ** (ROOM / 20)).astype(np.float32)
    truths: list[dict] = []
    at = 0.0
    while at < minutes * 60 - 10:
        seconds = min(float(rng.uniform(*STRETCH)), minutes * 60 - at)
        floor, background = ROOM, ""
        if rng.random() >= BARE:
            sound, text, background = world.background(rng, seconds)
            begin = int(at * RATE)
            sound = sound[: total - begin]
            mix[begin : begin + len(sound)] += sound
            floor = 10 * np.log10(float((sound**2).mean()) + 1e-12)
            row = {"start": at, "end": at + len(sound) / RATE, "text": text, "kind": "background"}
            truths.append(row)
        truths += _events(world, rng, mix, at, at + seconds, floor, background)
        at += seconds
    mix *= min(1.0, 0.97 / float(np.abs(mix).max()))
    return mix, truths


def _events(
    world: SoundWorld | Real,
    rng: np.random.Generator,
    mix: np.ndarray,
    at: float,
    end: float,
    floor: float,
    background: str,
) -> Iterator[dict]:
    """Add the events of a stretch to the mixture."""
    before, at = "", at + float(rng.uniform(1, 5))
    while True:
        sound, text, name, kind = world.event(rng, [background, before], floor)
        if at + len(sound) / RATE > end - 0.5:
            return
        begin = int(at * RATE)
        mix[begin : begin + len(sound)] += sound
        levels = frame_levels(sound)
        audible = np.flatnonzero(levels > max(levels.max() + AUDIBLE, floor - 12))
        yield {
            "start": round(at + audible[0] / 50, 3),
            "end": round(at + (audible[-1] + 1) / 50, 3),
            "text": text,
            "name": name,
            "kind": kind,
            "over": round(10 * np.log10(float((sound**2).mean()) + 1e-12) - floor, 1),
        }
        before = name
        wait = 0.1 if rng.random() < AT_ONCE else float(rng.uniform(*PAUSE))
        at += len(sound) / RATE + wait


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("world", choices=("soundworld", "real"))
    parser.add_argument("--part", choices=("development", "test"), default="development")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    world = SoundWorld() if options.world == "soundworld" else Real(options.shared, options.part)
    seed = options.seed + (1_000_000 if options.part == "test" else 0)
    samples, truths = make(world, options.minutes, seed)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(options.output.with_suffix(".flac"), samples, RATE, subtype="PCM_16")
    options.output.with_suffix(".json").write_text(json.dumps(truths, indent=1), encoding="utf-8")
    events = sum(row["kind"] != "background" for row in truths)
    print(f"{options.output}: {options.minutes:g} minutes, {events} events")


if __name__ == "__main__":
    main()
