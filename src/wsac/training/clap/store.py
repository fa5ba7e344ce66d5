"""Decoded training sounds in one memory-mapped file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsac.clap.sounds import decode_many
from wsac.data.datasets.pairs import Clip
from wsac.io.console import progress, say
from wsac.io.files import atomic_path, read_json, write_json
from wsac.types import AudioError

CLIP_SECONDS = 30.0  # longer recordings are cut there


SHOWN = 5  # files that cannot be decoded are named, the others counted


def _fingerprint(path: str) -> str:
    """The file's name, size and first megabyte: a copy with another date is the same sound."""
    try:
        with Path(path).open("rb") as file:
            return f"{path} {os.fstat(file.fileno()).st_size} {hashlib.sha256(file.read(1 << 20)).hexdigest()}"
    except OSError:
        return f"{path} missing"


class AudioStore:
    """All clips as int16 at one sample rate in ``<folder>/<name>.i16``, decoded once, memory-mapped after."""

    def __init__(
        self, clips: Sequence[Clip], sample_rate: int, folder: Path, name: str = "audio"
    ) -> None:
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
            progress("decoding", len(names), unit="files") as tick,
        ):
            for sound in decode_many(names, self.sample_rate, max_seconds=CLIP_SECONDS):
                samples = np.zeros(0, "<i2")
                if not isinstance(sound, AudioError):
                    samples = (np.clip(sound.samples, -1, 1) * 32767).astype("<i2")
                elif (bad := bad + 1) <= SHOWN:
                    say(f"skipped: {sound}")
                file.write(samples.tobytes())
                offsets.append(offsets[-1] + len(samples))
                tick()
            if bad > SHOWN:
                say(f"skipped: {bad - SHOWN} more, {bad} of {len(names)} in all")
            if bad == len(names):
                raise AudioError(
                    f"none of the {bad} sound files could be decoded; see the lines above"
                )
        return offsets

    def __getitem__(self, clip: int) -> np.ndarray:
        """Samples of a clip, float32 in [-1, 1]; empty when it could not be decoded."""
        first, last = self.offsets[clip], self.offsets[clip + 1]
        return self._samples[first:last].astype(np.float32) / 32767.0

    def seconds(self, clip: int) -> float:
        return (self.offsets[clip + 1] - self.offsets[clip]) / self.sample_rate
