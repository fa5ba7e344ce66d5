"""Things made to be heard, and electric tones: sirens, bells, beeps, horns. Each renders a Take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .events import Take, clockwork, strokes
from .synthesis import (
    Array,
    add_at,
    band,
    burst,
    filtered,
    formants,
    glide,
    noise,
    sample_count,
    scatter,
    struck,
    swell,
    tone,
    vary,
    wander,
)


def siren(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A wail that sweeps up and down, through a shrill loudspeaker."""
    count = sample_count(take.seconds, sample_rate)
    sweep = (
        1
        - np.cos(
            2 * np.pi * clockwork(count, sample_rate, vary(rng, 0.62) * take.rate, rng.random())
        )
    ) / 2
    low = vary(rng, 600) * take.pitch
    sound = tone(low * vary(rng, 1.9, 0.05) ** sweep, sample_rate, [k**-0.7 for k in range(1, 15)])
    shape = formants((1200 * take.pitch**0.5, 1100, 1.0), (2800, 1400, 0.5), floor=0.1)
    return filtered(sound, sample_rate, shape) * (1 + 0.2 * wander(rng, count, sample_rate, 0.5))


def alarm_clock(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Electronic beeps, one after another."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    count = sample_count(0.1 / take.rate**0.5, sample_rate)
    edge = rng.uniform(0.1, 0.6)
    gains = [edge ** (k - 1) if k % 2 else 0.1 * edge**k for k in range(1, 8)]
    beep = tone(np.full(count, vary(rng, 1600) * take.pitch), sample_rate, gains) * swell(
        count, 0.06, 0.06
    )
    for start in strokes(rng, take, vary(rng, 0.36), 0.0):
        add_at(out, beep, int(start * sample_rate))
    return out


def _bell(
    rng: np.random.Generator,
    take: Take,
    sample_rate: int,
    period: float,
    prime: float,
    length: float,
    ratios: tuple[tuple[float, float, float], ...],
    click: float,
) -> Array:
    """A struck bell of these partials (ratio, gain, decay), with doublets that make it beat."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    modes = [
        (prime * r * rng.uniform(0.995, 1.005), g * rng.uniform(0.7, 1.2), length * d)
        for r, g, d in ratios
    ]
    modes += [(f + rng.uniform(0.4, 1.5), g * 0.4, d) for f, g, d in modes[:4]]
    ring = struck(rng, min(length, take.seconds), sample_rate, modes)
    knock = burst(rng, 0.04, sample_rate, band(1200, 6000)) * click
    for start in strokes(rng, take, period, 0.02):
        force = rng.uniform(0.85, 1.0)
        add_at(out, ring * force, int(start * sample_rate))
        add_at(out, knock * force, int(start * sample_rate))
    return out


def church_bell(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A tuned bell: hum, prime, minor third, fifth, nominal and the partials above, each fading at its own rate."""
    ratios: tuple[tuple[float, float, float], ...] = (
        (0.5, 0.4, 1.0),
        (1, 0.7, 0.7),
        (1.19, 0.8, 0.5),
        (1.5, 0.4, 0.3),
        (2, 1.0, 0.35),
        (2.51, 0.5, 0.2),
    )
    ratios += (
        (2.66, 0.5, 0.2),
        (3.01, 0.5, 0.16),
        (4.17, 0.4, 0.1),
        (5.43, 0.3, 0.07),
        (6.8, 0.2, 0.05),
    )
    prime = vary(rng, 400) * take.pitch
    return _bell(rng, take, sample_rate, vary(rng, 1.05), prime, rng.uniform(2.0, 3.0), ratios, 0.7)


def gong(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A singing bowl or a small gong: few partials, long and beating."""
    ratios = ((1.0, 1.0, 1.0), (2.71, 0.6, 0.7), (5.15, 0.3, 0.4), (8.2, 0.15, 0.2))
    return _bell(
        rng, take, sample_rate, vary(rng, 1.6), vary(rng, 300) * take.pitch, 3.5, ratios, 0.35
    )


def clock(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Tick and tock, a little different from each other, at a steady rate."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    faces = []
    for _ in range(2):
        modes = [
            (rng.uniform(1200, 6500), rng.uniform(0.3, 1), rng.uniform(0.01, 0.04))
            for _ in range(5)
        ]
        tick = struck(rng, 0.08, sample_rate, [*modes, (rng.uniform(250, 700), 0.35, 0.05)])
        add_at(tick, 0.5 * burst(rng, 0.006, sample_rate, band(2500, 7500), 0.0003), 0)
        faces.append(tick)
    for i, start in enumerate(strokes(rng, take, vary(rng, 0.5, 0.05), 0.0)):
        add_at(out, faces[i % 2] * rng.uniform(0.85, 1.0), int(start * sample_rate))
    return out


def telephone(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A bell telephone, whose clapper swings between two gongs: a ring, then a pause."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    rate, base = vary(rng, 22), vary(rng, 1150) * take.pitch
    ring = np.zeros(sample_count(1.0, sample_rate))
    gongs = []
    for tune in (1.0, rng.uniform(1.1, 1.3)):
        partials = zip((1.0, 2.4, 4.1, 5.3), (1, 0.8, 0.5, 0.3), (0.4, 0.3, 0.2, 0.1), strict=True)
        gongs.append(
            struck(rng, 0.4, sample_rate, [(base * tune * r, g, d) for r, g, d in partials])
        )
    for i in range(int(0.62 * rate)):
        add_at(ring, gongs[i % 2] * rng.uniform(0.8, 1), int(i / rate * sample_rate))
    for start in strokes(rng, take, vary(rng, 1.35, 0.05), 0.0):
        add_at(out, ring, int(start * sample_rate))
    return out


def car_horn(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Two reeds a third apart, buzzing through a trumpet: toots."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    low = vary(rng, 380) * take.pitch
    wide = take.pitch**0.5
    shape = formants(
        (1100 * wide, 1200, 1.0), (2700 * wide, 1400, 0.7), (400 * wide, 400, 0.4), floor=0.05
    )
    count = sample_count(min(rng.uniform(0.28, 0.36), 0.36 / take.rate), sample_rate)
    bend = glide(count, 0.97, *([1.0] * 12), 0.985)
    gains = [k**-0.3 for k in range(1, 19)]
    toot = sum((tone(low * r * bend, sample_rate, gains) for r in (1.0, 1.22)), np.zeros(count))
    toot = filtered(toot, sample_rate, shape) * swell(count, 0.06, 0.1)
    for start in strokes(rng, take, vary(rng, 0.65)):
        add_at(out, toot, int(start * sample_rate))
    return out


def hum(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """The hum of a transformer: the mains frequency and its harmonics, quite steady."""
    count = sample_count(take.seconds, sample_rate)
    gains = [rng.uniform(0.4, 1.0) * k**-0.6 * (1.0 if k % 2 == 0 else 0.6) for k in range(1, 13)]
    sound = tone(np.full(count, vary(rng, 110, 0.05) * take.pitch), sample_rate, gains)
    return sound * (1 + 0.05 * wander(rng, count, sample_rate, 3))


def static(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A radio between stations: hiss that fades and crackles, and a wandering heterodyne."""
    count = sample_count(take.seconds, sample_rate)
    hiss = noise(rng, count, sample_rate, band(350, 4500)) * (
        1 + 0.35 * wander(rng, count, sample_rate, 5)
    )
    pops = [burst(rng, 0.012, sample_rate, band(400, 4500), 0.0003) for _ in range(5)]
    crackle = scatter(rng, count, sample_rate, pops, 14, 0.7)
    drift = 900 + 500 * wander(rng, count, sample_rate, 0.8)
    return (
        hiss
        + 1.2 * crackle
        + 0.35 * tone(drift, sample_rate, (1.0,)) * (wander(rng, count, sample_rate, 1) > 0)
    )
