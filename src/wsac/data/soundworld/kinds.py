"""The kinds of sound in the sound world, which parameters each has, and how one event of a kind is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import animals, impacts, machines, music, nature, signals, voices
from .events import DISTANCE_DB, LOUDNESS_DB, PITCH, RATE, Event, Take
from .synthesis import Array, fast_length, sample_count, vary

Source = Callable[[np.random.Generator, Take, int], Array]
SHORTEST = 0.5  # seconds rendered at least, so that something happens before the end is cut
REFERENCE = 0.08  # RMS of the loudest third of a second of an unremarkable event
CREST = 7.0  # peaks above so many times the RMS are rounded off
DRY, ROOM, OPEN, HALL = (
    (0.0, 0.0),
    (0.1, 0.5),
    (0.0, 0.4),
    (0.3, 0.9),
)  # reverberation times, seconds


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sound.

    source: renders a Take; parameters: those of Event that are heard in this kind; period: seconds from stroke to
    stroke at rate 1, at most (0: not counted); tail: seconds that the last stroke needs; room: reverberation times.
    """

    name: str
    source: Source
    parameters: frozenset[str]
    period: float
    tail: float
    room: tuple[float, float]

    def render(self, rng: np.random.Generator, seconds: float, sample_rate: int) -> np.ndarray:
        """Render the kind with nothing remarkable: [T] float32 mono, |x| < 1, T = round(seconds * sample_rate)."""
        if not (seconds > 0 and sample_rate >= 8000):
            raise ValueError(
                f"cannot render {seconds} s at {sample_rate} Hz: use seconds > 0 and at least 8000 Hz"
            )
        return render_event(Event(self.name, seconds=seconds), rng, sample_rate)


def render_event(event: Event, rng: np.random.Generator, sample_rate: int = 16000) -> np.ndarray:
    """Render one event: [T] float32 mono, |x| < 1, T = round(event.seconds * sample_rate); same rng state, same sound.

    All events are brought to one loudness first; then ``loudness`` and ``distance`` make them fainter or louder.
    Raises ValueError for an unknown kind or a sample rate below 8000 Hz.
    """
    if event.kind not in KINDS or not sample_rate >= 8000:
        raise ValueError(
            f"cannot render {event.kind!r} at {sample_rate} Hz: use a name in KINDS and at least 8000 Hz"
        )
    kind = KINDS[event.kind]
    take = Take(max(event.seconds, SHORTEST), PITCH[event.pitch], RATE[event.rate], event.count)
    source = kind.source(rng, take, sample_rate)
    sound, heard = _record(rng, source, sample_rate, kind.room, event.distance)
    count = sample_count(event.seconds, sample_rate)
    sound, heard = sound[:count], heard[:count]
    sound = sound / max(_loudness(heard, sample_rate), 1e-9)
    sound = CREST * np.tanh(sound / CREST)
    gain = REFERENCE * 10 ** ((LOUDNESS_DB[event.loudness] + DISTANCE_DB[event.distance]) / 20)
    return (sound * _ends(count, sample_rate) * gain).astype(np.float32)


def _record(
    rng: np.random.Generator,
    source: Array,
    sample_rate: int,
    room: tuple[float, float],
    distance: int,
) -> tuple[Array, Array]:
    """A source [T] as a microphone takes it up, and the same as an ear weighs it (less bass).

    Far sounds lose their treble and have more room than voice; near ones have no room at all.
    """
    decay = 0.0 if distance < 0 else rng.uniform(*room) if distance == 0 else rng.uniform(0.8, 1.2)
    padded = fast_length(len(source) + int(decay * sample_rate))
    frequency = np.maximum(np.fft.rfftfreq(padded, 1 / sample_rate), 10.0)
    spectrum = np.fft.rfft(source, padded)
    if decay > 0.02:
        t = np.arange(int(decay * sample_rate)) / sample_rate
        echo = rng.standard_normal(len(t)) * np.exp(-6.9 * t / decay) * np.minimum(1, t / 0.005)
        wet = rng.uniform(0.7, 0.9) if distance > 0 else rng.uniform(0.1, 0.35)
        dark = 1 / np.sqrt((1 + (100 / frequency) ** 2) * (1 + (frequency / 3500) ** 2))
        spectrum *= 1 + wet * np.fft.rfft(echo, padded) / np.sqrt((echo**2).sum()) * dark
    if distance > 0:
        spectrum /= 1 + (frequency / vary(rng, 1300)) ** 2
    spectrum *= (frequency / 1000) ** rng.uniform(-0.15, 0.15) / np.sqrt(
        1 + (rng.uniform(20, 60) / frequency) ** 4
    )
    heard = np.fft.irfft(spectrum / np.sqrt(1 + (250 / frequency) ** 2), padded)[: len(source)]
    return np.fft.irfft(spectrum, padded)[: len(source)], heard


def _loudness(heard: Array, sample_rate: int) -> float:
    """RMS over the loudest third of a second, wherever it lies, so that pauses make nothing louder."""
    frame = max(1, sample_rate // 20)
    power = np.add.reduceat(heard**2, np.arange(0, len(heard), frame)) / frame
    return float(np.sqrt(np.sort(power)[-7:].mean()))


def _ends(count: int, sample_rate: int) -> Array:
    """Fades: 8 ms in, 80 ms out."""
    gain = np.ones(count)
    rise, fall = min(count // 4, int(0.008 * sample_rate)), min(count // 3, int(0.08 * sample_rate))
    if rise:
        gain[:rise] = np.linspace(0, 1, rise)
    if fall:
        gain[-fall:] *= np.linspace(1, 0, fall)
    return gain


# source, parameters, stroke period and tail in seconds, room
ROWS: tuple[tuple[Source, str, float, float, tuple[float, float]], ...] = (
    (nature.rain, "loudness", 0, 0, DRY),
    (nature.wind, "loudness", 0, 0, DRY),
    (nature.sea_waves, "loudness distance", 0, 0, DRY),
    (nature.thunder, "loudness distance", 0, 0, OPEN),
    (nature.stream, "loudness distance length", 0, 0, DRY),
    (nature.pouring, "loudness length", 0, 0, ROOM),
    (nature.drip, "pitch rate loudness", 0, 0, HALL),
    (nature.fire, "loudness", 0, 0, DRY),
    (animals.dog, "pitch rate count loudness distance", 0.61, 0.35, OPEN),
    (animals.cat, "pitch count loudness distance", 1.22, 0.85, ROOM),
    (animals.cow, "pitch count loudness distance", 1.78, 1.3, OPEN),
    (animals.sheep, "pitch count loudness distance", 1.22, 0.9, OPEN),
    (animals.duck, "pitch rate count loudness distance", 0.5, 0.3, OPEN),
    (animals.crow, "pitch rate count loudness distance", 0.78, 0.5, OPEN),
    (animals.frog, "pitch rate count loudness distance", 0.69, 0.4, OPEN),
    (animals.owl, "pitch loudness distance", 0, 0, OPEN),
    (animals.birds, "pitch loudness distance length", 0, 0, OPEN),
    (animals.crickets, "rate loudness", 0, 0, DRY),
    (animals.insect, "pitch loudness length", 0, 0, DRY),
    (voices.man, "pitch rate loudness distance length", 0, 0, ROOM),
    (voices.woman, "pitch rate loudness distance length", 0, 0, ROOM),
    (voices.crowd, "loudness distance length", 0, 0, HALL),
    (voices.baby, "loudness distance length", 0, 0, ROOM),
    (voices.cough, "count loudness distance", 0.69, 0.4, ROOM),
    (voices.snoring, "rate loudness", 0, 0, ROOM),
    (voices.whistle, "pitch loudness distance length", 0, 0, ROOM),
    (signals.siren, "pitch rate loudness distance length", 0, 0, HALL),
    (signals.alarm_clock, "pitch rate loudness length", 0, 0, ROOM),
    (signals.church_bell, "pitch rate count loudness distance", 1.17, 1.3, HALL),
    (signals.gong, "pitch count loudness", 1.77, 1.8, ROOM),
    (signals.clock, "rate loudness", 0, 0, ROOM),
    (signals.telephone, "pitch count loudness distance", 1.42, 1.1, ROOM),
    (signals.car_horn, "pitch rate count loudness distance", 0.72, 0.5, OPEN),
    (signals.hum, "pitch loudness length", 0, 0, DRY),
    (signals.static, "loudness length", 0, 0, DRY),
    (music.guitar, "pitch rate loudness distance", 0, 0, ROOM),
    (music.piano, "pitch rate loudness distance", 0, 0, HALL),
    (music.drums, "rate loudness distance", 0, 0, ROOM),
    (impacts.footsteps, "rate loudness distance", 0, 0, ROOM),
    (impacts.horse, "rate loudness distance", 0, 0, OPEN),
    (impacts.knocking, "rate count loudness distance", 0.4, 0.35, ROOM),
    (impacts.hammer, "rate count loudness distance", 0.56, 0.35, ROOM),
    (impacts.door, "count loudness distance", 1.11, 0.6, ROOM),
    (impacts.gunshot, "rate count loudness distance", 0.83, 0.7, OPEN),
    (impacts.fireworks, "loudness distance", 0, 0, HALL),
    (impacts.glass, "loudness distance", 0, 0, ROOM),
    (impacts.typing, "rate loudness", 0, 0, ROOM),
    (impacts.clapping, "loudness distance length", 0, 0, HALL),
    (machines.engine, "pitch loudness distance length", 0, 0, DRY),
    (machines.helicopter, "loudness distance", 0, 0, DRY),
    (machines.vacuum_cleaner, "loudness length", 0, 0, ROOM),
    (machines.drill, "pitch loudness distance length", 0, 0, ROOM),
    (machines.saw, "rate loudness distance", 0, 0, ROOM),
    (machines.train, "rate loudness distance", 0, 0, DRY),
    (machines.hiss, "loudness length", 0, 0, DRY),
)
KINDS: dict[str, Kind] = {
    source.__name__: Kind(source.__name__, source, frozenset(said.split()), period, tail, room)  # type: ignore[attr-defined]
    for source, said, period, tail, room in ROWS
}
