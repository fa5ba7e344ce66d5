"""Weather, water, fire, and the small animals that make one place sound like another. Each returns float64 [T]."""

from __future__ import annotations

import numpy as np

from .synthesis import (
    Array,
    add_at,
    band,
    burst,
    glide,
    harmonics,
    moving_noise,
    noise,
    onsets,
    sample_count,
    struck,
    swell,
    unit_peak,
    unit_rms,
    wander,
)


def rain(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A bed of hiss, and drops: sparse impulses through the short ring of four different surfaces."""
    count = sample_count(seconds, sample_rate)
    bed = noise(rng, count, sample_rate, band(rng.uniform(300, 900), rng.uniform(6000, 14000), 1), tilt=0.4)
    drops = np.zeros(count)
    density = 10 ** rng.uniform(1.3, 2.6)  # drops a second on each surface
    for _ in range(4):
        impulses = np.where(rng.random(count) < density / sample_rate, rng.lognormal(0, 0.6, count), 0.0)
        pitch = rng.uniform(900, 6500)
        ring = struck(rng, 0.02, sample_rate, [(pitch, 1, rng.uniform(0.004, 0.015)), (pitch * 1.7, 0.5, 0.006)])
        ring += 0.7 * burst(rng, 0.02, sample_rate, band(1500, 9000), 0.0005)
        drops += np.convolve(impulses, ring)[:count]
    gust = 1 + 0.15 * wander(rng, count, sample_rate, 0.7)
    return gust * (rng.uniform(0.5, 1.2) * bed + rng.uniform(0.3, 1.0) * unit_rms(drops))


def wind(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Noise in a band that rises and falls with the gusts; a faint whistle in the strong ones."""
    count = sample_count(seconds, sample_rate)
    gust = 0.5 + 0.5 * wander(rng, count, sample_rate, rng.uniform(0.4, 0.9))
    base, reach, whistle = rng.uniform(120, 300), rng.uniform(300, 900), rng.uniform(0.0, 0.5)

    def response_at(at: float):
        strength = gust[min(count - 1, int(at * sample_rate))]
        centre = base + reach * strength
        level = 0.15 + strength**1.5
        howl = band(centre * 0.93, centre * 1.07, 4)
        return lambda f: level * (band(40, centre, 2)(f) + whistle * strength * 4 * howl(f))

    return moving_noise(rng, count, sample_rate, response_at)


def sea_waves(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Breakers every few seconds: a slow rise, a bright crash, a long wash back."""
    count = sample_count(seconds, sample_rate)
    at = np.arange(count) / sample_rate
    height = np.full(count, 0.08)
    start = -rng.uniform(0, 2.0)
    while start < seconds:
        rise, wash, size = rng.uniform(1.0, 2.0), rng.uniform(1.2, 2.5), rng.uniform(0.6, 1.0)
        since = at - start
        height += size * np.where(since < rise, np.clip(since / rise, 0, 1) ** 2.5, np.exp(-(since - rise) / wash))
        start += rise + wash * rng.uniform(1.3, 2.0)
    dark, bright = rng.uniform(400, 800), rng.uniform(3000, 6000)

    def response_at(at: float):
        level = height[min(count - 1, int(at * sample_rate))]
        return lambda f: level * band(60, dark + bright * level, 1)(f) * (np.maximum(f, 50) / 500) ** -0.4

    return moving_noise(rng, count, sample_rate, response_at)


def thunder(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A crack and a rumble that rolls on, darker as it goes."""
    count = sample_count(seconds, sample_rate)
    start = rng.uniform(0, min(0.8, seconds / 4))
    near, length = rng.uniform(0, 1), rng.uniform(1.5, 4.0)
    rolls = [(start + rng.uniform(0, length), rng.uniform(0.3, 1.0), rng.uniform(0.15, 0.7)) for _ in range(9)]
    rolls.append((start, 1.2, rng.uniform(0.3, 0.9)))

    def response_at(at: float):
        level = sum(g * np.exp(-(at - s) / d) * min(1, (at - s) / 0.04) for s, g, d in rolls if at > s) + 1e-4
        since = max(0.0, at - start)
        edge = 140 + (250 + 2500 * near) * np.exp(-since / (0.35 + 0.5 * near))
        return lambda f: level * band(25, edge, 2)(f) * (np.maximum(f, 30) / 100) ** -0.5

    return moving_noise(rng, count, sample_rate, response_at)


def stream(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Bubbles, each a short sine of rising pitch, over a soft rush."""
    count = sample_count(seconds, sample_rate)
    out = np.zeros(count)
    low, spread = rng.uniform(350, 700), rng.uniform(0.4, 0.6)
    for _ in range(int(seconds * rng.uniform(120, 300))):
        pitch = min(low * np.exp(abs(rng.normal(0, spread)) * 1.6), 0.4 * sample_rate)
        length = int(sample_rate * rng.uniform(12, 25) / pitch)  # a bubble rings for some 15 periods
        t = np.arange(max(8, length)) / sample_rate
        rise = 1 + rng.uniform(0.0, 0.25) * t / t[-1]
        bubble = np.sin(2 * np.pi * pitch * t * rise) * np.exp(-4 * t / t[-1]) * np.minimum(1, t * 1500)
        add_at(out, bubble * rng.lognormal(0, 0.7), int(rng.integers(0, count)))
    rush = noise(rng, count, sample_rate, band(400, rng.uniform(3000, 7000), 1), tilt=0.6)
    return unit_rms(out) + rng.uniform(0.15, 0.5) * rush


def fire(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Crackles of very unequal size in clusters, over a breathing low roar and a hiss."""
    count = sample_count(seconds, sample_rate)
    roar = noise(rng, count, sample_rate, band(40, rng.uniform(250, 600), 1), tilt=1.0)
    hiss = noise(rng, count, sample_rate, band(2500, 9000, 1))
    out = 0.03 * roar * (1 + 0.5 * wander(rng, count, sample_rate, 3)) + 0.008 * hiss
    activity = 0.2 + (0.5 + 0.5 * wander(rng, count, sample_rate, 1.5)) ** 2
    clicks = np.flatnonzero(rng.random(count) < activity * rng.uniform(15, 45) / sample_rate)
    for at in clicks:
        edge = rng.uniform(600, 3000)
        snap = burst(rng, rng.uniform(0.004, 0.03), sample_rate, band(edge, edge * 4, 1), 0.0003)
        add_at(out, snap * min(0.05 * rng.pareto(1.2) + 0.03, 1.0) * 0.35, int(at))
    return out


def birds(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Two to four birds, each with its own few syllables (sweeps, trills, whistles), near or far."""
    out = np.zeros(sample_count(seconds, sample_rate))
    for bird in range(int(rng.integers(2, 5))):
        distance = 1.0 if bird == 0 else rng.uniform(0.15, 0.7)
        low = rng.uniform(2000, 4200)
        syllables = [_syllable(rng, low, sample_rate) for _ in range(int(rng.integers(1, 4)))]
        for start in onsets(rng, seconds, (0.7, 1.8), 0.4):
            at = start
            for _ in range(int(rng.integers(2, 7))):
                syllable = syllables[int(rng.integers(len(syllables)))]
                add_at(out, syllable * distance * rng.uniform(0.6, 1.0), int(at * sample_rate))
                at += len(syllable) / sample_rate + rng.uniform(0.02, 0.08)
    return out + 0.004 * noise(rng, len(out), sample_rate, band(100, 6000, 1), tilt=1.0)


def _syllable(rng: np.random.Generator, low: float, sample_rate: int) -> Array:
    count = sample_count(rng.uniform(0.05, 0.18), sample_rate)
    pitch = glide(count, *(low * rng.uniform(0.9, 1.9, int(rng.integers(2, 5)))))
    if rng.random() < 0.4:
        pitch = pitch * (
            1 + rng.uniform(0.03, 0.1) * np.sin(2 * np.pi * rng.uniform(25, 50) * np.arange(count) / sample_rate)
        )
    second = rng.uniform(0.02, 0.15)
    return harmonics(pitch, sample_rate, lambda k, f: 1.0 if k == 1 else second, 2) * swell(count, 0.25, 0.4)


def crickets(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A near cricket in groups of quick pulses, others further off, and the quiet of the night."""
    count = sample_count(seconds, sample_rate)
    out = np.zeros(count)
    t = np.arange(count) / sample_rate
    for cricket in range(int(rng.integers(2, 7))):
        tone = np.sin(2 * np.pi * rng.uniform(3800, 5200) * t)
        pulse_rate, trill = rng.uniform(24, 45), rng.random() < 0.3
        pulses = np.clip(np.sin(2 * np.pi * (pulse_rate * t + rng.random())), 0, 1) ** 1.5
        chirp_rate, duty = rng.uniform(1.5, 3.2), rng.uniform(0.25, 0.5)
        gate = np.ones(count) if trill else (((chirp_rate * t + rng.random()) % 1) < duty).astype(float)
        ramp = np.hanning(max(3, int(0.012 * sample_rate)))
        gate = np.convolve(gate, ramp / ramp.sum(), mode="same")[:count]
        out += tone * pulses * gate * (1.0 if cricket == 0 else rng.uniform(0.05, 0.4))
    return unit_peak(out) + 0.01 * noise(rng, count, sample_rate, band(80, 5000, 1), tilt=1.0)


def insect(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A fly or a bee: a buzzing wing beat that comes near, turns, and goes."""
    count = sample_count(seconds, sample_rate)
    pitch = rng.uniform(130, 260) * (
        1 + 0.08 * wander(rng, count, sample_rate, 2.5) + 0.01 * wander(rng, count, sample_rate, 25)
    )
    near = 0.12 + (0.5 + 0.5 * wander(rng, count, sample_rate, 1.2)) ** 2
    shape = band(150, rng.uniform(1500, 3500), 1)
    return harmonics(pitch, sample_rate, lambda k, f: shape(f) * k**-0.4, 30) * near
