"""The kinds of sound in the sound world: a renderer and true phrases for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import nature, objects, signals, voices
from .synthesis import record, sample_count
from .vocabulary import WORDS

Render = Callable[[np.random.Generator, float, int], np.ndarray]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sound.

    render: ``(rng, seconds, sample_rate) -> [T]`` float32 mono, |x| < 1, T = round(seconds * sample_rate); all that
    varies from one recording to the next comes from rng. phrases: clauses such as "a dog barks", lower-case, without a
    period, so that "A while B", "A and B" and "A, then B" are sentences.
    """

    name: str
    render: Render
    phrases: tuple[str, ...]


DRY, ROOM, OPEN = (0.0, 0.0), (0.1, 0.7), (0.0, 0.5)  # reverberation times, seconds
SOURCES: tuple[tuple[Render, tuple[float, float]], ...] = (
    (nature.rain, DRY),
    (nature.wind, DRY),
    (nature.sea_waves, DRY),
    (nature.thunder, OPEN),
    (nature.stream, DRY),
    (nature.fire, DRY),
    (voices.dog, OPEN),
    (voices.cat, ROOM),
    (voices.cow, OPEN),
    (nature.birds, OPEN),
    (nature.crickets, DRY),
    (nature.insect, DRY),
    (voices.man, ROOM),
    (voices.woman, ROOM),
    (voices.baby, ROOM),
    (signals.siren, (0.1, 1.2)),
    (signals.alarm_clock, ROOM),
    (signals.church_bell, (0.2, 1.2)),
    (signals.clock, ROOM),
    (signals.telephone, ROOM),
    (signals.car_horn, OPEN),
    (signals.guitar, ROOM),
    (objects.footsteps, ROOM),
    (objects.knocking, ROOM),
    (objects.typing, ROOM),
    (objects.clapping, (0.3, 1.2)),
    (objects.engine, DRY),
    (objects.helicopter, DRY),
    (objects.vacuum_cleaner, ROOM),
    (objects.fireworks, (0.3, 1.2)),
)


def _kind(source: Render, room: tuple[float, float]) -> Kind:
    def render(rng: np.random.Generator, seconds: float, sample_rate: int) -> np.ndarray:
        if not (seconds > 0 and sample_rate >= 8000):
            raise ValueError(f"cannot render {seconds} s at {sample_rate} Hz: use seconds > 0 and at least 8000 Hz")
        signal = source(rng, max(seconds, 0.5), sample_rate)  # half a second at least, so that something happens
        return record(rng, signal, sample_rate, room)[: sample_count(seconds, sample_rate)]

    name = source.__name__  # type: ignore[attr-defined]
    return Kind(name, render, tuple(clause.finite() for clause in WORDS[name].clauses))


KINDS: dict[str, Kind] = {kind.name: kind for kind in (_kind(*row) for row in SOURCES)}
