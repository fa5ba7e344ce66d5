"""A sound as a stream: by how much something rises above the floor, in bounded memory.

A reel holds the part that is still looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .floor import BLOCK, excess, floor_of
from .spectrum import BANDS, DECIBELS, Spectrum
from .thresholds import Thresholds

STEP = 100  # blocks that are looked at together: 10 s


@dataclass(frozen=True, slots=True)
class Rising:
    """A stretch of a sound of whole blocks of 0.1 s; of one series, each follows the last.

    samples: [T]. excess: dB above the floor, of each frame. power, floor_power: dB of each frame
    and of its floor. change: mean dB between the floors before and after each block. read: the
    seconds of sound that were read for it.
    """

    samples: np.ndarray
    excess: np.ndarray
    power: np.ndarray
    floor_power: np.ndarray
    change: np.ndarray
    read: float


def risings(
    blocks: Iterable[np.ndarray], sample_rate: int, numbers: Thresholds
) -> Iterator[Rising]:
    """The stretches of a stream of samples, each as soon as ``look`` seconds behind it are read."""
    spectrum = Spectrum(sample_rate)
    look = round(numbers.look / (BLOCK * spectrum.hop / sample_rate))
    samples = np.zeros(0, np.float32)  # of the next stretch and all behind it
    frames = np.empty((0, BANDS), np.float32)  # from `before` blocks before the next stretch
    before, read = 0, 0
    behind = np.empty((0, BANDS), np.float32)  # floors after these blocks

    def cut(count: int) -> Rising:
        nonlocal samples, frames, before, behind
        means = frames[: len(frames) // BLOCK * BLOCK].reshape(-1, BLOCK, BANDS).mean(axis=1)
        floors = floor_of(means, before, before + count, numbers, behind)
        floor = floors.max(axis=0).repeat(BLOCK, axis=0)
        here = slice(before * BLOCK, (before + count) * BLOCK)
        length = count * BLOCK * spectrum.hop
        rising = Rising(
            samples[:length].copy(),
            excess(frames, here, floor),
            _power(frames[here]),
            _power(floor),
            np.abs(floors[0] - floors[1]).mean(axis=1),
            read / sample_rate,
        )
        drop = max(0, before + count - look)
        samples, frames = samples[length:], frames[drop * BLOCK :]
        behind = np.concatenate((behind, floors[1]))[drop:]
        before += count - drop
        return rising

    for block in _gathered(blocks, sample_rate):
        read += len(block)
        samples = np.concatenate((samples, block))
        frames = np.concatenate((frames, spectrum.add(block)))
        while len(frames) // BLOCK - before >= STEP + look:
            yield cut(STEP)
    frames = np.concatenate((frames, spectrum.add(np.zeros(0, np.float32), last=True)))
    if missing := -len(frames) % BLOCK:  # the last block may be incomplete
        frames = np.concatenate((frames, frames[-1:].repeat(missing, axis=0)))
    while (left := len(frames) // BLOCK - before) > 0:
        yield cut(min(STEP, left))


def _power(frames: np.ndarray) -> np.ndarray:
    """The power of frames ``[N, bands]`` over all bands, in dB."""
    return DECIBELS * np.log(np.exp(frames / DECIBELS).sum(axis=1))


def _gathered(blocks: Iterable[np.ndarray], least: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of ``least`` or more: videos come in frames of 20 ms."""
    parts: list[np.ndarray] = []
    count = 0
    for block in blocks:
        parts.append(block)
        count += len(block)
        if count >= least:
            yield np.concatenate(parts)
            parts, count = [], 0
    if parts:
        yield np.concatenate(parts)


class Reel:
    """The frames ``first`` to ``end`` of a sound; all positions are frames of the whole sound.

    hop: samples of a frame.
    """

    SERIES = ("samples", "excess", "power", "floor_power", "change")

    def __init__(self, hop: int) -> None:
        self.first, self.end = 0, 0
        # how many values of each series there are per frame
        self._rates = dict(zip(self.SERIES, (hop, 1, 1, 1, 1 / 5), strict=True))
        self._parts: dict[str, np.ndarray] = {name: np.zeros(0, np.float32) for name in self._rates}
        self.seconds = 0.0

    def add(self, rising: Rising) -> None:
        for name, values in self._parts.items():
            self._parts[name] = np.concatenate((values, getattr(rising, name)))
        self.end += len(rising.excess)

    def drop(self, before: int) -> None:
        """Forget the frames before this one; whole blocks only."""
        before -= before % 5
        for name, rate in self._rates.items():
            self._parts[name] = self._parts[name][round((before - self.first) * rate) :]
        self.first = before

    def series(self, name: str, start: int, end: int) -> np.ndarray:
        """One of SERIES from frame ``start`` to ``end``."""
        first, last = (round((x - self.first) * self._rates[name]) for x in (start, end))
        return self._parts[name][max(0, first) : last]

    def samples(self, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """The samples of each of these spans."""
        return [self.series("samples", *span) for span in spans]
