"""Damaged sounds: each is read, or refused in one line; nothing else may happen.

    python benchmarks/faults/fuzz_sounds.py --count 20000 --seed 1

Sounds in many formats are damaged at random (bytes, pieces, ends, two files in one) and read.
Prints the counts, and keeps each input that fails in --keep: an exception that is no WsacError,
samples that are not finite, more than 5 CPU-seconds, or output on stderr.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import soundfile
from fuzzing import effort, outcome_of

from wsac.data.audio.find import is_audio_file
from wsac.data.audio.stream import load_audio

RATE = 48_000
SOUNDFILE = "wav flac ogg aiff caf au w64 rf64 voc nist mp3".split()
PYAV = {"m4a": "aac", "mkv": "flac", "avi": "pcm_s16le", "wv": "wavpack", "tta": "tta", "ts": "mp2"}
PYAV |= {"flv": "aac", "mp2": "mp2", "eac3": "eac3", "mpg": "mp2", "webm": "libopus", "aac": "aac"}


def seeds(folder: Path) -> list[tuple[str, bytes]]:
    """Suffix and content of a second of sound in every format, and of odd but whole files."""
    rng = np.random.default_rng(0)
    samples = (0.3 * rng.uniform(-1, 1, RATE // 2)).astype(np.float32)
    content: dict[str, bytes] = {}
    for suffix in SOUNDFILE:
        soundfile.write(folder / f"a.{suffix}", samples, RATE)
        content[suffix] = (folder / f"a.{suffix}").read_bytes()
    for suffix, codec in PYAV.items():
        with av.open(str(folder / f"a.{suffix}"), "w") as container:
            stream = container.add_stream(codec, rate=RATE, layout="mono")
            context = stream.codec_context
            context.open(strict=False)
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.rate, frame.pts = RATE, 0
            size = context.frame_size or 1024
            resampler = av.AudioResampler(context.format, "mono", RATE, size)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        content[suffix] = (folder / f"a.{suffix}").read_bytes()
    floats = io.BytesIO()
    soundfile.write(floats, np.stack([samples, -samples], 1), RATE, format="WAV", subtype="FLOAT")
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    odd = [("wav", floats.getvalue()), ("ogg", 2 * content["ogg"]), ("wav", tag + content["wav"])]
    odd.append(("mp3", tag[:6] + b"\x09" * 4 + tag[10:] + content["mp3"]))
    return [*content.items(), *odd]


def damage(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """``content`` with bytes changed, taken out or put in, cut, or continued by ``other``."""
    data = bytearray(content)
    place = rng.randrange(min(len(data), rng.choice([64, 512, len(data)])))
    match rng.randrange(7):
        case 0:
            del data[rng.randrange(len(data)) :]
        case 1:
            for _ in range(rng.choice([1, 2, 8])):
                data[rng.randrange(place + 1)] = rng.randrange(256)
        case 2:
            piece = rng.randbytes(rng.choice([1, 4, 100, 4000]))
            data[place : place + len(piece)] = piece
        case 3:
            del data[place : place + rng.choice([1, 3, 100, 1000])]
        case 4:
            data[place:place] = rng.randbytes(rng.choice([1, 10, 1000]))
        case 5:
            word = rng.choice([bytes(4), b"\xff" * 4, b"\0\0\0\x80", b"\x7f\xff\xff\xff"])
            data[place : place + 4] = word
        case _:
            data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]
    return bytes(data)


def read(path: Path, number: int) -> str:
    """Read a sound in one of four ways."""
    audio = io.BytesIO(path.read_bytes()) if number % 4 == 0 else path
    limit = 0.3 if number % 4 == 1 else None
    recording = load_audio(audio, 16_000 if number % 2 else RATE, max_seconds=limit)
    is_audio_file(path)
    return "read" if np.isfinite(recording.samples).all() else "not finite"


def fuzz(count: int, seed: int, keep: Path, stderr: Callable[[], bool]) -> Counter[str]:
    """How often each outcome of ``read`` occurs. stderr: whether anything was printed there."""
    rng, outcomes = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        contents = seeds(Path(folder))
        for number in range(count):
            suffix, content = rng.choice(contents)
            suffix = rng.choice([suffix, suffix, "bin", "wav", "mp3"])
            path = Path(folder) / f"damaged.{suffix}"
            path.write_bytes(damage(content, rng.choice(contents)[1], rng))
            outcome = outcome_of(partial(read, path, number))
            outcome = "output on stderr" if stderr() else outcome
            outcomes[outcome] += 1
            if outcome not in ("read", "refused"):
                keep.mkdir(parents=True, exist_ok=True)
                shutil.move(path, keep / f"{seed}-{number}.{suffix}")
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-sounds"))
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        terminal = os.dup(2)
        os.dup2(log.fileno(), 2)  # also what libraries in C print

        def printed() -> bool:
            size = log.seek(0, io.SEEK_END)
            log.truncate(0)
            return size > 0

        outcomes = fuzz(options.count, options.seed, options.keep, printed)
        os.dup2(terminal, 2)
    for outcome, count in outcomes.most_common():
        print(f"{outcome:30}{count:8,}")
    print(effort(start))


if __name__ == "__main__":
    main()
