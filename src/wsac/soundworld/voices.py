"""Throats: a source of harmonics and breath, shaped by moving formants. Each returns float64 [T]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .synthesis import (
    Array,
    Response,
    add_at,
    formants,
    glide,
    harmonics,
    moving_noise,
    noise,
    onsets,
    sample_count,
    swell,
    unit_rms,
    wander,
)


def dog(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Barks in ones to threes, from a big dog or a small one: a rough pitch arch and a burst of breath."""
    out = np.zeros(sample_count(seconds, sample_rate))
    size = rng.uniform(0, 1)  # 0 is large
    pitch, tract = 200 + 400 * size, 0.8 + 0.5 * size
    for start in onsets(rng, seconds, (0.9, 1.9)):
        at = start
        for _ in range(int(rng.integers(1, 4))):
            count = sample_count(rng.uniform(0.11, 0.24), sample_rate)
            peak = pitch * rng.uniform(1.2, 1.6)
            f0 = glide(count, pitch, peak, peak * 0.9, pitch * 0.7)
            open_mouth = glide(3, 0.7, 1.1, 0.8)

            def shape(x: float, mouth: Array = open_mouth) -> Response:
                m = tract * np.interp(x, (0, 0.5, 1), mouth)
                return formants((650 * m, 350, 1.0), (1400 * m, 500, 0.7), (2700 * m, 900, 0.35))

            bark = _voice(rng, f0, sample_rate, shape, tilt=0.5, breath=rng.uniform(0.3, 0.7), rough=0.35)
            add_at(out, bark * swell(count, 0.12, 0.6) * rng.uniform(0.7, 1.0), int(at * sample_rate))
            at += count / sample_rate + rng.uniform(0.12, 0.3)
    return out


def cat(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Meows: a mouth that opens and closes over a bending pitch."""
    out = np.zeros(sample_count(seconds, sample_rate))
    pitch = rng.uniform(380, 620)
    for start in onsets(rng, seconds, (1.3, 2.6)):
        count = sample_count(rng.uniform(0.55, 1.1), sample_rate)
        f0 = glide(count, pitch * 0.85, pitch * 1.35, pitch * 1.3, pitch * 1.15, pitch * rng.uniform(0.75, 1.0))
        f0 = f0 * (1 + 0.012 * np.sin(2 * np.pi * rng.uniform(5, 8) * np.arange(count) / sample_rate))
        wide = rng.uniform(0.9, 1.2)

        def shape(x: float, w: float = wide) -> Response:
            first = w * np.interp(x, (0, 0.35, 0.7, 1), (500, 1150, 1000, 600))
            second = w * np.interp(x, (0, 0.3, 0.7, 1), (2500, 2300, 1700, 1200))
            return formants((first, 350, 1.0), (second, 500, 0.6), (4200 * w, 900, 0.2), floor=0.01)

        meow = _voice(rng, f0, sample_rate, shape, tilt=0.35, breath=0.06, rough=0.05)
        add_at(out, meow * swell(count, 0.2, 0.45) * rng.uniform(0.6, 1.0), int(start * sample_rate))
    return out


def cow(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A long low moo that opens from a hum."""
    out = np.zeros(sample_count(seconds, sample_rate))
    pitch = rng.uniform(90, 150)
    for start in onsets(rng, seconds, (2.2, 3.5), 0.5):
        count = sample_count(rng.uniform(1.0, 1.9), sample_rate)
        f0 = glide(count, pitch * 0.9, pitch * 1.25, pitch * 1.35, pitch * 1.3, pitch * 0.85)

        def shape(x: float) -> Response:
            first = np.interp(x, (0, 0.3, 0.8, 1), (250, 520, 560, 350))
            return formants((first, 160, 1.0), (first * 2 + 150, 250, 0.5), (2300, 500, 0.12), floor=0.005)

        moo = _voice(rng, f0, sample_rate, shape, tilt=0.6, breath=0.08, rough=0.2)
        add_at(out, moo * swell(count, 0.25, 0.3), int(start * sample_rate))
    return out


def man(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A man's voice, too far away to catch the words."""
    return _speech(rng, seconds, sample_rate, pitch=rng.uniform(90, 140), tract=1.0)


def woman(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A woman's voice, too far away to catch the words."""
    return _speech(rng, seconds, sample_rate, pitch=rng.uniform(180, 250), tract=1.17)


VOWELS = ((300, 2200), (420, 1900), (600, 1750), (720, 1200), (560, 900), (350, 850), (500, 1400))  # F1, F2 of a man


def _speech(rng: np.random.Generator, seconds: float, sample_rate: int, pitch: float, tract: float) -> Array:
    out = np.zeros(sample_count(seconds, sample_rate))
    at = rng.uniform(0, min(0.2, seconds / 5))
    while at < seconds:
        syllables = int(rng.integers(3, 11))
        for i in range(syllables):
            if rng.random() < 0.45:  # a consonant: s, sh, f or the burst of a stop
                count = sample_count(rng.uniform(0.03, 0.11), sample_rate)
                place = rng.uniform(2200, 6500)
                hiss = noise(rng, count, sample_rate, formants((place, place / 2, 1.0), floor=0.0))
                add_at(out, hiss * swell(count, 0.3, 0.3) * rng.uniform(0.03, 0.12), int(at * sample_rate))
                at += count / sample_rate
            count = sample_count(rng.uniform(0.09, 0.24), sample_rate)
            first, last = (VOWELS[int(j)] for j in rng.integers(0, len(VOWELS), 2))
            fall = 1.12 - 0.25 * i / syllables
            f0 = pitch * fall * glide(count, *rng.uniform(0.92, 1.12, 3))

            def shape(x: float, a: tuple[int, int] = first, b: tuple[int, int] = last) -> Response:
                f1, f2 = (tract * (p + (q - p) * x) for p, q in zip(a, b, strict=True))
                return formants(
                    (f1, 90, 1.0),
                    (f2, 130, 0.5),
                    (2500 * tract, 220, 0.25),
                    (3400 * tract, 300, 0.12),
                    (4700 * tract, 900, 0.03),
                    floor=0.003,
                )

            vowel = _voice(rng, f0, sample_rate, shape, tilt=0.9, breath=0.03, rough=0.06)
            add_at(out, vowel * swell(count, 0.2, 0.3) * rng.uniform(0.5, 1.0), int(at * sample_rate))
            at += 0.9 * count / sample_rate
        at += rng.uniform(0.15, 0.6)
    return out


def baby(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Cries of about a second with a catch of breath between."""
    out = np.zeros(sample_count(seconds, sample_rate))
    pitch = rng.uniform(380, 520)
    for start in onsets(rng, seconds, (1.1, 1.6), 0.3):
        count = sample_count(rng.uniform(0.7, 1.05), sample_rate)
        f0 = (
            pitch
            * glide(count, 0.85, *rng.uniform(1.0, 1.25, 3), 0.8)
            * (1 + 0.015 * wander(rng, count, sample_rate, 30))
        )

        def shape(x: float) -> Response:
            mouth = np.interp(x, (0, 0.2, 0.8, 1), (0.7, 1, 1, 0.7))
            return formants((1050 * mouth, 450, 1.0), (2900, 700, 0.6), (4500, 900, 0.2))

        cry = _voice(rng, f0, sample_rate, shape, tilt=0.25, breath=0.1, rough=0.25)
        add_at(out, cry * swell(count, 0.12, 0.25), int(start * sample_rate))
    return out


def _voice(
    rng: np.random.Generator,
    f0: Array,
    sample_rate: int,
    shape: Callable[[float], Response],
    *,
    tilt: float,
    breath: float,
    rough: float,
) -> Array:
    """Voice a pitch curve f0 [T] through formants that move: ``shape(x)``, x from 0 to 1 along the sound.

    tilt: how fast the harmonics fall (k ** -tilt); breath: noise against voice; rough: irregularity. Unit RMS.
    """
    count = len(f0)
    f0 = f0 * (1 + 0.05 * rough * wander(rng, count, sample_rate, 60))
    steps = [shape(x) for x in np.linspace(0, 1, 9)]
    position = np.linspace(0, 8, count)
    left = np.minimum(position.astype(int), 7)

    def gain(k: int, frequency: Array) -> Array:
        grid = np.array([step(frequency[min(count - 1, i * count // 8)]) for i, step in enumerate(steps)])
        return k**-tilt * (grid[left] * (1 - position + left) + grid[left + 1] * (position - left))

    voiced = harmonics(f0, sample_rate, gain) * (1 + rough * wander(rng, count, sample_rate, 90))
    end = count / sample_rate
    breathed = moving_noise(rng, count, sample_rate, lambda at: shape(min(1.0, at / end)))
    return unit_rms(unit_rms(voiced) + breath * unit_rms(breathed))
