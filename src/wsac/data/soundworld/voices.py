"""People: speech, cries, coughs, snores and whistles. Each renders a Take as float64 [T]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .events import Take, strokes
from .synthesis import (
    Array,
    add_at,
    band,
    falling,
    formants,
    glide,
    moving_filter,
    noise,
    sample_count,
    swell,
    tone,
    unit_rms,
    vary,
    wander,
)

Peaks = Callable[[Array], tuple[tuple[Array | float, float, float], ...]]
VOWELS = (
    (300, 2200),
    (420, 1900),
    (600, 1750),
    (720, 1200),
    (560, 900),
    (350, 850),
    (500, 1400),
)  # F1, F2 of a man


def voice(
    rng: np.random.Generator,
    f0: Array,
    sample_rate: int,
    peaks: Peaks,
    *,
    tilt: float,
    breath: float,
    rough: float,
    floor: float = 0.01,
) -> Array:
    """Voice a pitch curve f0 [T] through formants that move; unit RMS.

    peaks: ``(position [F, 1]) -> (centre, width, gain)`` of each formant, the position from 0 to 1 along the sound.
    tilt: how fast the harmonics fall; breath: noise against voice; rough: irregularity.
    """
    count = len(f0)
    f0 = f0 * (1 + 0.05 * rough * wander(rng, count, sample_rate, 60))
    source = unit_rms(tone(f0, sample_rate, falling(tilt))) * (
        1 + rough * wander(rng, count, sample_rate, 90)
    )
    source = source + breath * rng.standard_normal(count)

    def response(position: Array, frequency: Array) -> Array:
        total = np.full(np.broadcast_shapes(position.shape, frequency.shape), floor)
        for centre, width, gain in peaks(position):
            total = total + gain / (1 + ((frequency - centre) / (width / 2)) ** 2)
        return total

    return unit_rms(moving_filter(source, sample_rate, response))


def man(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A man's voice, too far away to catch the words."""
    return speech(rng, take, sample_rate, pitch=vary(rng, 115, 0.08), tract=1.0)


def woman(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A woman's voice, too far away to catch the words."""
    return speech(rng, take, sample_rate, pitch=vary(rng, 215, 0.08), tract=1.17)


def speech(
    rng: np.random.Generator, take: Take, sample_rate: int, pitch: float, tract: float
) -> Array:
    """Syllables of moving vowels with hissed consonants between, in breath groups; a deep voice is 0.84 as high."""
    count = sample_count(take.seconds, sample_rate)
    pitch, tract = pitch * take.pitch**0.35, tract * take.pitch**0.05
    knots: list[
        tuple[float, float, float, float, float, float]
    ] = []  # seconds, level, pitch, F1, F2, hiss
    at = rng.uniform(0, 0.06)
    while at < take.seconds:
        syllables = int(rng.integers(4, 10))
        for i in range(syllables):
            length = rng.uniform(0.13, 0.24) / take.rate
            first, last = (VOWELS[int(j)] for j in rng.integers(0, len(VOWELS), 2))
            tune = (1.14 - 0.26 * i / syllables) * rng.uniform(0.92, 1.1)
            level, hiss = (
                rng.uniform(0.5, 1.0),
                rng.uniform(0.1, 0.4) if rng.random() < 0.5 else 0.0,
            )
            knots.append((at, 0.03, tune, *first, hiss))
            knots.append((at + 0.35 * length, level, tune * 1.03, *first, 0.0))
            knots.append((at + 0.7 * length, level * 0.8, tune * 0.98, *last, 0.0))
            at += length
        knots.append((at, 0.0, 0.9, *last, 0.0))
        at += rng.uniform(0.12, 0.45)
        knots.append((at - 0.02, 0.0, 0.9, *last, 0.0))
    curve = np.array(knots).T
    t = np.arange(count) / sample_rate
    level, tune, hiss = (np.interp(t, curve[0], curve[i]) for i in (1, 2, 5))

    def peaks(position: Array) -> tuple[tuple[Array | float, float, float], ...]:
        now = position * take.seconds
        f1, f2 = (tract * np.interp(now, curve[0], curve[i]) for i in (3, 4))
        return (f1, 100, 1.0), (f2, 140, 0.5), (2500 * tract, 240, 0.25), (3400 * tract, 320, 0.12)

    voiced = (
        voice(rng, pitch * tune, sample_rate, peaks, tilt=0.9, breath=0.03, rough=0.06, floor=0.003)
        * level
    )
    place = rng.uniform(3000, 5500)
    return (
        voiced + noise(rng, count, sample_rate, formants((place, place / 2, 1.0), floor=0.0)) * hiss
    )


def crowd(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Seven people who all speak at once, in the murmur of many more."""
    count = sample_count(take.seconds, sample_rate)
    out = np.zeros(count)
    for i in range(7):
        low = i % 2 == 0
        pitch, tract = (rng.uniform(95, 140), 1.0) if low else (rng.uniform(180, 245), 1.17)
        out += speech(rng, Take(take.seconds), sample_rate, pitch, tract) * rng.uniform(0.5, 1.0)
    murmur = noise(rng, count, sample_rate, formants((450, 500, 1.0), (1300, 900, 0.3), floor=0.01))
    return unit_rms(out) + 0.5 * murmur * (1 + 0.2 * wander(rng, count, sample_rate, 4))


def baby(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Cries of about a second with a catch of breath between."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    pitch = vary(rng, 440)
    for start in strokes(rng, take, 1.2, 0.1):
        count = sample_count(rng.uniform(0.75, 1.0), sample_rate)
        bend = glide(count, 0.85, *rng.uniform(1.0, 1.25, 3), 0.8)
        f0 = pitch * bend * (1 + 0.015 * wander(rng, count, sample_rate, 30))

        def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
            mouth = np.interp(x, (0, 0.2, 0.8, 1), (0.7, 1, 1, 0.7))
            return (1050 * mouth, 450, 1.0), (2900, 700, 0.6), (4500, 900, 0.2)

        cry = voice(rng, f0, sample_rate, peaks, tilt=0.25, breath=0.1, rough=0.25)
        add_at(out, cry * swell(count, 0.12, 0.25), int(start * sample_rate))
    return out


def cough(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A burst of breath with a little hoarse voice under it."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    pitch, tract = vary(rng, 150, 0.2), rng.uniform(0.95, 1.1)
    for start in strokes(rng, take, 0.62):
        count = sample_count(rng.uniform(0.2, 0.28), sample_rate)
        f0 = pitch * glide(count, 1.3, 1.1, 0.8)

        def peaks(x: Array) -> tuple[tuple[Array | float, float, float], ...]:
            return (
                (700 * tract * (1 - 0.3 * x), 350, 1.0),
                (1500 * tract, 500, 0.8),
                (2900, 900, 0.5),
            )

        body = voice(rng, f0, sample_rate, peaks, tilt=0.7, breath=1.4, rough=0.5)
        fade = np.exp(-5 * np.linspace(0, 1, count)) * swell(count, 0.03, 0.3)
        add_at(out, body * fade * rng.uniform(0.85, 1.0), int(start * sample_rate))
    return out


def snoring(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A rattle of the palate while the breath goes in, a quiet sigh while it goes out."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    flutter = vary(rng, 32)
    for start in strokes(rng, take, 1.7):
        count = sample_count(0.8 / take.rate, sample_rate)
        rattle = tone(flutter * glide(count, 0.85, 1.1, 1.0), sample_rate, falling(0.3, 50)) * 0.3
        source = unit_rms(rattle) * (1 + 0.4 * wander(rng, count, sample_rate, 40))
        source += 0.4 * noise(rng, count, sample_rate, band(100, 3000))

        def response(x: Array, f: Array) -> Array:
            return formants((350, 300, 1.0), (1100, 500, 0.3), floor=0.02)(f) * np.ones_like(x)

        add_at(
            out,
            moving_filter(source, sample_rate, response) * swell(count, 0.3, 0.2),
            int(start * sample_rate),
        )
        sigh = noise(rng, count // 2, sample_rate, band(500, 2500)) * swell(count // 2, 0.4, 0.5)
        add_at(out, 0.03 * sigh, int((start + 0.95 / take.rate) * sample_rate))
    return out


def whistle(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A person who whistles a few gliding notes: nearly a sine, with a little breath."""
    count = sample_count(take.seconds, sample_rate)
    pitch = vary(rng, 1150) * take.pitch
    knots, levels, at, note = [(0.0, 1.0)], [(0.0, 0.0)], 0.03, 1.0
    while at < take.seconds:
        length = rng.uniform(0.22, 0.55)
        note = float(np.clip(note * 2 ** (rng.choice([-4, -3, -2, 2, 3, 4]) / 12), 0.8, 1.3))
        knots += [(at, note), (at + 0.8 * length, note)]
        levels += [(at + 0.04, 1.0), (at + 0.8 * length, 0.9), (at + 0.95 * length, 0.1)]
        at += length
    t = np.arange(count) / sample_rate
    curve = np.interp(t, *np.array(knots).T) * (1 + 0.006 * np.sin(2 * np.pi * 5.5 * t))
    sound = tone(pitch * curve, sample_rate, (1.0, 0.05, 0.02))
    breath = noise(rng, count, sample_rate, band(pitch * 0.9, pitch * 1.4))
    return (sound + 0.03 * breath) * np.interp(t, *np.array(levels).T)
