"""Engines, motors and tools. Each function plays a take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .synthesis import Array, add_at, band, falling, formants, swell, unit_rms
from .take import Take


def engine(take: Take) -> Array:
    """A car or lorry running: uneven firing pulses through an exhaust, and clatter in time."""
    pitch = take.pitch
    firing = take.vary(27) * pitch  # pulses a second
    cylinders = take.rng.uniform(0.75, 1.0, 4)  # no two fire alike: this is the lope of an idle
    ramp = take.clock(firing * (1 + 0.02 * take.wander(8)))
    pulse = np.exp(-12 * ramp) * cylinders[np.cumsum(np.diff(ramp, prepend=0) < 0) % 4]
    peaks = (90 * pitch, 60, 1.0), (180 * pitch, 120, 0.6), (480 * pitch, 300, 0.3)
    clatter = take.noise(band(500, 3200, 1), tilt=0.7) * (0.2 + pulse)
    body = unit_rms(take.filtered(pulse - pulse.mean(), formants(*peaks, floor=0.01)))
    slow = 1 + 0.08 * take.wander(1.0)
    return slow * (body + take.uniform(0.3, 0.6) * clatter)


def helicopter(take: Take) -> Array:
    """The chop of the blades in low noise, a turbine's whine, and a slow approach or departure."""
    uniform = take.uniform
    ramp = take.clock(take.vary(13), take.rng.random())
    chop = np.exp(-6 * ramp) * np.minimum(1, ramp / 0.06)
    thump = take.struck(0.1, [(uniform(55, 90), 1, 0.08), (uniform(110, 190), 0.7, 0.06)])
    blades = np.zeros(take.size)
    for start in np.flatnonzero(np.diff(ramp) < 0):
        add_at(blades, thump * uniform(0.85, 1), int(start))
    rush = take.noise(band(80, uniform(900, 2500), 1), tilt=0.8)
    whine = take.tone(uniform(350, 700), falling(1, 5))
    distance = np.linspace(uniform(0.6, 1), uniform(0.6, 1), take.size)
    sound = 1.2 * unit_rms(blades) + rush * (0.15 + 2.0 * chop) + uniform(0.02, 0.1) * whine
    return distance * sound


def vacuum_cleaner(take: Take) -> Array:
    """A motor's whine and its harmonics in a loud rush of air that changes as the nozzle moves."""
    push = take.wander(take.uniform(0.5, 1.2))
    gains = [1.0 if k in (1, 2, 6) else 0.3 / np.sqrt(k) for k in range(1, 17)]
    tones = take.tone(take.vary(240) * (1 + 0.015 * push), gains)
    air = take.noise(band(take.uniform(150, 350), take.uniform(4000, 8000), 1), tilt=0.5)
    return (air + take.uniform(0.6, 1.2) * unit_rms(tones)) * (1 + 0.12 * push)


def drill(take: Take) -> Array:
    """An electric drill: a gear whine that spins up, bites and labours."""
    spin = _spin_up(take, 0.12)
    load = 1 + 0.06 * take.wander(1.5) + 0.01 * take.wander(30)
    whine = take.tone(take.vary(520) * take.pitch * spin * load, falling(0.45, 24))
    grind = take.noise(band(900 * take.pitch, 5000 * take.pitch, 1))
    rough = 1 + 0.35 * take.wander(45)
    return (unit_rms(whine) + 0.3 * grind) * rough * spin


def _spin_up(take: Take, seconds: float) -> Array:
    """A curve from 0 that settles at 1 with this time constant."""
    return 1 - np.exp(-np.arange(take.size) / (seconds * take.sample_rate))


def saw(take: Take) -> Array:
    """A hand saw in wood: push and pull, each a rasp of teeth that speeds up and slows down."""
    size = take.samples(0.34 / take.rate)
    teeth = take.vary(120)
    speed = 0.3 + np.sin(np.pi * np.linspace(0, 1, size))
    rasp = np.exp(-3 * take.clock(teeth * speed))

    def stroke(i: int) -> Array:
        centre, force = (1900, 0.75) if i % 2 else (1300, 1.0)
        shape = formants((centre, 900, 1.0), (3800, 2000, 0.6), floor=0.05)
        return take.noise(shape, size=size) * rasp * swell(size, 0.3, 0.3) * force

    return take.repeat(stroke, 0.44)


def train(take: Take) -> Array:
    """A train on jointed rails: clickety-clack of two axles over a low rumble."""
    out = np.zeros(take.size)
    low = (110, 1.0, 0.12), (330, 0.7, 0.08)
    clack = take.struck(0.14, take.varied_modes(0.2, *low, (900, 0.6, 0.05), (2300, 0.3, 0.03)))
    add_at(clack, 0.5 * take.burst(0.03, band(500, 4000)))
    for start in take.strokes(take.vary(0.66, 0.06), 0.02):
        take.add(out, clack, start)
        take.add(out, 0.8 * clack, start + 0.14 / take.rate)
    rumble = take.noise(band(40, 500, 1), tilt=0.8)
    rush = 0.7 * rumble + 0.06 * take.noise(band(1500, 6000, 1))
    return 3.0 * unit_rms(out) + rush * (1 + 0.15 * take.wander(2))


def hiss(take: Take) -> Array:
    """Steam or air that escapes under pressure."""
    jet = take.noise(band(take.uniform(2500, 3500), 12000))
    return jet * _spin_up(take, 0.05) * (1 + 0.15 * take.wander(6))
