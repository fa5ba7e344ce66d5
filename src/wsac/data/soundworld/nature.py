"""Weather, water and fire. Each renders a Take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .events import Take, strokes
from .synthesis import (
    Array,
    add_at,
    band,
    burst,
    moving_filter,
    noise,
    sample_count,
    scatter,
    struck,
    unit_peak,
    unit_rms,
    vary,
    wander,
)


def rain(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A bed of hiss, and drops: sparse impulses through the short ring of several surfaces."""
    count = sample_count(take.seconds, sample_rate)
    bed = noise(
        rng, count, sample_rate, band(rng.uniform(300, 900), rng.uniform(6000, 12000), 1), tilt=0.4
    )
    drops = []
    for _ in range(8):
        pitch = rng.uniform(900, 6500)
        ring = struck(
            rng,
            0.02,
            sample_rate,
            [(pitch, 1, rng.uniform(0.004, 0.015)), (pitch * 1.7, 0.5, 0.006)],
        )
        drops.append(ring + 0.7 * burst(rng, 0.02, sample_rate, band(1500, 9000), 0.0005))
    patter = scatter(rng, count, sample_rate, drops, 10 ** rng.uniform(2.0, 2.9))
    gust = 1 + 0.15 * wander(rng, count, sample_rate, 0.7)
    return gust * (rng.uniform(0.5, 1.0) * bed + rng.uniform(0.4, 1.0) * unit_rms(patter))


def wind(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Noise in a band that rises and falls with the gusts; a faint whistle in the strong ones."""
    count = sample_count(take.seconds, sample_rate)
    gusts = 0.5 + 0.5 * wander(rng, 200, 100, rng.uniform(0.4, 0.9) * take.seconds / 2)
    base, reach, whistle = rng.uniform(120, 300), rng.uniform(300, 900), rng.uniform(0.0, 0.5)

    def response(position: Array, frequency: Array) -> Array:
        gust = np.interp(position, np.linspace(0, 1, 200), gusts)
        centre = base + reach * gust
        f = np.maximum(frequency, 1.0)
        low = 1 / np.sqrt((1 + (40 / f) ** 4) * (1 + (f / centre) ** 4))
        howl = 1 / (1 + ((f - centre) / (0.07 * centre)) ** 2)
        return (0.15 + gust**1.5) * (low + whistle * gust * howl)

    return moving_filter(rng.standard_normal(count), sample_rate, response)


def sea_waves(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Breakers every few seconds: a slow rise, a bright crash, a long wash back."""
    count = sample_count(take.seconds, sample_rate)
    at = np.linspace(0, take.seconds, 400)
    height = np.full(400, 0.08)
    start = -rng.uniform(0, 1.0)
    while start < take.seconds:
        rise, wash, size = rng.uniform(0.8, 1.5), rng.uniform(0.9, 1.8), rng.uniform(0.6, 1.0)
        since = at - start
        rising, falling = (
            np.clip(since / rise, 0, 1) ** 2.5,
            np.exp(-np.maximum(since - rise, 0) / wash),
        )
        height += size * np.where(since < rise, rising, falling)
        start += rise + wash * rng.uniform(1.3, 2.0)
    dark, bright = rng.uniform(400, 800), rng.uniform(3000, 6000)

    def response(position: Array, frequency: Array) -> Array:
        level = np.interp(position, np.linspace(0, 1, 400), height)
        f = np.maximum(frequency, 30.0)
        return (
            level
            / np.sqrt((1 + (60 / f) ** 2) * (1 + (f / (dark + bright * level)) ** 2))
            * (f / 500) ** -0.4
        )

    return moving_filter(rng.standard_normal(count), sample_rate, response)


def thunder(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A crack and a rumble that rolls on, darker as it goes."""
    count, seconds = sample_count(take.seconds, sample_rate), take.seconds
    start = rng.uniform(0, min(0.3, seconds / 6))
    near, length = rng.uniform(0, 1), rng.uniform(0.4, 0.7) * seconds
    rolls = [
        (start + rng.uniform(0, length), rng.uniform(0.3, 1.0), rng.uniform(0.2, 0.7))
        for _ in range(8)
    ]
    rolls += [(start, 1.2, rng.uniform(0.3, 0.9)), (start + 0.9 * length, 0.8, 0.6)]

    def response(position: Array, frequency: Array) -> Array:
        at = position * seconds
        level = np.full(at.shape, 1e-3)
        for s, gain, decay in rolls:
            since = np.maximum(at - s, 0)
            level = level + gain * np.exp(-since / decay) * np.clip(since / 0.04, 0, 1)
        edge = 160 + (250 + 2500 * near) * np.exp(-np.maximum(at - start, 0) / (0.35 + 0.5 * near))
        f = np.maximum(frequency, 20.0)
        return level / np.sqrt((1 + (30 / f) ** 4) * (1 + (f / edge) ** 4)) * (f / 100) ** -0.4

    return moving_filter(rng.standard_normal(count), sample_rate, response)


def _bubbles(
    rng: np.random.Generator, sample_rate: int, low: float, spread: float, most: int = 40
) -> list[Array]:
    """Short sines of rising pitch, such as bubbles of air make under water."""
    found = []
    for _ in range(most):
        pitch = min(low * np.exp(abs(rng.normal(0, spread)) * 1.6), 0.4 * sample_rate)
        t = (
            np.arange(max(8, int(sample_rate * rng.uniform(12, 25) / pitch))) / sample_rate
        )  # some 15 periods
        rise = 1 + rng.uniform(0.0, 0.25) * t / t[-1]
        found.append(
            np.sin(2 * np.pi * pitch * t * rise) * np.exp(-4 * t / t[-1]) * np.minimum(1, t * 1500)
        )
    return found


def stream(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Bubbles over a soft rush."""
    count = sample_count(take.seconds, sample_rate)
    bubbles = _bubbles(rng, sample_rate, rng.uniform(350, 700), rng.uniform(0.4, 0.6))
    babble = scatter(rng, count, sample_rate, bubbles, rng.uniform(140, 300), 0.7)
    rush = noise(rng, count, sample_rate, band(400, rng.uniform(3000, 7000), 1), tilt=0.6)
    return unit_rms(babble) + rng.uniform(0.15, 0.4) * rush


def pouring(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Water poured into a vessel: the note of the air above it rises as it fills."""
    count = sample_count(take.seconds, sample_rate)
    low, reach = rng.uniform(350, 500), rng.uniform(2.2, 3.2)

    def response(position: Array, frequency: Array) -> Array:
        note = low * reach**position
        total = np.full(np.broadcast_shapes(position.shape, frequency.shape), 0.06)
        for k, gain in ((1, 1.0), (3, 0.5), (5, 0.25)):
            total = total + gain / (1 + ((frequency - k * note) / (0.09 * k * note)) ** 2)
        return total

    source = unit_rms(
        scatter(rng, count, sample_rate, _bubbles(rng, sample_rate, 500, 0.6), 250, 0.6)
    )
    return moving_filter(source + 0.5 * rng.standard_normal(count), sample_rate, response)


def drip(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Single drops into still water: a click, then a plop that rises."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    pitch = vary(rng, 900) * take.pitch
    for start in strokes(rng, take, vary(rng, 0.62), 0.12):
        t = np.arange(int(0.09 * sample_rate)) / sample_rate
        rise = pitch * rng.uniform(0.9, 1.1) * (t + 2.5 * t * t)
        plop = np.sin(2 * np.pi * rise) * np.exp(-45 * t) * np.minimum(1, t * 700)
        add_at(out, plop * rng.uniform(0.7, 1.0), int(start * sample_rate))
        add_at(
            out, 0.15 * burst(rng, 0.008, sample_rate, band(2000, 7000)), int(start * sample_rate)
        )
    return out


def fire(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Crackles of very unequal size in clusters, over a breathing low roar and a hiss."""
    count = sample_count(take.seconds, sample_rate)
    roar = noise(rng, count, sample_rate, band(40, rng.uniform(250, 600), 1), tilt=1.0)
    hiss = noise(rng, count, sample_rate, band(2500, 9000, 1))
    activity = 0.2 + (0.5 + 0.5 * wander(rng, count, sample_rate, 1.5)) ** 2
    snaps = []
    for edge in rng.uniform(600, 3000, 12):
        snap = burst(rng, rng.uniform(0.004, 0.03), sample_rate, band(edge, edge * 4, 1), 0.0003)
        snaps.append(unit_peak(snap) * min(0.1 * rng.pareto(1.2) + 0.1, 1.0))
    crackle = scatter(rng, count, sample_rate, snaps, activity * rng.uniform(20, 45), 0.8)
    return 0.04 * roar * (1 + 0.5 * wander(rng, count, sample_rate, 3)) + 0.01 * hiss + crackle
