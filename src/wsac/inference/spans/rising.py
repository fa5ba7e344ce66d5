"""A sound as a stream: by how much something rises above the floor, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
