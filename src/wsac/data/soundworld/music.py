"""Instruments: guitar, piano and drums. Each function plays a take as float64 [T]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .synthesis import Array, add_at, band, unit_peak
from .take import Take

SCALE = (0, 2, 4, 7, 9, 12, 14, 16, 19)  # pentatonic, in semitones


def guitar(take: Take) -> Array:
    """Plucked strings: notes of a pentatonic scale, high partials fading first."""
    pluck = take.uniform(0.12, 0.3)  # where along the string: this colours the tone

    def note(pitch: float) -> Array:
        modes = []
        for k in range(1, 18):
            gain = abs(np.sin(np.pi * k * pluck)) / k
            modes.append((pitch * k * np.sqrt(1 + 5e-5 * k * k), gain, 1.8 / (1 + 0.25 * k)))
        sound = take.struck(1.4, modes)
        add_at(sound, 0.1 * take.burst(0.015, band(800, 5000)))
        return sound

    return _tune(take, take.vary(150) * take.pitch, take.vary(0.3), note)


def piano(take: Take) -> Array:
    """Hammered strings: a quick bright attack and a long mellow tail."""

    def note(pitch: float) -> Array:
        modes = []
        for k in range(1, 14):
            modes.append((pitch * k * np.sqrt(1 + 3e-4 * k * k), k**-1.1, 2.0 / (1 + 0.3 * k)))
        modes += [(pitch * k * 1.0012, 0.5 * k**-1.1, 2.6 / (1 + 0.3 * k)) for k in range(1, 6)]
        sound = take.struck(1.6, modes)
        add_at(sound, 0.06 * take.burst(0.03, band(100, 1500)))
        return sound

    return _tune(take, take.vary(330) * take.pitch, take.vary(0.36), note)


def _tune(take: Take, key: float, beat: float, note: Callable[[float], Array]) -> Array:
    """A melody that walks over the scale, one note a beat. Every note is made once."""
    out = np.zeros(take.size)
    notes: dict[int, Array] = {}
    degree = int(take.rng.integers(0, len(SCALE)))
    for start in take.strokes(beat, 0.02):
        degree = int(np.clip(degree + take.rng.integers(-3, 4), 0, len(SCALE) - 1))
        if degree not in notes:
            notes[degree] = note(key * 2 ** (SCALE[degree] / 12))
        take.add(out, notes[degree] * take.uniform(0.7, 1.0), start)
    return out


def drums(take: Take) -> Array:
    """A drum kit: bass drum and snare in turn, a hi-hat between them."""
    out = np.zeros(take.size)
    t = np.arange(int(0.25 * take.sample_rate)) / take.sample_rate
    low = take.vary(52)
    kick = np.sin(2 * np.pi * (low * t + 4.5 * (1 - np.exp(-25 * t)) / 2)) * np.exp(-16 * t)
    snare = unit_peak(take.burst(0.16, band(900, 6000)))
    add_at(snare, 0.6 * take.struck(0.1, [(185, 1, 0.1), (330, 0.6, 0.08)]))
    hat = 0.35 * unit_peak(take.burst(0.05, band(4500, 12000)))
    half = take.vary(0.27) / take.rate
    for i, start in enumerate(take.strokes(2 * half * take.rate, 0.01)):
        take.add(out, kick if i % 2 == 0 else 0.8 * snare, start)
        take.add(out, hat, start + half)
    return out
