"""Hands, feet and machines: impacts one by one, and motors. Each returns float64 [T]."""

from __future__ import annotations

import numpy as np

from .synthesis import (
    Array,
    add_at,
    band,
    burst,
    harmonics,
    noise,
    onsets,
    sample_count,
    struck,
    unit_peak,
    unit_rms,
    wander,
)


def footsteps(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Walking on a hard floor or on gravel: heel, then sole."""
    out = np.zeros(sample_count(seconds, sample_rate))
    pace, gravel = rng.uniform(0.42, 0.68), rng.random() < 0.4
    body = [
        (rng.uniform(70, 220), 1.0, 0.08),
        (rng.uniform(250, 600), 0.5, 0.05),
        (rng.uniform(900, 2000), 0.25, 0.025),
    ]
    edge = rng.uniform(700, 1600)
    for start in onsets(rng, seconds, (pace * 0.95, pace * 1.05)):
        force, at = rng.uniform(0.7, 1.0), int(start * sample_rate)
        if gravel:
            for _ in range(int(rng.integers(25, 50))):
                low = rng.uniform(900, 3500)
                grain = burst(rng, rng.uniform(0.003, 0.02), sample_rate, band(low, low * 2.5), 0.0004)
                add_at(out, grain * force * rng.lognormal(-1.8, 0.6), at + int(abs(rng.normal(0, 0.07)) * sample_rate))
            continue
        modes = [(f * rng.uniform(0.95, 1.05), g, d) for f, g, d in body]
        add_at(out, struck(rng, 0.12, sample_rate, modes) * force, at)
        add_at(out, burst(rng, 0.03, sample_rate, band(edge, 6000)) * 0.25 * force, at)
        sole = at + int(rng.uniform(0.06, 0.11) * sample_rate)
        add_at(out, burst(rng, 0.06, sample_rate, band(400, 3500, 1)) * 0.12 * force, sole)
    return out


def knocking(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Knuckles on a wooden door, in groups of two to five."""
    out = np.zeros(sample_count(seconds, sample_rate))
    panel = [(rng.uniform(110, 1300), rng.uniform(0.4, 1), rng.uniform(0.05, 0.14)) for _ in range(7)]
    gap = rng.uniform(0.13, 0.26)
    for start in onsets(rng, seconds, (1.3, 2.2)):
        for i in range(int(rng.integers(2, 6))):
            at = int((start + i * gap * rng.uniform(0.95, 1.05)) * sample_rate)
            force = rng.uniform(0.65, 1.0)
            add_at(out, struck(rng, 0.18, sample_rate, panel) * force, at)
            add_at(out, burst(rng, 0.012, sample_rate, band(700, 4000), 0.0005) * 0.8 * force, at)
    return out


def typing(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Keys struck in runs, each with a press, a bottoming thump and a softer release; the space bar is lower."""
    out = np.zeros(sample_count(seconds, sample_rate))
    speed = rng.uniform(0.07, 0.16)
    plastic = [(rng.uniform(1500, 5500), rng.uniform(0.3, 1), rng.uniform(0.01, 0.03)) for _ in range(6)]
    case = (rng.uniform(200, 500), 0.5, 0.04)
    at = rng.uniform(0, min(0.2, seconds / 5))
    while at < seconds:
        space = rng.random() < 0.15
        bend = 0.6 if space else rng.uniform(0.9, 1.12)
        modes = [(f * bend, g * rng.uniform(0.6, 1.2), d) for f, g, d in plastic] + [case]
        force, start = rng.uniform(0.5, 1.0), int(at * sample_rate)
        press = struck(rng, 0.05, sample_rate, modes)
        add_at(out, press * force, start)
        add_at(out, burst(rng, 0.01, sample_rate, band(1500, 7000), 0.0004) * 0.7 * force, start)
        add_at(out, press * 0.3 * force, start + int(rng.uniform(0.05, 0.1) * sample_rate))
        at += rng.gamma(6, speed / 6) + (rng.uniform(0.25, 0.6) if rng.random() < 0.08 else 0)
    return out


def clapping(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Hands clapping, from a few people to a hall, each with a rate and a pair of hands of their own."""
    out = np.zeros(sample_count(seconds, sample_rate))
    for _ in range(int(10 ** rng.uniform(0.6, 1.7))):
        every, centre, level = rng.uniform(0.19, 0.36), rng.uniform(700, 2400), rng.lognormal(-0.5, 0.6)
        hands = [
            burst(rng, rng.uniform(0.03, 0.08), sample_rate, band(centre * 0.6, centre * 1.7, 1), 0.0008)
            for _ in range(4)
        ]
        for start in onsets(rng, seconds, (every * 0.92, every * 1.08)):
            add_at(out, hands[int(rng.integers(4))] * level * rng.uniform(0.7, 1), int(start * sample_rate))
    return out


def engine(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A car or lorry idling: firing pulses with jitter through an exhaust, and clatter in time with them."""
    count = sample_count(seconds, sample_rate)
    out, beat = np.zeros(count), np.zeros(count)
    firing = rng.uniform(17, 42)  # pulses a second
    cylinders = rng.uniform(0.75, 1.0, int(rng.choice([3, 4, 6])))  # no two fire alike: this is the lope of an idle
    exhaust = [
        (rng.uniform(45, 110), 1.0, 0.16),
        (rng.uniform(120, 240), 0.6, 0.08),
        (rng.uniform(300, 700), 0.4, 0.04),
    ]
    pulse = struck(rng, 0.15, sample_rate, exhaust)
    knock = np.exp(-6.9 * np.arange(int(0.03 * sample_rate)) / (0.03 * sample_rate))
    for i, start in enumerate(onsets(rng, seconds, (0.96 / firing, 1.04 / firing), 0.02)):
        force = cylinders[i % len(cylinders)] * rng.uniform(0.9, 1.0)
        add_at(out, pulse * force, int(start * sample_rate))
        add_at(beat, knock * force, int(start * sample_rate))
    clatter = noise(rng, count, sample_rate, band(500, rng.uniform(2500, 5000), 1), tilt=0.7) * (0.25 + beat)
    rumble = noise(rng, count, sample_rate, band(30, 250), tilt=1.0)
    slow = 1 + 0.08 * wander(rng, count, sample_rate, 1.0)
    return slow * (unit_rms(out) + rng.uniform(0.3, 0.9) * clatter + 0.2 * rumble)


def helicopter(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """The chop of the blades in low noise, a turbine's whine, and a slow approach or departure."""
    count = sample_count(seconds, sample_rate)
    t = np.arange(count) / sample_rate
    rate = rng.uniform(10, 19)
    phase = (rate * t + rng.random()) % 1
    chop = np.exp(-phase * rng.uniform(4, 8)) * np.minimum(1, phase / 0.04)
    thump = struck(rng, 0.1, sample_rate, [(rng.uniform(50, 90), 1, 0.08), (rng.uniform(110, 190), 0.7, 0.06)])
    blades = np.zeros(count)
    for start in np.flatnonzero(np.diff(phase) < 0):
        add_at(blades, thump * rng.uniform(0.85, 1), int(start))
    rush = noise(rng, count, sample_rate, band(80, rng.uniform(900, 2500), 1), tilt=0.8)
    whine = harmonics(np.full(count, rng.uniform(350, 700)), sample_rate, lambda k, f: 1 / k, 5)
    distance = np.linspace(rng.uniform(0.5, 1), rng.uniform(0.5, 1), count)
    return distance * (1.2 * unit_rms(blades) + rush * (0.15 + 2.0 * chop) + rng.uniform(0.02, 0.12) * whine)


def vacuum_cleaner(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A universal motor's whine and its harmonics in a loud rush of air, changing as the nozzle moves."""
    count = sample_count(seconds, sample_rate)
    push = wander(rng, count, sample_rate, rng.uniform(0.5, 1.2))
    motor = rng.uniform(170, 330) * (1 + 0.015 * push)
    tones = harmonics(motor, sample_rate, lambda k, f: 1.0 if k in (1, 2, 6) else 0.3 / np.sqrt(k), 16)
    air = noise(rng, count, sample_rate, band(rng.uniform(150, 350), rng.uniform(4000, 8000), 1), tilt=0.5)
    nozzle = noise(rng, count, sample_rate, band(1200, 3500), tilt=0.0)
    return air + rng.uniform(0.5, 1.2) * unit_rms(tones) + 0.2 * nozzle * (1 + 0.6 * push)


def fireworks(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Booms with a long tail, and a crackle of sparks after some."""
    out = np.zeros(sample_count(seconds, sample_rate))
    for start in onsets(rng, seconds, (0.35, 1.3), 0.5):
        force, at = rng.uniform(0.4, 1.0), int(start * sample_rate)
        boom = burst(rng, rng.uniform(0.5, 1.1), sample_rate, band(40, rng.uniform(250, 700), 1), 0.002)
        crack = burst(rng, 0.12, sample_rate, band(300, 5000, 1), 0.001)
        add_at(out, unit_peak(boom) * force, at)
        add_at(out, unit_peak(crack) * 0.6 * force, at)
        if rng.random() < 0.4:
            for _ in range(int(rng.integers(20, 60))):
                spark = burst(rng, 0.01, sample_rate, band(1500, 6500), 0.0004)
                add_at(out, spark * 0.05 * rng.lognormal(0, 0.6), at + int(rng.uniform(0.25, 1.1) * sample_rate))
    return out
