"""Render synthetic speech, and sounds that nobody can name, to FLAC and list them as pairs
``audio,caption,label``.

    python benchmarks/pocket/speech_pairs.py runs/speech -o runs/speech.csv
    python benchmarks/pocket/speech_pairs.py runs/speech -o runs/speech-test.csv --part test

The test part (foreign digits, noise, silence) has languages, voices and noise generators of its
own.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import zlib
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16_000  # Hz
# espeak-ng's languages and voices, and what they say. "en" and "fr", not "en-gb" and "fr-fr": a
# language takes a variant only under the name of its file. "foreign" is by languages that share a
# script; the meaning does not matter. In "captions" {who} is "a man" or "several people", {sex} is
# "male" or "female".
PHRASES = json.loads(Path(__file__).with_name("speech_phrases.json").read_text(encoding="utf-8"))
ENGLISH, MEN, WOMEN = PHRASES["english"], PHRASES["men"], PHRASES["women"]
SENTENCES, FOREIGN, CAPTIONS = PHRASES["sentences"], PHRASES["foreign"], PHRASES["captions"]
TRAIN = {  # clips of each kind
    "man": 90,
    "woman": 90,
    "child": 60,
    "whisper": 12,
    "radio": 16,
    "announcement": 16,
    "conversation": 40,
    "crowd": 50,
    "children": 20,
    "hiss": 150,
    "word": 150,
}
TEST = {"spoken digit": 200, "noise": 100, "silence": 20}  # these are labels too
# the others are "synthetic speech KIND"
LABELS = {"hiss": "unrecognisable", "word": "unrecognisable"}
VOICES = {  # variants, lowest and highest pitch, size of the vocal tract
    "man": (MEN, 10, 65, 1.0),
    "woman": (WOMEN, 25, 65, 1.0),
    "child": (WOMEN, 68, 95, 0.87),
    "whispering man": (["whisper"], 20, 70, 1.0),
    "whispering woman": (["whisperf"], 20, 70, 1.0),
}
Voice = tuple[
    str, str, int, int, float
]  # language, variant, words a minute, pitch 0-99, size of the vocal tract


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the recordings go")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the CSV")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("train", "test"), default="train")
    options = parser.parse_args(argv)
    if shutil.which("espeak-ng") is None:
        parser.error("espeak-ng is missing; install espeak-ng: apt-get install espeak-ng")
    print(
        subprocess.run(
            ["espeak-ng", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    with options.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["audio", "caption", "label"])
        for kind, count in (TRAIN if options.part == "train" else TEST).items():
            total, label = (
                0.0,
                kind if kind in TEST else LABELS.get(kind, f"synthetic speech {kind}"),
            )
            for i in range(count):
                path = options.folder / f"{kind.replace(' ', '-')}-{i:03d}.flac"
                # seeded by the file, so that a clip does not depend on how many others there are
                rng, caption_rng = np.random.default_rng(
                    [options.seed, zlib.crc32(path.name.encode())]
                ).spawn(2)
                samples, who, foreign = render(kind, i, rng)
                peak, seconds = np.abs(samples).max(), len(samples) / RATE
                if kind != "silence" and not (0.01 < peak < 0.99 and 0.4 <= seconds <= 11):
                    raise RuntimeError(
                        f"{path}: {seconds:.1f} s, peak {peak:.3f}; does espeak-ng have all voices?"
                    )
                soundfile.write(path, samples, RATE, subtype="PCM_16")
                writer.writerows(
                    (path.as_posix(), text, label) for text in draw(kind, who, foreign, caption_rng)
                )
                total += seconds
            print(f"{kind:13s} {count:4d} clips {total / 60:6.1f} min  {label}")
    return 0


def draw(kind: str, who: str, foreign: bool, rng: np.random.Generator) -> list[str]:
    """Draw six captions, or the only one; the last says so when a lone talker is foreign."""
    phrases: list[str] = []
    for key, lines in CAPTIONS.items():
        if kind in (key, *key.split()):
            phrases += lines
    chosen = [
        *rng.permutation(phrases)[: 6 - foreign],
        *["{who} speaks in a foreign language"] * foreign,
    ]
    return [
        str(text).format(who=who, sex="female" if who == "a woman" else "male") for text in chosen
    ]


def render(kind: str, i: int, rng: np.random.Generator) -> tuple[np.ndarray, str, bool]:
    """Make clip `i` of a kind. Returns its samples [T] float, who is heard, and whether a lone
    talker is foreign.
    """
    sex = kind if kind in ("man", "woman", "child") else ("man", "woman")[i % 2]
    voice = pick("whispering " * (kind == "whisper") + sex, rng, abroad=0.3 * (sex == kind))
    who = (
        f"a {rng.choice(['girl', 'boy', 'young girl', 'child', 'kid']) if sex == 'child' else sex}"
    )
    foreign, seconds = voice[0] not in ENGLISH, rng.uniform(3, 6.5)
    lines = SENTENCES.get(kind, SENTENCES["man"])
    white = rng.standard_normal(int(seconds * RATE))
    match kind:
        case "hiss":
            samples = shape(white, rng.uniform(-2, 2.2))  # from blue to brown
            low, steps = 10 ** rng.uniform(1.9, 3.5), rng.uniform(0.5, 3)
            banded = shape(samples, low=low, high=low * rng.uniform(1.5, 8))
            sparse = white * (rng.random(len(white)) < 10 ** rng.uniform(-2.3, -0.5))
            heavy = np.abs(white) ** rng.uniform(0, 2.5) * np.sign(
                white
            )  # from two values to rare peaks
            samples = (samples, banded, np.round(samples * steps) - samples * steps, sparse, heavy)[
                i % 5
            ]
            drift = shape(
                rng.standard_normal(len(white)), high=10 ** rng.uniform(-0.7, 1.3)
            )  # slow or fast, in Hz
            return level(samples * 10 ** (drift * rng.choice([0, 0.05, 0.15])), rng), "", False
        case "noise":
            sparse = white * (rng.random(len(white)) < 10 ** rng.uniform(-2, -0.7))
            plain = [
                rng.laplace(size=len(white)),
                rng.uniform(-1, 1, len(white)),
                np.sign(white),
                sparse,
            ]
            bands = [
                shape(white, low=low, high=high)
                for low, high in ((200, 500), (900, 1500), (2500, 6500))
            ]
            return (
                level(
                    (plain + bands + [shape(white, slope) for slope in (0, 1, 2, -1, -2)])[i % 12],
                    rng,
                ),
                "",
                False,
            )
        case "silence":
            return (
                white * (10 ** rng.uniform(-5, -3.8) if i % 2 else 0),
                "",
                False,
            )  # -100 to -76 dBFS, or nothing
        case "word" | "spoken digit":
            languages, variants = (
                (PHRASES["words"], MEN + WOMEN)
                if kind == "word"
                else (PHRASES["test_languages"], PHRASES["test_variants"])
            )
            language = languages[i % len(languages)]
            voice = (
                language,
                str(rng.choice(variants)),
                rng.integers(140, 200),
                rng.integers(20, 80),
                1.0,
            )
            spoken = (
                speak(voice, [str(number)], rng)
                for number in rng.permutation(21 if kind == "word" else 10)
            )
            samples = next(word for word in spoken if 0.15 < len(word) / RATE < 0.85)
            samples, foreign = (
                np.pad(samples, rng.integers(400, 1200, 2) + max(0, 5700 - len(samples)) // 2),
                False,
            )
        case "conversation":
            voices = [voice, pick(("woman", "man")[i % 2], rng)] * int(rng.integers(1, 3))
            turns = [speak(each, lines, rng, rng.uniform(1, 2.5), 3.5) for each in voices]
            samples = np.concatenate([np.pad(turn, (0, rng.integers(0, 6000))) for turn in turns])[
                : 10 * RATE
            ]
        case "crowd" | "children":
            sexes = ["man", "woman"] if kind == "crowd" else ["child"]
            talkers = (
                rng.integers(5, 8)
                if rng.random() < 0.3
                else rng.integers(8, 26 if kind == "crowd" else 16)
            )
            who, samples = (
                "several people" if talkers < 8 else "a crowd of people",
                np.zeros(len(white)),
            )
            for _ in range(talkers):
                speech = speak(
                    pick(str(rng.choice(sexes)), rng), SENTENCES[sexes[0]], rng, seconds + 2, 99
                )
                speech = speech[rng.integers(0, 2 * RATE) :][
                    : len(samples)
                ]  # so that they do not begin together
                samples[: len(speech)] += speech / speech.std() * 10 ** rng.uniform(-0.8, 0)
            samples = echo(samples, rng, rng.uniform(0.4, 1.8), rng.uniform(0.3, 1))
        case "radio":
            samples = np.tanh(shape(speak(voice, lines, rng, seconds)) * rng.uniform(0.3, 1.5))
            static = shape(
                rng.standard_normal(len(samples)), rng.uniform(-0.5, 1)
            ) * 10 ** rng.uniform(-1.6, -0.7)
            samples = shape(samples + static, low=300, high=3400)
        case "announcement":
            samples = shape(speak(voice, lines, rng, seconds), low=250, high=5000)
            samples = echo(samples, rng, rng.uniform(1.2, 3.5), rng.uniform(0.5, 1.2))
        case _:
            samples = speak(voice, lines, rng, seconds)
    return place(samples, rng), who, foreign


def pick(sex: str, rng: np.random.Generator, abroad: float = 0.0) -> Voice:
    """Choose a voice; `abroad` is the probability of a foreign language."""
    variants, low, high, size = VOICES[sex]
    language = rng.choice(" ".join(FOREIGN).split() if rng.random() < abroad else ENGLISH)
    speed, pitch = int(rng.integers(125, 190)), int(rng.integers(low, high))
    return (
        str(language),
        str(rng.choice(variants)),
        speed,
        pitch,
        size * rng.uniform(0.95, 1.05),
    )


def speak(
    voice: Voice, lines: list[str], rng: np.random.Generator, seconds: float = 0, longest: float = 8
) -> np.ndarray:
    """Say some of the lines, or foreign ones, until `seconds` are filled; stop at `longest`.
    Returns [T] at RATE.
    """
    language, variant, speed, pitch, size = voice
    lines = next(
        (text for key, text in FOREIGN.items() if seconds and language in key.split()), lines
    )
    command = [
        "espeak-ng",
        "-v",
        f"{language}+{variant}",
        "-s",
        f"{speed}",
        "-p",
        f"{pitch}",
        "-a",
        "40",
        "--stdout",
    ]
    spoken = np.zeros(0)
    for line in cycle(rng.permutation(lines)):
        wav = subprocess.run([*command, line], capture_output=True, check=True).stdout
        raw = (
            np.frombuffer(wav[44:], "<i2") / 32768
        )  # 22050 Hz; the header of a stream tells no length
        loud = np.flatnonzero(np.abs(raw) > 0.004)
        spoken = np.concatenate(
            [spoken, soxr.resample(raw[loud[0] : loud[-1] + 1], 22_050 / size, RATE)]
        )
        if len(spoken) > seconds * RATE:
            break
        spoken = np.pad(spoken, (0, rng.integers(1600, 8000)))
    spoken = spoken[: int(longest * RATE)]
    return spoken * np.minimum(
        1, np.arange(len(spoken), 0, -1) / 320
    )  # 20 ms, no click where a word is cut


def place(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put speech into a room and before a microphone: nothing may sound as clean as espeak-ng
    does.
    """
    samples = echo(
        samples, rng, rng.uniform(0.15, 0.6), rng.uniform(0.1, 0.6) * (rng.random() < 0.4)
    )
    samples = shape(samples, *((0, 300, 3400) if rng.random() < 0.12 else ()))
    below = rng.uniform(5, 25) if rng.random() < 0.4 else rng.uniform(30, 55)  # dB
    samples += shape(rng.standard_normal(len(samples)), rng.uniform(0, 2.2)) * 10 ** (-below / 20)
    return level(shape(samples, rng.uniform(-0.4, 0.7)), rng)


def level(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bring the samples to -38 to -14 dBFS RMS, unless that clips them."""
    return samples * min(
        10 ** (rng.uniform(-38, -14) / 20) / samples.std(), 0.95 / np.abs(samples).max()
    )


def shape(
    samples: np.ndarray, slope: float = 0.0, low: float = 0.0, high: float = np.inf
) -> np.ndarray:
    """Multiply the power by f^-slope (of white noise: 1 is pink, 2 brown, -1 blue) between two
    edges. Unit RMS.
    """
    f = np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 0.01)  # Hz
    gain = np.maximum(f, 20) ** (-slope / 2) / np.sqrt((1 + (low / f) ** 8) * (1 + (f / high) ** 8))
    shaped = np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))
    return shaped / shaped.std()


def echo(samples: np.ndarray, rng: np.random.Generator, decay: float, wet: float) -> np.ndarray:
    """Add exponentially decaying noise as an echo, 60 dB down after `decay` seconds; half of it
    outlasts the sound.
    """
    t = np.arange(int(decay * RATE)) / RATE
    tail = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay)
    n = len(samples) + len(t) // 2 if wet else len(samples)
    spectrum = np.fft.rfft(samples, n + len(t)) * (
        1 + wet * np.fft.rfft(tail / np.linalg.norm(tail), n + len(t))
    )
    return np.fft.irfft(spectrum, n + len(t))[:n]


if __name__ == "__main__":
    raise SystemExit(main())
