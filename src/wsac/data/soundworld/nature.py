"""Weather, water and fire. Each function plays a take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .synthesis import Array, band, formants, unit_peak, unit_rms
from .take import Take


def rain(take: Take) -> Array:
    """A bed of hiss, and drops: sparse impulses through the short ring of several surfaces."""
    bed = take.noise(band(take.uniform(300, 900), take.uniform(6000, 12000), 1), tilt=0.4)
    drops = []
    for _ in range(8):
        pitch = take.uniform(900, 6500)
        modes = [(pitch, 1, take.uniform(0.004, 0.015)), (pitch * 1.7, 0.5, 0.006)]
        ring = take.struck(0.02, modes)
        drops.append(ring + 0.7 * take.burst(0.02, band(1500, 9000), 0.0005))
    patter = take.scatter(drops, 10 ** take.uniform(2.0, 2.9))
    gust = 1 + 0.15 * take.wander(0.7)
    return gust * (take.uniform(0.5, 1.0) * bed + take.uniform(0.4, 1.0) * unit_rms(patter))


def wind(take: Take) -> Array:
    """Noise in a band that rises and falls with the gusts, and a faint whistle in strong gusts."""
    turns = take.uniform(0.4, 0.9) * take.seconds / 2
    gusts = 0.5 + 0.5 * take.wander(turns, 200, sample_rate=100)
    base, reach = take.uniform(120, 300), take.uniform(300, 900)
    whistle = take.uniform(0.0, 0.5)

    def response(position: Array, frequency: Array) -> Array:
        gust = np.interp(position, np.linspace(0, 1, 200), gusts)
        centre = base + reach * gust
        f = np.maximum(frequency, 1.0)
        low = 1 / np.sqrt((1 + (40 / f) ** 4) * (1 + (f / centre) ** 4))
        howl = 1 / (1 + ((f - centre) / (0.07 * centre)) ** 2)
        return (0.15 + gust**1.5) * (low + whistle * gust * howl)

    return take.moving_filter(take.rng.standard_normal(take.size), response)


def sea_waves(take: Take) -> Array:
    """Breakers every few seconds: a slow rise, a bright crash, a long wash back."""
    at = np.linspace(0, take.seconds, 400)
    height = np.full(400, 0.08)
    start = -take.uniform(0, 1.0)
    while start < take.seconds:
        rise, wash = take.uniform(0.8, 1.5), take.uniform(0.9, 1.8)
        peak, since = take.uniform(0.6, 1.0), at - start
        rising = np.clip(since / rise, 0, 1) ** 2.5
        height += peak * np.where(since < rise, rising, np.exp(-np.maximum(since - rise, 0) / wash))
        start += rise + wash * take.uniform(1.3, 2.0)
    dark, bright = take.uniform(400, 800), take.uniform(3000, 6000)

    def response(position: Array, frequency: Array) -> Array:
        level = np.interp(position, np.linspace(0, 1, 400), height)
        f = np.maximum(frequency, 30.0)
        edges = (1 + (60 / f) ** 2) * (1 + (f / (dark + bright * level)) ** 2)
        return level / np.sqrt(edges) * (f / 500) ** -0.4

    return take.moving_filter(take.rng.standard_normal(take.size), response)


def thunder(take: Take) -> Array:
    """A crack and a rumble that rolls on, darker as it goes."""
    seconds, uniform = take.seconds, take.uniform
    start = uniform(0, min(0.3, seconds / 6))
    near, length = uniform(0, 1), uniform(0.4, 0.7) * seconds
    rolls = [(start + uniform(0, length), uniform(0.3, 1.0), uniform(0.2, 0.7)) for _ in range(8)]
    rolls += [(start, 1.2, uniform(0.3, 0.9)), (start + 0.9 * length, 0.8, 0.6)]

    def response(position: Array, frequency: Array) -> Array:
        at = position * seconds
        level = np.full(at.shape, 1e-3)
        for onset, gain, decay in rolls:
            since = np.maximum(at - onset, 0)
            level = level + gain * np.exp(-since / decay) * np.clip(since / 0.04, 0, 1)
        edge = 160 + (250 + 2500 * near) * np.exp(-np.maximum(at - start, 0) / (0.35 + 0.5 * near))
        f = np.maximum(frequency, 20.0)
        return level / np.sqrt((1 + (30 / f) ** 4) * (1 + (f / edge) ** 4)) * (f / 100) ** -0.4

    return take.moving_filter(take.rng.standard_normal(take.size), response)


def _bubbles(take: Take, low: float, spread: float) -> list[Array]:
    """Forty short sines of rising pitch, as bubbles of air sound under water."""
    bubbles = []
    for _ in range(40):
        octaves = abs(take.rng.normal(0, spread)) * 1.6
        pitch = min(low * np.exp(octaves), 0.4 * take.sample_rate)
        size = max(8, int(take.sample_rate * take.uniform(12, 25) / pitch))  # 12 to 25 periods
        t = np.arange(size) / take.sample_rate
        rise = 1 + take.uniform(0.0, 0.25) * t / t[-1]
        wave = np.sin(2 * np.pi * pitch * t * rise)
        bubbles.append(wave * np.exp(-4 * t / t[-1]) * np.minimum(1, t * 1500))
    return bubbles


def stream(take: Take) -> Array:
    """Bubbles over a soft rush."""
    bubbles = _bubbles(take, take.uniform(350, 700), take.uniform(0.4, 0.6))
    babble = take.scatter(bubbles, take.uniform(140, 300), 0.7)
    rush = take.noise(band(400, take.uniform(3000, 7000), 1), tilt=0.6)
    return unit_rms(babble) + take.uniform(0.15, 0.4) * rush


def pouring(take: Take) -> Array:
    """Water poured into a vessel: the note of the air above it rises as it fills."""
    low, reach = take.uniform(350, 500), take.uniform(2.2, 3.2)

    def response(position: Array, frequency: Array) -> Array:
        note = low * reach**position
        peaks = [(k * note, 0.18 * k * note, gain) for k, gain in ((1, 1.0), (3, 0.5), (5, 0.25))]
        return formants(*peaks, floor=0.06)(frequency)

    water = unit_rms(take.scatter(_bubbles(take, 500, 0.6), 250, 0.6))
    return take.moving_filter(water + 0.5 * take.rng.standard_normal(take.size), response)


def drip(take: Take) -> Array:
    """Single drops into still water: a click, then a plop that rises."""
    pitch = take.vary(900) * take.pitch
    t = np.arange(int(0.09 * take.sample_rate)) / take.sample_rate
    out = np.zeros(take.size)
    for start in take.strokes(take.vary(0.62), 0.12):
        rise = pitch * take.uniform(0.9, 1.1) * (t + 2.5 * t * t)
        plop = np.sin(2 * np.pi * rise) * np.exp(-45 * t) * np.minimum(1, t * 700)
        take.add(out, plop * take.uniform(0.7, 1.0), start)
        take.add(out, 0.15 * take.burst(0.008, band(2000, 7000)), start)
    return out


def fire(take: Take) -> Array:
    """Crackles of very unequal size in clusters, over a breathing low roar and a hiss."""
    roar = take.noise(band(40, take.uniform(250, 600), 1), tilt=1.0)
    hiss = take.noise(band(2500, 9000, 1))
    activity = 0.2 + (0.5 + 0.5 * take.wander(1.5)) ** 2
    snaps = []
    for edge in take.rng.uniform(600, 3000, 12):
        snap = take.burst(take.uniform(0.004, 0.03), band(edge, edge * 4, 1), 0.0003)
        snaps.append(unit_peak(snap) * min(0.1 * take.rng.pareto(1.2) + 0.1, 1.0))
    crackle = take.scatter(snaps, activity * take.uniform(20, 45), 0.8)
    return 0.04 * roar * (1 + 0.5 * take.wander(3)) + 0.01 * hiss + crackle
