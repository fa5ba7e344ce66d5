"""Sounds with captions for contrastive training: read the CSV, keep the audio in one memory-mapped file."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import load_audio
from ..console import progress, say
from ..files import atomic_path, read_json, write_json
from ..types import AudioError, CorpusError

CLIP_SECONDS = 30.0  # longer recordings are cut there
AT_ONCE = 256  # files decoded while others are written
SHOWN = 5  # files that cannot be decoded are named, the others counted


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound file with its captions; ``label`` is its class, the path when the CSV names none.

    negatives: captions that are false of it, hard to tell from the true ones.
    """

    path: str
    captions: tuple[str, ...]
    label: str
    negatives: tuple[str, ...] = ()


def read_pairs(paths: Sequence[str | Path]) -> list[Clip]:
    """Read CSV files with the columns ``audio,caption`` and perhaps ``label`` and ``negative``, a false caption.

    A relative path of a sound counts from the CSV's folder if a file is there, else from the working folder.
    Rows of one sound are joined.
    Raises CorpusError with the file and line when a column or a value is missing.
    """
    found: dict[str, tuple[list[str], str, list[str]]] = {}
    for path in paths:
        for audio, row in sound_rows(path, ("audio", "caption"), filled=("audio", "caption")):
            captions, _, negatives = found.setdefault(audio, ([], row.get("label") or audio, []))
            captions.append(row["caption"].strip())
            negatives += filter(None, [(row.get("negative") or "").strip()])
    if not found:
        raise CorpusError(f"{', '.join(map(str, paths)) or 'no file'}: zero pairs; give a CSV with audio,caption rows")
    return [
        Clip(path, tuple(dict.fromkeys(captions)), label, tuple(dict.fromkeys(negatives)))
        for path, (captions, label, negatives) in found.items()
    ]


PAIR = ("audio", "caption")


def sound_rows(
    path: str | Path, columns: tuple[str, ...], *, filled: tuple[str, ...] = ("audio",)
) -> Iterator[tuple[str, dict[str, str]]]:
    """(path of the sound, row) of a CSV with these columns, of which the ``filled`` may not be empty.

    A relative path of a sound counts from the CSV's folder if a file is there, else from the working folder.
    Raises CorpusError with the file and line.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := set(columns) - set(reader.fieldnames or ()):
                absent = " or ".join(sorted(missing))
                raise CorpusError(f"{path}, line 1: no column {absent}; the header must name {','.join(columns)}")
            for row in reader:
                if not all((row[name] or "").strip() for name in filled):
                    raise CorpusError(
                        f"{path}, line {reader.line_num}: {' or '.join(filled)} is empty; fill or drop the row"
                    )
                audio = row["audio"].strip()
                beside = path.parent / audio
                yield str(beside if beside.is_file() else Path(audio)), row
    except OSError as error:
        raise CorpusError(f"{path}: cannot read ({error.strerror}); check the path") from error
    except csv.Error as error:
        raise CorpusError(f"{path}, line {reader.line_num}: broken CSV ({error}); check its quotes") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text; convert it first (iconv -t UTF-8)") from error


def _fingerprint(path: str) -> str:
    """The file's name, size and first megabyte: a copy with another date is the same sound."""
    try:
        with Path(path).open("rb") as file:
            return f"{path} {os.fstat(file.fileno()).st_size} {hashlib.sha256(file.read(1 << 20)).hexdigest()}"
    except OSError:
        return f"{path} missing"


class AudioStore:
    """All clips as int16 at one sample rate in ``<folder>/<name>.i16``, decoded once, memory-mapped after."""

    def __init__(self, clips: Sequence[Clip], sample_rate: int, folder: Path, name: str = "audio") -> None:
        self.sample_rate = sample_rate
        paths = [clip.path for clip in clips]
        facts = "\n".join((str(sample_rate), *map(_fingerprint, paths)))
        key = self.key = hashlib.sha256(facts.encode(errors="surrogateescape")).hexdigest()
        index, data = folder / f"{name}.json", folder / f"{name}.i16"
        if not (index.is_file() and data.is_file() and read_json(index)["key"] == key):
            offsets = self._decode(paths, data)
            write_json(index, {"key": key, "offsets": offsets})
        self.offsets: list[int] = read_json(index)["offsets"]
        self._samples = np.memmap(data, dtype="<i2", mode="r")

    def _decode(self, names: list[str], data: Path) -> list[int]:
        offsets, bad = [0], 0
        with (
            atomic_path(data) as path,
            path.open("wb") as file,
            ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
            progress("decoding", len(names), unit="files") as tick,
        ):
            parts = (names[first : first + AT_ONCE] for first in range(0, len(names), AT_ONCE))
            for samples in (samples for part in parts for samples in pool.map(self._read, part)):
                if isinstance(samples, AudioError):
                    bad += 1
                    if bad <= SHOWN:
                        say(f"skipped: {samples}")
                    samples = np.zeros(0, "<i2")
                file.write(samples.tobytes())
                offsets.append(offsets[-1] + len(samples))
                tick()
            if bad > SHOWN:
                say(f"skipped: {bad - SHOWN} more, {bad} of {len(names)} in all")
            if bad == len(names):
                raise AudioError(f"none of the {bad} sound files could be decoded; see the lines above")
        return offsets

    def _read(self, name: str) -> np.ndarray | AudioError:
        """Samples as int16, or why there are none."""
        try:
            samples = load_audio(name, self.sample_rate, max_seconds=CLIP_SECONDS).samples
        except AudioError as error:
            return error
        return (np.clip(samples, -1, 1) * 32767).astype("<i2")

    def __getitem__(self, clip: int) -> np.ndarray:
        """Samples of a clip, float32 in [-1, 1]; empty when it could not be decoded."""
        first, last = self.offsets[clip], self.offsets[clip + 1]
        return self._samples[first:last].astype(np.float32) / 32767.0

    def seconds(self, clip: int) -> float:
        return (self.offsets[clip + 1] - self.offsets[clip]) / self.sample_rate
