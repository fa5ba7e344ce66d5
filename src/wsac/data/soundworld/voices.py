"""People: speech, cries, coughs, snores and whistles. Each function plays a take as float64 [T]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .synthesis import Array, Formant, band, falling, formants, glide, swell, unit_rms
from .take import Take

Peaks = Callable[[Array], tuple[Formant, ...]]  # the formants at positions [F, 1] along a sound
# F1 and F2 of a man's vowels, Hz
VOWELS = ((300, 2200), (420, 1900), (600, 1750), (720, 1200), (560, 900), (350, 850), (500, 1400))


def voice(
    take: Take,
    f0: Array,
    peaks: Peaks,
    tilt: float,
    breath: float,
    rough: float,
    floor: float = 0.01,
) -> Array:
    """Voice a pitch curve f0 [T] through formants that move. Unit RMS.

    tilt: how fast the harmonics fall. breath: noise relative to voice. rough: irregularity.
    """
    size = len(f0)
    f0 = f0 * (1 + 0.05 * rough * take.wander(60, size))
    source = unit_rms(take.tone(f0, falling(tilt))) * (1 + rough * take.wander(90, size))
    source = source + breath * take.rng.standard_normal(size)
    return unit_rms(take.moving_filter(source, lambda x, f: formants(*peaks(x), floor=floor)(f)))


def man(take: Take) -> Array:
    """A man's voice, too far away to catch the words."""
    return speech(take, pitch=take.vary(115, 0.08), tract=1.0)


def woman(take: Take) -> Array:
    """A woman's voice, too far away to catch the words."""
    return speech(take, pitch=take.vary(215, 0.08), tract=1.17)


def speech(take: Take, pitch: float, tract: float) -> Array:
    """Syllables of moving vowels with hissed consonants between, in breath groups.

    pitch: Hz. tract: a factor on the formants. A deep voice has 0.84 times the pitch.
    """
    pitch, tract = pitch * take.pitch**0.35, tract * take.pitch**0.05
    knots: list[tuple[float, ...]] = []  # seconds, level, pitch, F1, F2, hiss
    at = take.uniform(0, 0.06)
    while at < take.seconds:
        syllables = int(take.rng.integers(4, 10))
        for i in range(syllables):
            length = take.uniform(0.13, 0.24) / take.rate
            start, end = (VOWELS[int(j)] for j in take.rng.integers(0, len(VOWELS), 2))
            tune = (1.14 - 0.26 * i / syllables) * take.uniform(0.92, 1.1)
            level = take.uniform(0.5, 1.0)
            hiss = take.uniform(0.1, 0.4) if take.rng.random() < 0.5 else 0.0
            knots.append((at, 0.03, tune, *start, hiss))
            knots.append((at + 0.35 * length, level, tune * 1.03, *start, 0.0))
            knots.append((at + 0.7 * length, level * 0.8, tune * 0.98, *end, 0.0))
            at += length
        knots.append((at, 0.0, 0.9, *end, 0.0))
        at += take.uniform(0.12, 0.45)
        knots.append((at - 0.02, 0.0, 0.9, *end, 0.0))
    curve = np.array(knots).T
    t = np.arange(take.size) / take.sample_rate
    levels, tunes, hisses = (np.interp(t, curve[0], curve[i]) for i in (1, 2, 5))

    def peaks(position: Array) -> tuple[Formant, ...]:
        now = position * take.seconds
        f1, f2 = (tract * np.interp(now, curve[0], curve[i]) for i in (3, 4))
        return (f1, 100, 1.0), (f2, 140, 0.5), (2500 * tract, 240, 0.25), (3400 * tract, 320, 0.12)

    voiced = voice(take, pitch * tunes, peaks, tilt=0.9, breath=0.03, rough=0.06, floor=0.003)
    place = take.uniform(3000, 5500)
    consonants = take.noise(formants((place, place / 2, 1.0), floor=0.0))
    return voiced * levels + consonants * hisses


def crowd(take: Take) -> Array:
    """Seven people who all speak at once, in the murmur of many more."""
    out = np.zeros(take.size)
    for i in range(7):
        if i % 2 == 0:
            pitch, tract = take.uniform(95, 140), 1.0
        else:
            pitch, tract = take.uniform(180, 245), 1.17
        out += speech(take.plain, pitch, tract) * take.uniform(0.5, 1.0)
    murmur = take.noise(formants((450, 500, 1.0), (1300, 900, 0.3), floor=0.01))
    return unit_rms(out) + 0.5 * murmur * (1 + 0.2 * take.wander(4))


def baby(take: Take) -> Array:
    """Cries of about a second with a catch of breath between."""
    pitch = take.vary(440)

    def peaks(x: Array) -> tuple[Formant, ...]:
        mouth = np.interp(x, (0, 0.2, 0.8, 1), (0.7, 1, 1, 0.7))
        return (1050 * mouth, 450, 1.0), (2900, 700, 0.6), (4500, 900, 0.2)

    def cry(_: int) -> Array:
        size = take.samples(take.uniform(0.75, 1.0))
        bend = glide(size, 0.85, *take.rng.uniform(1.0, 1.25, 3), 0.8)
        f0 = pitch * bend * (1 + 0.015 * take.wander(30, size))
        sound = voice(take, f0, peaks, tilt=0.25, breath=0.1, rough=0.25)
        return sound * swell(size, 0.12, 0.25)

    return take.repeat(cry, 1.2, 0.1)


def cough(take: Take) -> Array:
    """A burst of breath with a little hoarse voice under it."""
    pitch, tract = take.vary(150, 0.2), take.uniform(0.95, 1.1)

    def peaks(x: Array) -> tuple[Formant, ...]:
        throat = 700 * tract * (1 - 0.3 * x)
        return (throat, 350, 1.0), (1500 * tract, 500, 0.8), (2900, 900, 0.5)

    def burst(_: int) -> Array:
        size = take.samples(take.uniform(0.2, 0.28))
        f0 = pitch * glide(size, 1.3, 1.1, 0.8)
        body = voice(take, f0, peaks, tilt=0.7, breath=1.4, rough=0.5)
        fade = np.exp(-5 * np.linspace(0, 1, size)) * swell(size, 0.03, 0.3)
        return body * fade * take.uniform(0.85, 1.0)

    return take.repeat(burst, 0.62)


def snoring(take: Take) -> Array:
    """A rattle of the palate while the breath goes in, a quiet sigh while it goes out."""
    out = np.zeros(take.size)
    flutter = take.vary(32)
    size = take.samples(0.8 / take.rate)
    throat = formants((350, 300, 1.0), (1100, 500, 0.3), floor=0.02)
    for start in take.strokes(1.7):
        rattle = take.tone(flutter * glide(size, 0.85, 1.1, 1.0), falling(0.3, 50)) * 0.3
        source = unit_rms(rattle) * (1 + 0.4 * take.wander(40, size))
        source += 0.4 * take.noise(band(100, 3000), size=size)
        snore = take.moving_filter(source, lambda x, f: throat(f))
        take.add(out, snore * swell(size, 0.3, 0.2), start)
        half = size // 2
        sigh = take.noise(band(500, 2500), size=half) * swell(half, 0.4, 0.5)
        take.add(out, 0.03 * sigh, start + 0.95 / take.rate)
    return out


def whistle(take: Take) -> Array:
    """A person who whistles a few gliding notes: nearly a sine, with a little breath."""
    pitch = take.vary(1150) * take.pitch
    knots, levels, at, note = [(0.0, 1.0)], [(0.0, 0.0)], 0.03, 1.0
    while at < take.seconds:
        length = take.uniform(0.22, 0.55)
        note = float(np.clip(note * 2 ** (take.rng.choice([-4, -3, -2, 2, 3, 4]) / 12), 0.8, 1.3))
        knots += [(at, note), (at + 0.8 * length, note)]
        levels += [(at + 0.04, 1.0), (at + 0.8 * length, 0.9), (at + 0.95 * length, 0.1)]
        at += length
    t = np.arange(take.size) / take.sample_rate
    curve = np.interp(t, *np.array(knots).T) * (1 + 0.006 * np.sin(2 * np.pi * 5.5 * t))
    sound = take.tone(pitch * curve, (1.0, 0.05, 0.02))
    breath = take.noise(band(pitch * 0.9, pitch * 1.4))
    return (sound + 0.03 * breath) * np.interp(t, *np.array(levels).T)
