"""Engines, motors and tools. Each renders a Take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .events import Take, clockwork, strokes
from .synthesis import (
    Array,
    add_at,
    band,
    burst,
    falling,
    filtered,
    formants,
    noise,
    sample_count,
    struck,
    swell,
    tone,
    unit_rms,
    vary,
    wander,
)


def engine(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A car or lorry running: uneven firing pulses through an exhaust, and clatter in time with them."""
    count = sample_count(take.seconds, sample_rate)
    firing = vary(rng, 27) * take.pitch  # pulses a second
    cylinders = rng.uniform(0.75, 1.0, 4)  # no two fire alike: this is the lope of an idle
    ramp = clockwork(count, sample_rate, firing * (1 + 0.02 * wander(rng, count, sample_rate, 8)))
    turn = np.cumsum(np.diff(ramp, prepend=0) < 0) % 4
    pulse = np.exp(-12 * ramp) * cylinders[turn]
    exhaust = formants(
        (90 * take.pitch, 60, 1.0),
        (180 * take.pitch, 120, 0.6),
        (480 * take.pitch, 300, 0.3),
        floor=0.01,
    )
    clatter = noise(rng, count, sample_rate, band(500, 3200, 1), tilt=0.7) * (0.2 + pulse)
    body = unit_rms(filtered(pulse - pulse.mean(), sample_rate, exhaust))
    slow = 1 + 0.08 * wander(rng, count, sample_rate, 1.0)
    return slow * (body + rng.uniform(0.3, 0.6) * clatter)


def helicopter(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """The chop of the blades in low noise, a turbine's whine, and a slow approach or departure."""
    count = sample_count(take.seconds, sample_rate)
    ramp = clockwork(count, sample_rate, vary(rng, 13), rng.random())
    chop = np.exp(-6 * ramp) * np.minimum(1, ramp / 0.06)
    thump = struck(
        rng, 0.1, sample_rate, [(rng.uniform(55, 90), 1, 0.08), (rng.uniform(110, 190), 0.7, 0.06)]
    )
    blades = np.zeros(count)
    for start in np.flatnonzero(np.diff(ramp) < 0):
        add_at(blades, thump * rng.uniform(0.85, 1), int(start))
    rush = noise(rng, count, sample_rate, band(80, rng.uniform(900, 2500), 1), tilt=0.8)
    whine = tone(np.full(count, rng.uniform(350, 700)), sample_rate, falling(1, 5))
    distance = np.linspace(rng.uniform(0.6, 1), rng.uniform(0.6, 1), count)
    return distance * (
        1.2 * unit_rms(blades) + rush * (0.15 + 2.0 * chop) + rng.uniform(0.02, 0.1) * whine
    )


def vacuum_cleaner(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A universal motor's whine and its harmonics in a loud rush of air, changing as the nozzle moves."""
    count = sample_count(take.seconds, sample_rate)
    push = wander(rng, count, sample_rate, rng.uniform(0.5, 1.2))
    gains = [1.0 if k in (1, 2, 6) else 0.3 / np.sqrt(k) for k in range(1, 17)]
    tones = tone(vary(rng, 240) * (1 + 0.015 * push), sample_rate, gains)
    air = noise(
        rng, count, sample_rate, band(rng.uniform(150, 350), rng.uniform(4000, 8000), 1), tilt=0.5
    )
    return (air + rng.uniform(0.6, 1.2) * unit_rms(tones)) * (1 + 0.12 * push)


def drill(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """An electric drill: a gear whine that spins up, bites and labours."""
    count = sample_count(take.seconds, sample_rate)
    spin = 1 - np.exp(-np.arange(count) / (0.12 * sample_rate))
    load = (
        1 + 0.06 * wander(rng, count, sample_rate, 1.5) + 0.01 * wander(rng, count, sample_rate, 30)
    )
    whine = tone(vary(rng, 520) * take.pitch * spin * load, sample_rate, falling(0.45, 24))
    grind = noise(rng, count, sample_rate, band(900 * take.pitch, 5000 * take.pitch, 1))
    rough = 1 + 0.35 * wander(rng, count, sample_rate, 45)
    return (unit_rms(whine) + 0.3 * grind) * rough * spin


def saw(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A hand saw in wood: push and pull, each a rasp of teeth that speeds up and slows down."""
    out = np.zeros(sample_count(take.seconds, sample_rate))
    stroke = sample_count(0.34 / take.rate, sample_rate)
    teeth = vary(rng, 120)
    for i, start in enumerate(strokes(rng, take, 0.44, 0.05)):
        speed = 0.3 + np.sin(np.pi * np.linspace(0, 1, stroke))
        rasp = np.exp(-3 * clockwork(stroke, sample_rate, teeth * speed))
        push = i % 2 == 0
        wood = noise(
            rng,
            stroke,
            sample_rate,
            formants((1300 if push else 1900, 900, 1.0), (3800, 2000, 0.6), floor=0.05),
        )
        add_at(
            out,
            wood * rasp * swell(stroke, 0.3, 0.3) * (1.0 if push else 0.75),
            int(start * sample_rate),
        )
    return out


def train(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """A train on jointed rails: clickety-clack of two axles over a low rumble."""
    count = sample_count(take.seconds, sample_rate)
    out = np.zeros(count)
    rail = [
        (vary(rng, f, 0.2), g, d)
        for f, g, d in ((110, 1.0, 0.12), (330, 0.7, 0.08), (900, 0.6, 0.05), (2300, 0.3, 0.03))
    ]
    clack = struck(rng, 0.14, sample_rate, rail)
    add_at(clack, 0.5 * burst(rng, 0.03, sample_rate, band(500, 4000)), 0)
    for start in strokes(rng, take, vary(rng, 0.66, 0.06), 0.02):
        add_at(out, clack, int(start * sample_rate))
        add_at(out, 0.8 * clack, int((start + 0.14 / take.rate) * sample_rate))
    rumble = noise(rng, count, sample_rate, band(40, 500, 1), tilt=0.8)
    hiss = noise(rng, count, sample_rate, band(1500, 6000, 1))
    return 3.0 * unit_rms(out) + (0.7 * rumble + 0.06 * hiss) * (
        1 + 0.15 * wander(rng, count, sample_rate, 2)
    )


def hiss(rng: np.random.Generator, take: Take, sample_rate: int) -> Array:
    """Steam or air that escapes under pressure."""
    count = sample_count(take.seconds, sample_rate)
    jet = noise(rng, count, sample_rate, band(rng.uniform(2500, 3500), 12000))
    rise = 1 - np.exp(-np.arange(count) / (0.05 * sample_rate))
    return jet * rise * (1 + 0.15 * wander(rng, count, sample_rate, 6))
