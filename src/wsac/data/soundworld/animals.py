"""Animals. Each renders a Take as float64 [T]; a low voice belongs to a large body, so the throat is longer too."""

from __future__ import annotations

import numpy as np

from .events import Take, clockwork, strokes
from .synthesis import (
    Array,
    add_at,
    band,
    glide,
    noise,
    sample_count,
    swell,
    tone,
    unit_peak,
    vary,
    wander,
)
from .voices import Peaks, voice


def _calls(
    rng: np.random.Generator,
    take: Take,
    sample_rate: int,
    period: float,
    length: tuple[float, float],
    bend: tuple[float, ...],
    pitch: float,
    peaks: Peaks,
    ends: tuple[float, float],
    *,
    tilt: float,
    breath: float,
    rough: float,
) -> Array:
    """One call after another: a pitch that bends through these values, voiced through formants (of pitch 1)."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    body = take.pitch**0.65
    pitch = vary(rng, pitch) * take.pitch

    def sized(position: Array) -> tuple[tuple[Array | float, float, float], ...]:
        return tuple((centre * body, width * body, gain) for centre, width, gain in peaks(position))

    for start in strokes(rng, take, period, 0.12):
        count = sample_count(rng.uniform(*length), sample_rate)
        f0 = pitch * rng.uniform(0.96, 1.04) * glide(count, *bend)
        call = voice(rng, f0, sample_rate, sized, tilt=tilt, breath=breath, rough=rough)
        add_at(out, call * swell(count, *ends) * rng.uniform(0.85, 1.0), int(start * sample_rate))
    return out


def dog(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Barks: a rough pitch arch, a mouth that opens and shuts, and a burst of breath."""

    def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
        mouth = np.interp(x, (0, 0.5, 1), (0.75, 1.15, 0.85))
        return (700 * mouth, 350, 1.0), (1500 * mouth, 500, 0.7), (2900 * mouth, 900, 0.35)

    breath = rng.uniform(0.3, 0.6)
    bend = (1.0, 1.4, 1.25, 0.7)
    manner = {"tilt": 0.5, "breath": breath, "rough": 0.35}
    return _calls(
        rng,
        take,
        sample_rate,
        vary(rng, 0.55),
        (0.14, 0.22),
        bend,
        330,
        peaks,
        (0.12, 0.6),
        **manner,
    )


def cat(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Meows: a mouth that opens and closes over a bending pitch."""

    def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
        first = np.interp(x, (0, 0.35, 0.7, 1), (500, 1150, 1000, 600))
        return (
            (first, 350, 1.0),
            (np.interp(x, (0, 0.3, 0.7, 1), (2500, 2300, 1700, 1200)), 500, 0.6),
            (4200, 900, 0.2),
        )

    bend = (0.85, 1.35, 1.3, 1.15, 0.85)
    manner = {"tilt": 0.35, "breath": 0.06, "rough": 0.05}
    return _calls(
        rng,
        take,
        sample_rate,
        vary(rng, 1.1),
        (0.55, 0.75),
        bend,
        480,
        peaks,
        (0.2, 0.45),
        **manner,
    )


def cow(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A long low moo that opens from a hum."""

    def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
        first = np.interp(x, (0, 0.3, 0.8, 1), (250, 520, 560, 350))
        return (first, 160, 1.0), (first * 2 + 150, 250, 0.5), (2300, 500, 0.12)

    bend = (0.9, 1.25, 1.35, 1.3, 0.85)
    manner = {"tilt": 0.6, "breath": 0.08, "rough": 0.2}
    return _calls(
        rng, take, sample_rate, vary(rng, 1.6), (0.95, 1.2), bend, 120, peaks, (0.25, 0.3), **manner
    )


def sheep(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A bleat: a bright open vowel, shaken seven times a second."""

    def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
        return (780, 220, 1.0), (1750, 300, 0.7), (2700, 500, 0.35)

    shake = tuple(1 + (0.05 if i % 2 else -0.05) for i in range(11))
    manner = {"tilt": 0.4, "breath": 0.12, "rough": 0.35}
    return _calls(
        rng,
        take,
        sample_rate,
        vary(rng, 1.1),
        (0.65, 0.8),
        shake,
        290,
        peaks,
        (0.1, 0.25),
        **manner,
    )


def duck(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Quacks: a nasal buzz of a seventh of a second."""

    def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
        return (1150 - 150 * x, 260, 1.0), (2300, 400, 0.7), (3300, 700, 0.3)

    manner = {"tilt": 0.15, "breath": 0.15, "rough": 0.3}
    return _calls(
        rng,
        take,
        sample_rate,
        vary(rng, 0.45),
        (0.13, 0.17),
        (1, 1.1, 0.9),
        190,
        peaks,
        (0.15, 0.4),
        **manner,
    )


def crow(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Caws: harsh, flat, falling a little."""

    def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
        return (1300 - 200 * x, 500, 1.0), (2000, 700, 0.8), (3600, 900, 0.3)

    bend = (1.0, 1.08, 1.05, 0.9)
    manner = {"tilt": 0.1, "breath": 0.5, "rough": 0.6}
    return _calls(
        rng,
        take,
        sample_rate,
        vary(rng, 0.7),
        (0.28, 0.36),
        bend,
        400,
        peaks,
        (0.1, 0.25),
        **manner,
    )


def frog(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Croaks: a train of fast pulses that ring in the throat."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    note, pulses = vary(rng, 560) * take.pitch, vary(rng, 55)
    for start in strokes(rng, take, vary(rng, 0.62)):
        count = sample_count(rng.uniform(0.24, 0.3), sample_rate)
        pulse = np.exp(-5 * clockwork(count, sample_rate, pulses * glide(count, 0.85, 1.1)))
        croak = (
            tone(note * glide(count, 0.9, 1.1, 1.0), sample_rate, (1.0, 0.7, 0.35, 0.2, 0.1))
            * pulse
        )
        add_at(out, croak * swell(count, 0.3, 0.3) * rng.uniform(0.85, 1), int(start * sample_rate))
    return out


def owl(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Hoo, hoo-hoo, hooo: mellow, nearly pure notes."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    pitch = vary(rng, 400) * take.pitch
    for start in strokes(rng, take, vary(rng, 2.1)):
        at = start
        for length, pause in ((0.3, 0.25), (0.14, 0.06), (0.14, 0.06), (0.42, 0.0)):
            count = sample_count(length, sample_rate)
            hoot = tone(pitch * glide(count, 0.94, 1.0, 1.0, 0.93), sample_rate, (1.0, 0.12, 0.05))
            add_at(out, hoot * swell(count, 0.25, 0.35), int(at * sample_rate))
            at += length + pause
    return out + 0.004 * noise(rng, len(out), sample_rate, band(200, 2000))


def birds(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Two or three birds, each with its own few syllables (sweeps, trills, whistles), near or far."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    for bird in range(int(rng.integers(2, 4))):
        distance = 1.0 if bird == 0 else rng.uniform(0.15, 0.5)
        low = vary(rng, 2400) * take.pitch
        syllables = [_syllable(rng, low, sample_rate) for _ in range(int(rng.integers(1, 4)))]
        for start in strokes(rng, Take(take.seconds), rng.uniform(0.9, 1.3), 0.4):
            at = start
            for _ in range(int(rng.integers(2, 7))):
                syllable = syllables[int(rng.integers(len(syllables)))]
                add_at(out, syllable * distance * rng.uniform(0.6, 1.0), int(at * sample_rate))
                at += len(syllable) / sample_rate + rng.uniform(0.02, 0.08)
    return out


def _syllable(rng: np.random.Generator, low: float, sample_rate: int) -> Array:
    count = sample_count(rng.uniform(0.05, 0.18), sample_rate)
    pitch = glide(count, *(low * rng.uniform(0.85, 1.45, int(rng.integers(2, 5)))))
    if rng.random() < 0.4:
        trill = np.sin(2 * np.pi * rng.uniform(25, 50) * np.arange(count) / sample_rate)
        pitch = pitch * (1 + rng.uniform(0.03, 0.1) * trill)
    return tone(pitch, sample_rate, (1.0, rng.uniform(0.02, 0.1))) * swell(count, 0.25, 0.4)


def crickets(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A near cricket in groups of quick pulses, and others further off."""
    count = sample_count(take.seconds, sample_rate)
    out = np.zeros(count)
    ramp = np.hanning(max(3, int(0.012 * sample_rate)))
    for cricket in range(int(rng.integers(2, 5))):
        song = tone(np.full(count, vary(rng, 4400, 0.1)), sample_rate, (1.0,))
        pulses = np.clip(
            np.sin(2 * np.pi * clockwork(count, sample_rate, rng.uniform(26, 40))), 0, 1
        )
        rate = vary(rng, 2.2) * take.rate
        gate = (clockwork(count, sample_rate, rate, rng.random()) < rng.uniform(0.35, 0.5)).astype(
            float
        )
        edges = np.flatnonzero(np.diff(gate))
        for edge in edges:  # soften the ends of each chirp
            a, b = max(0, edge - len(ramp) // 2), min(count, edge + len(ramp) // 2)
            gate[a:b] = np.linspace(gate[a], gate[b - 1], b - a)
        out += song * pulses * gate * (1.0 if cricket == 0 else rng.uniform(0.05, 0.25))
    return out + 0.01 * noise(rng, count, sample_rate, band(80, 5000, 1), tilt=1.0)


def insect(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A fly or a bee: a buzzing wing beat that comes near, turns, and goes."""
    count = sample_count(take.seconds, sample_rate)
    restless = 0.08 * wander(rng, count, sample_rate, 2.5) + 0.01 * wander(
        rng, count, sample_rate, 25
    )
    pitch = vary(rng, 190) * take.pitch * (1 + restless)
    near = 0.15 + (0.5 + 0.5 * wander(rng, count, sample_rate, 1.2)) ** 2
    gains = [k**-0.4 / np.sqrt(1 + (k * 190 / 2400) ** 2) for k in range(1, 40)]
    return unit_peak(tone(pitch, sample_rate, gains)) * near
