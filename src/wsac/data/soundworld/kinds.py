"""The kinds of sound, how an event of each is recorded, and how a whole scene is mixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from .scene import Event, Scene, read_table
from .synthesis import Array, band, fast_length, sample_count
from .take import Take

PITCH = {-1: 0.6, 0: 1.0, 1: 1.7}  # factor on frequencies
RATE = {-1: 0.55, 0: 1.0, 1: 1.8}  # factor on the speed of repetition
LOUDNESS_DB = {-1: -14.0, 0: 0.0, 1: 5.0}
DISTANCE_DB = {-1: 0.0, 0: 0.0, 1: -9.0}
SHORTEST = 0.5  # seconds to render at least, so that something happens before the end is cut
REFERENCE = 0.08  # RMS of the loudest third of a second of an unremarkable event
CREST = 7.0  # peaks that exceed this multiple of the RMS are rounded off
ROOMS = {"dry": (0.0, 0.0), "room": (0.1, 0.5), "open": (0.0, 0.4), "hall": (0.3, 0.9)}
TABLE: dict[str, dict[str, Any]] = read_table("kinds")  # family, name, and what a kind has


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sound.

    source: plays a take. parameters: those of Event that are audible in this kind. period: longest
    time from stroke to stroke at normal rate, seconds (0: not counted). tail: time that the last
    stroke needs, seconds. room: shortest and longest reverberation time, seconds.
    """

    name: str
    source: Callable[[Take], Array]
    parameters: frozenset[str]
    period: float
    tail: float
    room: tuple[float, float]

    def render(self, rng: np.random.Generator, seconds: float, sample_rate: int) -> np.ndarray:
        """Render the kind with nothing remarkable: [T] float32, as ``render_event``."""
        return render_event(Event(self.name, seconds=seconds), rng, sample_rate)


def render_event(event: Event, rng: np.random.Generator, sample_rate: int = 16000) -> np.ndarray:
    """Render one event: [T] float32 mono, |x| < 1, T = round(event.seconds * sample_rate).

    The same state of rng gives the same sound. All events are brought to one loudness first;
    then ``loudness`` and ``distance`` make them fainter or louder.
    Raises ValueError for an unknown kind or a sample rate below 8000 Hz.
    """
    if event.kind not in KINDS or not sample_rate >= 8000:
        remedy = "use a name in KINDS and at least 8000 Hz"
        raise ValueError(f"cannot render {event.kind!r} at {sample_rate} Hz: {remedy}")
    kind, seconds = KINDS[event.kind], max(event.seconds, SHORTEST)
    take = Take(rng, sample_rate, seconds, PITCH[event.pitch], RATE[event.rate], event.count)
    recording, weighted = _record(take, kind.source(take), kind.room, event.distance)
    count = sample_count(event.seconds, sample_rate)
    sound = recording[:count] / max(_loudness(weighted[:count], sample_rate), 1e-9)
    sound = CREST * np.tanh(sound / CREST)
    gain = REFERENCE * 10 ** ((LOUDNESS_DB[event.loudness] + DISTANCE_DB[event.distance]) / 20)
    return (sound * _fades(count, sample_rate) * gain).astype(np.float32)


def render_scene(
    scene: Scene, rng: np.random.Generator, seconds: float | None = None, sample_rate: int = 16000
) -> np.ndarray:
    """Render a scene: [T] float32 mono, |x| < 1, T = round(seconds * sample_rate).

    The same state of rng gives the same sound. seconds: default, the length of the scene; less
    cuts the end off, more adds the silence of a room.
    """
    take = Take(rng, sample_rate, scene.seconds if seconds is None else seconds)
    mix = take.noise(band(40, 12000), tilt=1.0) * 10 ** rng.uniform(-3.6, -3.1)
    for placed in scene.placed:
        at = round(placed.start * sample_rate)
        sound = render_event(placed.event, rng, sample_rate)[: max(0, len(mix) - at)]
        mix[at : at + len(sound)] += sound * 10 ** (placed.gain_db / 20)
    mix *= 10 ** (rng.uniform(-2, 2) / 20)
    return (mix * min(1.0, 0.97 / max(float(np.abs(mix).max()), 1e-9))).astype(np.float32)


def _record(
    take: Take, source: Array, room: tuple[float, float], distance: int
) -> tuple[Array, Array]:
    """A source [T] as a microphone records it, and the same as the ear weighs it (less bass).

    Far sounds lose their treble and gain reverberation; near sounds have no reverberation.
    """
    rng, sample_rate = take.rng, take.sample_rate
    decay = 0.0 if distance < 0 else rng.uniform(*(room if distance == 0 else (0.8, 1.2)))
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
        spectrum /= 1 + (frequency / take.vary(1300)) ** 2
    colour = (frequency / 1000) ** rng.uniform(-0.15, 0.15)
    spectrum *= colour / np.sqrt(1 + (rng.uniform(20, 60) / frequency) ** 4)
    weighted = np.fft.irfft(spectrum / np.sqrt(1 + (250 / frequency) ** 2), padded)
    return np.fft.irfft(spectrum, padded)[: len(source)], weighted[: len(source)]


def _loudness(weighted: Array, sample_rate: int) -> float:
    """RMS over the loudest third of a second, wherever it lies, so that pauses change nothing."""
    frame = max(1, sample_rate // 20)
    power = np.add.reduceat(weighted**2, np.arange(0, len(weighted), frame)) / frame
    return float(np.sqrt(np.sort(power)[-7:].mean()))


def _fades(count: int, sample_rate: int) -> Array:
    """Gains [count] that fade in over 8 ms and out over 80 ms."""
    gain = np.ones(count)
    rise, fall = min(count // 4, int(0.008 * sample_rate)), min(count // 3, int(0.08 * sample_rate))
    gain[:rise] = np.linspace(0, 1, rise)
    gain[count - fall :] *= np.linspace(1, 0, fall)
    return gain


def _kind(family: str, name: str, row: dict[str, Any]) -> Kind:
    """A row of kinds.toml, played by the function of its name in the module of its family."""
    source = getattr(import_module(f"{__package__}.{family}"), name)
    parameters, room = frozenset(row["parameters"]), ROOMS[row["room"]]
    return Kind(name, source, parameters, row.get("period", 0), row.get("tail", 0), room)


KINDS: dict[str, Kind] = {
    name: _kind(family, name, row) for family, rows in TABLE.items() for name, row in rows.items()
}
