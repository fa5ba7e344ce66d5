"""Hits, steps and bangs. Each function plays a take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .synthesis import Array, add_at, band, layered, unit_peak
from .take import Take


def _hits(take: Take, hit: Array, period: float, jitter: float = 0.06) -> Array:
    """The same hit again and again, a little stronger or weaker."""
    return take.repeat(lambda _: hit * take.uniform(0.8, 1.0), period, jitter)


def _any_of(take: Take, hits: list[Array], weakest: float) -> Array:
    """One of these hits, at random, at a random strength up to 1."""
    return hits[int(take.rng.integers(len(hits)))] * take.uniform(weakest, 1.0)


def footsteps(take: Take) -> Array:
    """Walking on a hard floor or on gravel: heel, then sole."""
    gravel = take.rng.random() < 0.4
    heels = []
    for _ in range(3):
        modes = take.varied_modes(0.3, (140, 1.0, 0.08), (400, 0.5, 0.05), (1300, 0.25, 0.025))
        heel = take.struck(0.2, modes)
        add_at(heel, 0.25 * take.burst(0.03, band(1000, 6000)))
        take.add(heel, 0.12 * take.burst(0.06, band(400, 3500, 1)), 0.06)
        if gravel:
            grains = []
            for f in (1200, 2500):
                grains.append(take.burst(take.uniform(0.003, 0.015), band(f, 2.5 * f), 0.0004))
            crunch = take.scatter(grains, 300, size=len(heel))
            heel = 0.3 * heel + 0.4 * crunch * np.exp(-np.linspace(0, 4, len(heel)))
        heels.append(heel)
    return take.repeat(lambda _: _any_of(take, heels, 0.75), take.vary(0.52, 0.08), 0.04)


def horse(take: Take) -> Array:
    """Hooves on a hard road: clip, clop."""
    hooves = []
    for pitch in take.vary(900) * np.array([1.0, 0.86, 1.08, 0.92]):
        shell = [(pitch, 1.0, 0.04), (pitch * 1.6, 0.6, 0.03), (pitch * 2.7, 0.3, 0.02)]
        hooves.append(take.struck(0.08, [*shell, (160, 0.4, 0.05)]))
    return take.repeat(lambda i: hooves[i % 4] * take.uniform(0.7, 1.0), take.vary(0.3, 0.05), 0.06)


def knocking(take: Take) -> Array:
    """Knuckles on a wooden door."""
    panel = take.random_modes(7, (110, 1300), (0.4, 1), (0.05, 0.12))
    click = 0.8 * take.burst(0.012, band(700, 4000), 0.0005)
    period = take.vary(0.36)
    return _hits(take, layered(take.struck(0.16, panel), click), period)


def hammer(take: Take) -> Array:
    """A hammer on a nail: a ringing steel clink over the thud of the wood."""
    nail = take.varied_modes(0.1, (2300, 0.8, 0.12), (3900, 0.6, 0.08), (5200, 0.3, 0.05))
    wood = take.varied_modes(0.2, (190, 1.0, 0.1), (420, 0.6, 0.06))
    click = 0.7 * take.burst(0.01, band(1000, 7000), 0.0005)
    period = take.vary(0.5)
    return _hits(take, layered(take.struck(0.16, nail + wood), click), period)


def door(take: Take) -> Array:
    """A door that slams: a heavy thud, the frame that rattles, the latch."""
    frame = take.random_modes(8, (60, 500), (0.4, 1.0), (0.12, 0.3))
    thud = unit_peak(take.burst(0.22, band(50, 900, 1), 0.002))
    latch = 0.5 * take.burst(0.03, band(1200, 5000))
    slam = layered(unit_peak(take.struck(0.35, frame)), thud, unit_peak(latch) * 0.6)
    return _hits(take, slam, take.vary(1.0))


def gunshot(take: Take) -> Array:
    """A crack, and a boom that rolls away."""
    crack = unit_peak(take.burst(0.1, band(200, 9000, 1), 0.0004))
    boom = take.burst(take.uniform(0.35, 0.5), band(50, take.uniform(500, 1200), 1))
    return _hits(take, layered(crack, 0.5 * unit_peak(boom)), take.vary(0.75), 0.05)


def fireworks(take: Take) -> Array:
    """Booms with a long tail, and a crackle of sparks after some."""
    sparks = [unit_peak(take.burst(0.01, band(1500, 6500), 0.0004)) for _ in range(4)]
    booms = []
    for _ in range(3):
        boom = take.burst(take.uniform(0.5, 0.9), band(40, take.uniform(250, 700), 1), 0.002)
        crack = 0.6 * unit_peak(take.burst(0.12, band(300, 5000, 1)))
        booms.append(layered(unit_peak(boom), crack))
    out = np.zeros(take.size)
    for start in take.strokes(0.8, 0.5):
        take.add(out, _any_of(take, booms, 0.5), start)
        if take.rng.random() < 0.5:
            size = int(0.8 * take.sample_rate)
            crackle = take.scatter(sparks, 60, size=size) * np.linspace(1, 0, size)
            take.add(out, 0.1 * crackle, start + 0.25)
    return out


def glass(take: Take) -> Array:
    """A pane that breaks: a crash of noise, then shards that ring and tinkle as they fall."""
    shards = []
    for _ in range(10):
        pitch = take.uniform(2200, 6500)
        shards.append(take.struck(0.15, [(pitch, 1, 0.12), (pitch * 1.53, 0.6, 0.08)]))
    since = np.arange(take.size) - int(0.06 * take.sample_rate)
    fall = np.exp(-np.maximum(since, 0) / (0.35 * take.sample_rate)) * (since >= 0)
    out = np.zeros(take.size)
    take.add(out, 1.5 * unit_peak(take.burst(0.3, band(1800, 9000, 1), 0.0005)), 0.06)
    return out + 0.5 * take.scatter(shards, 70 * fall + 0.5 * (fall > 0.02))


def typing(take: Take) -> Array:
    """Keys in an uneven run, each with a press and a softer release. The space bar is lower."""
    plastic = take.random_modes(6, (1500, 5500), (0.3, 1), (0.01, 0.03))
    case = (take.uniform(200, 500), 0.5, 0.04)
    keys = []
    for bend in (0.6, 0.9, 1.0, 1.06, 1.12):
        modes = [(f * bend, gain * take.uniform(0.6, 1.2), decay) for f, gain, decay in plastic]
        key = take.struck(0.16, [*modes, case])
        add_at(key, 0.7 * take.burst(0.01, band(1500, 7000), 0.0004))
        take.add(key, 0.25 * key[: int(0.05 * take.sample_rate)], 0.07)
        keys.append(key)
    return take.repeat(lambda _: _any_of(take, keys, 0.6), take.vary(0.16), 0.45)


def clapping(take: Take) -> Array:
    """Hands clapping, a dozen people or a hall, each with their own rate and pair of hands."""
    out = np.zeros(take.size)
    for _ in range(int(take.rng.integers(10, 26))):
        centre, level = take.uniform(700, 2400), take.rng.lognormal(-0.5, 0.5)
        palms = band(centre * 0.6, centre * 1.7, 1)
        clap = level * take.burst(take.uniform(0.03, 0.08), palms, 0.0008)
        for start in take.plain.strokes(take.uniform(0.19, 0.36), 0.1):
            take.add(out, clap * take.uniform(0.7, 1), start)
    return out
