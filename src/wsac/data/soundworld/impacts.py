"""Hits, steps and bangs. Each renders a Take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .events import Take, strokes
from .synthesis import Array, add_at, band, burst, sample_count, scatter, struck, unit_peak, vary


def _hits(
    rng: np.random.Generator, take: Take, sample_rate: int, period: float, hit: Array, jitter: float
) -> Array:
    """The same hit again and again, a little stronger or weaker."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    for start in strokes(rng, take, period, jitter):
        add_at(out, hit * rng.uniform(0.8, 1.0), int(start * sample_rate))
    return out


def _mixed(*parts: Array) -> Array:
    """Sum sounds of different lengths from a common start."""
    out = np.zeros(max(len(part) for part in parts))
    for part in parts:
        add_at(out, part, 0)
    return out


def footsteps(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Walking on a hard floor or on gravel: heel, then sole."""
    gravel = rng.random() < 0.4
    out = np.zeros(sample_count(take.seconds, sample_rate))
    heels = []
    for _ in range(3):
        modes = [
            (vary(rng, f, 0.3), g, d)
            for f, g, d in ((140, 1.0, 0.08), (400, 0.5, 0.05), (1300, 0.25, 0.025))
        ]
        heel = struck(rng, 0.2, sample_rate, modes)
        add_at(heel, 0.25 * burst(rng, 0.03, sample_rate, band(1000, 6000)), 0)
        add_at(
            heel, 0.12 * burst(rng, 0.06, sample_rate, band(400, 3500, 1)), int(0.06 * sample_rate)
        )
        if gravel:
            grains = [
                burst(rng, rng.uniform(0.003, 0.015), sample_rate, band(f, 2.5 * f), 0.0004)
                for f in (1200, 2500)
            ]
            crunch = scatter(rng, len(heel), sample_rate, grains, 300, 0.6)
            heel = 0.3 * heel + 0.4 * crunch * np.exp(-np.linspace(0, 4, len(heel)))
        heels.append(heel)
    for start in strokes(rng, take, vary(rng, 0.52, 0.08), 0.04):
        add_at(out, heels[int(rng.integers(3))] * rng.uniform(0.75, 1.0), int(start * sample_rate))
    return out


def horse(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Hooves on a hard road: clip, clop."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    hooves = []
    for pitch in vary(rng, 900) * np.array([1.0, 0.86, 1.08, 0.92]):
        modes = [
            (pitch, 1.0, 0.04),
            (pitch * 1.6, 0.6, 0.03),
            (pitch * 2.7, 0.3, 0.02),
            (160, 0.4, 0.05),
        ]
        hooves.append(struck(rng, 0.08, sample_rate, modes))
    for i, start in enumerate(strokes(rng, take, vary(rng, 0.3, 0.05), 0.06)):
        add_at(out, hooves[i % 4] * rng.uniform(0.7, 1.0), int(start * sample_rate))
    return out


def knocking(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Knuckles on a wooden door."""
    panel = [
        (rng.uniform(110, 1300), rng.uniform(0.4, 1), rng.uniform(0.05, 0.12)) for _ in range(7)
    ]
    click = 0.8 * burst(rng, 0.012, sample_rate, band(700, 4000), 0.0005)
    return _hits(
        rng,
        take,
        sample_rate,
        vary(rng, 0.36),
        _mixed(struck(rng, 0.16, sample_rate, panel), click),
        0.06,
    )


def hammer(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A hammer on a nail: a ringing steel clink over the thud of the wood."""
    nail = [
        (vary(rng, f), g, d)
        for f, g, d in ((2300, 0.8, 0.12), (3900, 0.6, 0.08), (5200, 0.3, 0.05))
    ]
    wood = [(vary(rng, f, 0.2), g, d) for f, g, d in ((190, 1.0, 0.1), (420, 0.6, 0.06))]
    click = 0.7 * burst(rng, 0.01, sample_rate, band(1000, 7000), 0.0005)
    return _hits(
        rng,
        take,
        sample_rate,
        vary(rng, 0.5),
        _mixed(struck(rng, 0.16, sample_rate, nail + wood), click),
        0.06,
    )


def door(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A door that slams: a heavy thud, the frame that rattles, the latch."""
    frame = [
        (rng.uniform(60, 500), rng.uniform(0.4, 1.0), rng.uniform(0.12, 0.3)) for _ in range(8)
    ]
    thud = unit_peak(burst(rng, 0.22, sample_rate, band(50, 900, 1), 0.002))
    latch = 0.5 * burst(rng, 0.03, sample_rate, band(1200, 5000))
    slam = _mixed(unit_peak(struck(rng, 0.35, sample_rate, frame)), thud, unit_peak(latch) * 0.6)
    return _hits(rng, take, sample_rate, vary(rng, 1.0), slam, 0.06)


def gunshot(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A crack, and a boom that rolls away."""
    crack = unit_peak(burst(rng, 0.1, sample_rate, band(200, 9000, 1), 0.0004))
    boom = unit_peak(
        burst(rng, rng.uniform(0.35, 0.5), sample_rate, band(50, rng.uniform(500, 1200), 1), 0.001)
    )
    return _hits(rng, take, sample_rate, vary(rng, 0.75), _mixed(crack, 0.5 * boom), 0.05)


def fireworks(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Booms with a long tail, and a crackle of sparks after some."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    sparks = [unit_peak(burst(rng, 0.01, sample_rate, band(1500, 6500), 0.0004)) for _ in range(4)]
    booms = []
    for _ in range(3):
        boom = unit_peak(
            burst(
                rng, rng.uniform(0.5, 0.9), sample_rate, band(40, rng.uniform(250, 700), 1), 0.002
            )
        )
        booms.append(
            _mixed(boom, 0.6 * unit_peak(burst(rng, 0.12, sample_rate, band(300, 5000, 1))))
        )
    for start in strokes(rng, take, 0.8, 0.5):
        add_at(out, booms[int(rng.integers(3))] * rng.uniform(0.5, 1.0), int(start * sample_rate))
        if rng.random() < 0.5:
            length = int(0.8 * sample_rate)
            crackle = scatter(rng, length, sample_rate, sparks, 60) * np.linspace(1, 0, length)
            add_at(out, 0.1 * crackle, int((start + 0.25) * sample_rate))
    return out


def glass(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A pane that breaks: a crash of noise, then shards that ring and tinkle as they fall."""
    count = sample_count(take.seconds, sample_rate)
    out = np.zeros(count)
    shards = []
    for _ in range(10):
        pitch = rng.uniform(2200, 6500)
        shards.append(struck(rng, 0.15, sample_rate, [(pitch, 1, 0.12), (pitch * 1.53, 0.6, 0.08)]))
    start = int(0.06 * sample_rate)
    fall = np.exp(-np.maximum(np.arange(count) - start, 0) / (0.35 * sample_rate)) * (
        np.arange(count) >= start
    )
    add_at(out, 1.5 * unit_peak(burst(rng, 0.3, sample_rate, band(1800, 9000, 1), 0.0005)), start)
    return out + 0.5 * scatter(
        rng, count, sample_rate, shards, 70 * fall + 0.5 * (fall > 0.02), 0.6
    )


def typing(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Keys struck in an uneven run, each with a press and a softer release; the space bar is lower."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    plastic = [
        (rng.uniform(1500, 5500), rng.uniform(0.3, 1), rng.uniform(0.01, 0.03)) for _ in range(6)
    ]
    case = (rng.uniform(200, 500), 0.5, 0.04)
    keys = []
    for bend in (0.6, 0.9, 1.0, 1.06, 1.12):
        key = struck(
            rng,
            0.16,
            sample_rate,
            [(f * bend, g * rng.uniform(0.6, 1.2), d) for f, g, d in plastic] + [case],
        )
        add_at(key, 0.7 * burst(rng, 0.01, sample_rate, band(1500, 7000), 0.0004), 0)
        add_at(key, 0.25 * key[: int(0.05 * sample_rate)], int(0.07 * sample_rate))
        keys.append(key)
    for start in strokes(rng, take, vary(rng, 0.16), 0.45):
        add_at(out, keys[int(rng.integers(5))] * rng.uniform(0.6, 1.0), int(start * sample_rate))
    return out


def clapping(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Hands clapping, a dozen people or a hall, each with a rate and a pair of hands of their own."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    for _ in range(int(rng.integers(10, 26))):
        centre, level = rng.uniform(700, 2400), rng.lognormal(-0.5, 0.5)
        clap = level * burst(
            rng, rng.uniform(0.03, 0.08), sample_rate, band(centre * 0.6, centre * 1.7, 1), 0.0008
        )
        for start in strokes(rng, Take(take.seconds), rng.uniform(0.19, 0.36), 0.1):
            add_at(out, clap * rng.uniform(0.7, 1), int(start * sample_rate))
    return out
