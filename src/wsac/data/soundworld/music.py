"""Instruments: guitar, piano and drums. Each renders a Take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .events import Take, strokes
from .synthesis import Array, add_at, band, burst, sample_count, struck, unit_peak, vary

SCALE = (0, 2, 4, 7, 9, 12, 14, 16, 19)  # pentatonic, in semitones


def guitar(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Plucked strings: notes of a pentatonic scale, high partials fading first."""
    pluck = rng.uniform(0.12, 0.3)  # where along the string: this colours the tone

    def note(pitch: float) -> Array:
        modes = [
            (
                pitch * k * np.sqrt(1 + 5e-5 * k * k),
                abs(np.sin(np.pi * k * pluck)) / k,
                1.8 / (1 + 0.25 * k),
            )
            for k in range(1, 18)
        ]
        sound = struck(rng, 1.4, sample_rate, modes)
        add_at(sound, 0.1 * burst(rng, 0.015, sample_rate, band(800, 5000)), 0)
        return sound

    return _tune(rng, take, sample_rate, vary(rng, 150) * take.pitch, vary(rng, 0.3), note)


def piano(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Hammered strings: a quick bright attack and a long mellow tail, single notes and thirds."""

    def note(pitch: float) -> Array:
        modes = [
            (pitch * k * np.sqrt(1 + 3e-4 * k * k), k**-1.1, 2.0 / (1 + 0.3 * k))
            for k in range(1, 14)
        ]
        modes += [(pitch * k * 1.0012, 0.5 * k**-1.1, 2.6 / (1 + 0.3 * k)) for k in range(1, 6)]
        sound = struck(rng, 1.6, sample_rate, modes)
        add_at(sound, 0.06 * burst(rng, 0.03, sample_rate, band(100, 1500)), 0)
        return sound

    return _tune(rng, take, sample_rate, vary(rng, 330) * take.pitch, vary(rng, 0.36), note)


def _tune(
    rng: np.random.Generator, take: Take, sample_rate: int, key: float, beat: float, note
) -> Array:  # type: ignore[no-untyped-def]
    """A melody that walks over the scale, one note a beat; every note is made once."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    made: dict[int, Array] = {}
    degree = int(rng.integers(0, len(SCALE)))
    for start in strokes(rng, take, beat, 0.02):
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, len(SCALE) - 1))
        if degree not in made:
            made[degree] = note(key * 2 ** (SCALE[degree] / 12))
        add_at(out, made[degree] * rng.uniform(0.7, 1.0), int(start * sample_rate))
    return out


def drums(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A drum kit: bass drum and snare in turn, a hi-hat between them."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    t = np.arange(int(0.25 * sample_rate)) / sample_rate
    low = vary(rng, 52)
    kick = np.sin(2 * np.pi * (low * t + 4.5 * (1 - np.exp(-25 * t)) / 2)) * np.exp(-16 * t)
    snare = unit_peak(burst(rng, 0.16, sample_rate, band(900, 6000)))
    snare += (
        0.6
        * np.pad(struck(rng, 0.1, sample_rate, [(185, 1, 0.1), (330, 0.6, 0.08)]), (0, len(snare)))[
            : len(snare)
        ]
    )
    hat = 0.35 * unit_peak(burst(rng, 0.05, sample_rate, band(4500, 12000)))
    half = vary(rng, 0.27) / take.rate
    for i, start in enumerate(strokes(rng, take, 2 * half * take.rate, 0.01)):
        add_at(out, kick if i % 2 == 0 else 0.8 * snare, int(start * sample_rate))
        add_at(out, hat, int((start + half) * sample_rate))
    return out
