"""What an event is: a kind of sound and the parameters of it that can be heard and said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .synthesis import Array

LEVELS = (
    "pitch",
    "rate",
    "loudness",
    "distance",
    "length",
)  # each -1, 0 or +1; 0 is unremarkable and never said
PITCH = {-1: 0.6, 0: 1.0, 1: 1.7}  # factor on frequencies
RATE = {-1: 0.55, 0: 1.0, 1: 1.8}  # factor on the speed of repetition
LOUDNESS_DB = {-1: -14.0, 0: 0.0, 1: 5.0}
DISTANCE_DB = {-1: 0.0, 0: 0.0, 1: -9.0}
MOST = 4  # the highest count


@dataclass(frozen=True, slots=True)
class Event:
    """One sound in a scene.

    kind: a name in KINDS. pitch: low or high. rate: slow or fast. count: how many strokes exactly (1 to 4), or None:
    as many as fit. loudness: faint or loud. distance: near or far. length: brief or long beside the rest of the scene;
    it is a word for ``seconds`` and changes nothing in the sound. All levels are -1, 0 or +1.
    Raises ValueError for a level, a count or a length that is none.
    """

    kind: str
    pitch: int = 0
    rate: int = 0
    count: int | None = None
    loudness: int = 0
    distance: int = 0
    length: int = 0
    seconds: float = 5.0

    def __post_init__(self) -> None:
        for name in LEVELS:
            if getattr(self, name) not in (-1, 0, 1):
                raise ValueError(f"{name} is {getattr(self, name)!r}: use -1, 0 or 1")
        if self.count is not None and not 1 <= self.count <= MOST:
            raise ValueError(f"count is {self.count}: use 1 to {MOST}, or None")
        if not self.seconds > 0:
            raise ValueError(f"seconds is {self.seconds}: use more than 0")


@dataclass(frozen=True, slots=True)
class Take:
    """What a renderer is asked for. pitch, rate: factors; count: strokes exactly, or None for as many as fit."""

    seconds: float
    pitch: float = 1.0
    rate: float = 1.0
    count: int | None = None


LEAD = 0.06  # seconds before the first stroke


def strokes(
    rng: np.random.Generator, take: Take, period: float, jitter: float = 0.05
) -> list[float]:
    """Times of the strokes in seconds: exactly ``take.count`` of them, or one every ``period / take.rate`` to the end.

    Counted strokes move closer together rather than fall off the end.
    """
    gap = period / take.rate
    if take.count is not None:
        gap = min(gap, (take.seconds - LEAD) / take.count)
        return [LEAD + i * gap * (1 + rng.uniform(-jitter, jitter) / 2) for i in range(take.count)]
    times = [LEAD + rng.uniform(0, min(0.2, take.seconds / 8, gap))]
    while times[-1] + 0.9 * gap < take.seconds:
        times.append(times[-1] + gap * (1 + rng.uniform(-jitter, jitter)))
    return times


def clockwork(count: int, sample_rate: int, rate: float | Array, phase: float = 0.0) -> Array:
    """A ramp [count] that runs from 0 to 1 ``rate`` times a second."""
    if isinstance(rate, np.ndarray):
        return (np.cumsum(rate) / sample_rate + phase) % 1
    return (np.arange(count) * (rate / sample_rate) + phase) % 1
