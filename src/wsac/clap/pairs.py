"""Sounds with captions for contrastive training: read the CSV, keep the audio in one memory-mapped file, cut crops."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import load_audio
from ..console import progress, say
from ..files import atomic_path, read_json, write_json
from ..types import AudioError, CorpusError

CLIP_SECONDS = 30.0  # longer recordings are cut there
OVERLAID = ("{a} while {b}", "{a} and {b}", "{a} as {b}", "{b} while {a}", "{b} and {a}", "{a} with {b}")
SEQUENCE = ("{a} then {b}", "{a} followed by {b}", "{a} and then {b}", "{a}, then {b}", "{b} after {a}")


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound file with its captions; ``label`` is its class, the path when the CSV names none."""

    path: str
    captions: tuple[str, ...]
    label: str


def read_pairs(paths: Sequence[str | Path]) -> list[Clip]:
    """Read CSV files with the columns ``audio,caption`` and perhaps ``label``; rows of one sound are joined.

    Raises CorpusError with the file and line when a column or a value is missing.
    """
    found: dict[str, tuple[list[str], str]] = {}
    for path in paths:
        try:
            with Path(path).open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                missing = {"audio", "caption"} - set(reader.fieldnames or ())
                if missing:
                    raise CorpusError(
                        f"{path}, line 1: no column {' or '.join(sorted(missing))}; "
                        "the header must name audio,caption (and perhaps label)"
                    )
                for row in reader:
                    audio, caption = (row["audio"] or "").strip(), (row["caption"] or "").strip()
                    if not audio or not caption:
                        raise CorpusError(f"{path}, line {reader.line_num}: audio or caption is empty; fill or drop it")
                    captions, _ = found.setdefault(audio, ([], row.get("label") or audio))
                    captions.append(caption)
        except OSError as error:
            raise CorpusError(f"{path}: cannot read ({error.strerror}); check the path") from error
        except csv.Error as error:
            raise CorpusError(f"{path}, line {reader.line_num}: broken CSV ({error}); check its quotes") from error
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path}: not UTF-8 text; convert it first (iconv -t UTF-8)") from error
    if not found:
        raise CorpusError(f"{', '.join(map(str, paths)) or 'no file'}: zero pairs; give a CSV with audio,caption rows")
    return [Clip(path, tuple(dict.fromkeys(captions)), label) for path, (captions, label) in found.items()]


class AudioStore:
    """All clips as int16 at one sample rate in ``<folder>/audio.i16``, decoded once, memory-mapped after."""

    def __init__(self, clips: Sequence[Clip], sample_rate: int, folder: Path) -> None:
        self.sample_rate = sample_rate
        names = [clip.path for clip in clips]
        facts = [str(sample_rate)]
        for name in names:
            stat = Path(name).stat() if Path(name).is_file() else None
            facts.append(f"{name} {stat.st_size} {stat.st_mtime_ns}" if stat else f"{name} missing")
        key = self.key = hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()
        index, data = folder / "audio.json", folder / "audio.i16"
        if not (index.is_file() and data.is_file() and read_json(index)["key"] == key):
            offsets = self._decode(names, data)
            write_json(index, {"key": key, "offsets": offsets})
        self.offsets: list[int] = read_json(index)["offsets"]
        self._samples = np.memmap(data, dtype="<i2", mode="r")

    def _decode(self, names: list[str], data: Path) -> list[int]:
        offsets, bad = [0], 0
        with atomic_path(data) as path, path.open("wb") as file, progress("decoding", len(names), unit="files") as tick:
            for name in names:
                try:
                    samples = load_audio(name, self.sample_rate, max_seconds=CLIP_SECONDS).samples
                except AudioError as error:
                    say(f"skipped: {error}")
                    samples, bad = np.zeros(0, np.float32), bad + 1
                file.write((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
                offsets.append(offsets[-1] + len(samples))
                tick()
            if bad == len(names):
                raise AudioError(f"none of the {bad} sound files could be decoded; see the lines above")
        return offsets

    def __getitem__(self, clip: int) -> np.ndarray:
        """Samples of a clip, float32 in [-1, 1]; empty when it could not be decoded."""
        first, last = self.offsets[clip], self.offsets[clip + 1]
        return self._samples[first:last].astype(np.float32) / 32767.0

    def seconds(self, clip: int) -> float:
        return (self.offsets[clip + 1] - self.offsets[clip]) / self.sample_rate


def crop(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """A random piece of ``length`` samples; shorter sounds are repeated or set into silence at a random place."""
    if len(samples) >= length:
        first = int(rng.integers(len(samples) - length + 1))
        return samples[first : first + length]
    if rng.random() < 0.5:
        return np.tile(samples, -(-length // len(samples)))[:length]
    out = np.zeros(length, np.float32)
    first = int(rng.integers(length - len(samples) + 1))
    out[first : first + len(samples)] = samples
    return out


def mix(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Overlay two equal-length sounds within ±6 dB, or play one after the other; returns a caption pattern too."""
    level = lambda x: float(np.sqrt(np.mean(x**2)) + 1e-6)  # noqa: E731
    b = b * (level(a) / level(b) * 10 ** (rng.uniform(-6, 6) / 20))
    if rng.random() < 0.75:
        return a + b, str(rng.choice(OVERLAID))
    half, fade = len(a) // 2, len(a) // 20
    ramp = np.clip((np.arange(len(a)) - half) / fade + 0.5, 0, 1).astype(np.float32)
    return a * (1 - ramp) + b * ramp, str(rng.choice(SEQUENCE))


def disturb(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random loudness, and now and then background noise or a duller sound, as recordings of strangers have them."""
    peak = float(np.abs(samples).max()) + 1e-6
    out = samples / peak * 10 ** (rng.uniform(-25, 0) / 20)
    if rng.random() < 0.2:
        noise = rng.standard_normal(len(out)).astype(np.float32)
        out = out + noise * np.sqrt(np.mean(out**2)) * 10 ** (rng.uniform(-30, -8) / 20)
    if rng.random() < 0.15:
        out = out + np.concatenate(([0], out[:-1]))  # a two-tap low-pass
    return out.astype(np.float32)
