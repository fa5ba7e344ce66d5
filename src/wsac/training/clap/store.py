"""Decoded training sounds in one memory-mapped file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from wsac.clap.sounds import decode_many
from wsac.data.datasets.pairs import Clip
from wsac.io.checked_json import check_file, read_record, write_record
from wsac.io.console import progress, say
from wsac.io.files import atomic_path
from wsac.io.tensors import checksum_of
from wsac.types import AudioError, WsacError

CLIP_SECONDS = 30.0  # longer recordings are cut there
ERRORS_SHOWN = 5  # further files that cannot be decoded are only counted


class AudioStore:
    """All clips as int16 at one sample rate in ``<folder>/<name>.i16``, decoded once.

    key: a digest of the files, which have the same key after a copy that changes only their dates.
    A damaged file is made again. Raises AudioError if no file can be decoded.
    """

    def __init__(
        self, clips: Sequence[Clip], sample_rate: int, folder: Path, name: str = "audio"
    ) -> None:
        self.sample_rate = sample_rate
        paths = [clip.path for clip in clips]
        facts = "\n".join((str(sample_rate), *map(_fingerprint, paths)))
        self.key = hashlib.sha256(facts.encode(errors="surrogateescape")).hexdigest()
        index, data = folder / f"{name}.json", folder / f"{name}.i16"
        if (offsets := self._stored(index, data)) is None:
            offsets = self._decode(paths, data)
            index_facts = {"key": self.key, "offsets": offsets}
            write_record(index, index_facts, {data.name: checksum_of(data)})
        self.offsets = offsets
        self._samples = np.memmap(data, dtype="<i2", mode="r")

    def _stored(self, index: Path, data: Path) -> list[int] | None:
        """The offsets of the clips, None when they are not these clips, or damaged."""
        with suppress(WsacError, OSError):
            facts = read_record(index)
            if facts["key"] == self.key:
                check_file(data, facts)
                return list(facts["offsets"])
        return None

    def _decode(self, paths: list[str], data: Path) -> list[int]:
        offsets, errors = [0], 0
        with (
            atomic_path(data) as temporary,
            temporary.open("wb") as file,
            progress("decoding", len(paths), unit="files") as tick,
        ):
            for sound in decode_many(paths, self.sample_rate, max_seconds=CLIP_SECONDS):
                samples = np.zeros(0, "<i2")
                if not isinstance(sound, AudioError):
                    samples = (np.clip(sound.samples, -1, 1) * 32767).astype("<i2")
                elif (errors := errors + 1) <= ERRORS_SHOWN:
                    say(f"skipped: {sound}")
                file.write(samples.tobytes())
                offsets.append(offsets[-1] + len(samples))
                tick()
            if errors > ERRORS_SHOWN:
                say(f"skipped: {errors - ERRORS_SHOWN} more, {errors} of {len(paths)} in all")
            if errors == len(paths):
                what = f"none of the {errors} sound files could be decoded"
                raise AudioError(f"{what}; see the lines above")
        return offsets

    def __getitem__(self, row: int) -> np.ndarray:
        """Samples of a clip, float32 in [-1, 1]; empty if it could not be decoded."""
        return self._samples[slice(*self.offsets[row : row + 2])].astype(np.float32) / 32767.0

    def seconds(self, row: int) -> float:
        """The length of a clip, 0 if it could not be decoded."""
        return (self.offsets[row + 1] - self.offsets[row]) / self.sample_rate


def _fingerprint(path: str) -> str:
    """The file's name, size and a hash of its first megabyte."""
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.sha256(file.read(1 << 20)).hexdigest()
            return f"{path} {os.fstat(file.fileno()).st_size} {digest}"
    except OSError:
        return f"{path} missing"
