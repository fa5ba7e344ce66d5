"""Electric tones and things made to be noticed. Each function plays a take as float64 [T]."""

from __future__ import annotations

import numpy as np

from .synthesis import Array, add_at, band, falling, formants, glide, swell
from .take import Mode, Take

BELL: tuple[Mode, ...] = (  # ratio to the prime, gain, decay relative to the hum
    *((0.5, 0.4, 1.0), (1, 0.7, 0.7), (1.19, 0.8, 0.5), (1.5, 0.4, 0.3), (2, 1.0, 0.35)),
    *((2.51, 0.5, 0.2), (2.66, 0.5, 0.2), (3.01, 0.5, 0.16), (4.17, 0.4, 0.1), (5.43, 0.3, 0.07)),
    (6.8, 0.2, 0.05),
)
GONG: tuple[Mode, ...] = ((1.0, 1.0, 1.0), (2.71, 0.6, 0.7), (5.15, 0.3, 0.4), (8.2, 0.15, 0.2))
CLAPPER_GONG: tuple[Mode, ...] = ((1.0, 1, 0.4), (2.4, 0.8, 0.3), (4.1, 0.5, 0.2), (5.3, 0.3, 0.1))


def siren(take: Take) -> Array:
    """A wail that sweeps up and down, through a shrill loudspeaker."""
    phase = take.clock(take.vary(0.62) * take.rate, take.rng.random())
    sweep = (1 - np.cos(2 * np.pi * phase)) / 2
    low = take.vary(600) * take.pitch
    sound = take.tone(low * take.vary(1.9, 0.05) ** sweep, falling(0.7, 14))
    shape = formants((1200 * take.pitch**0.5, 1100, 1.0), (2800, 1400, 0.5), floor=0.1)
    return take.filtered(sound, shape) * (1 + 0.2 * take.wander(0.5))


def alarm_clock(take: Take) -> Array:
    """Electronic beeps, one after another."""
    size = take.samples(0.1 / take.rate**0.5)
    edge = take.uniform(0.1, 0.6)
    gains = [edge ** (k - 1) if k % 2 else 0.1 * edge**k for k in range(1, 8)]
    beep = take.tone(np.full(size, take.vary(1600) * take.pitch), gains) * swell(size, 0.06, 0.06)
    return take.repeat(lambda _: beep, take.vary(0.36), 0.0)


def _bell(
    take: Take, period: float, prime: float, length: float, ratios: tuple[Mode, ...], click: float
) -> Array:
    """A struck bell of these partials, with doublets that make it beat."""
    modes: list[Mode] = []
    for ratio, gain, decay in ratios:
        frequency = prime * ratio * take.uniform(0.995, 1.005)
        modes.append((frequency, gain * take.uniform(0.7, 1.2), length * decay))
    modes += [(f + take.uniform(0.4, 1.5), gain * 0.4, decay) for f, gain, decay in modes[:4]]
    ring = take.struck(min(length, take.seconds), modes)
    knock = take.burst(0.04, band(1200, 6000)) * click
    out = np.zeros(take.size)
    for start in take.strokes(period, 0.02):
        force = take.uniform(0.85, 1.0)
        take.add(out, ring * force, start)
        take.add(out, knock * force, start)
    return out


def church_bell(take: Take) -> Array:
    """A tuned bell: hum, prime, minor third, fifth, nominal and more, each with its own decay."""
    prime = take.vary(400) * take.pitch
    return _bell(take, take.vary(1.05), prime, take.uniform(2.0, 3.0), BELL, 0.7)


def gong(take: Take) -> Array:
    """A singing bowl or a small gong: few partials, long and beating."""
    return _bell(take, take.vary(1.6), take.vary(300) * take.pitch, 3.5, GONG, 0.35)


def clock(take: Take) -> Array:
    """Tick and tock, a little different from each other, at a steady rate."""
    faces = []
    for _ in range(2):
        modes = take.random_modes(5, (1200, 6500), (0.3, 1), (0.01, 0.04))
        tick = take.struck(0.08, [*modes, (take.uniform(250, 700), 0.35, 0.05)])
        add_at(tick, 0.5 * take.burst(0.006, band(2500, 7500), 0.0003))
        faces.append(tick)
    return take.repeat(lambda i: faces[i % 2] * take.uniform(0.85, 1.0), take.vary(0.5, 0.05), 0.0)


def telephone(take: Take) -> Array:
    """A bell telephone, whose clapper swings between two gongs: a ring, then a pause."""
    rate, base = take.vary(22), take.vary(1150) * take.pitch
    ring, gongs = np.zeros(take.samples(1.0)), []
    for tune in (1.0, take.uniform(1.1, 1.3)):
        gongs.append(take.struck(0.4, [(base * tune * r, g, d) for r, g, d in CLAPPER_GONG]))
    for i in range(int(0.62 * rate)):
        take.add(ring, gongs[i % 2] * take.uniform(0.8, 1), i / rate)
    return take.repeat(lambda _: ring, take.vary(1.35, 0.05), 0.0)


def car_horn(take: Take) -> Array:
    """Two reeds a third apart, buzzing through a trumpet: toots."""
    low, wide = take.vary(380) * take.pitch, take.pitch**0.5
    peaks = (1100 * wide, 1200, 1.0), (2700 * wide, 1400, 0.7), (400 * wide, 400, 0.4)
    size = take.samples(min(take.uniform(0.28, 0.36), 0.36 / take.rate))
    bend = glide(size, 0.97, *([1.0] * 12), 0.985)
    gains = falling(0.3, 18)
    toot = take.tone(low * bend, gains) + take.tone(low * 1.22 * bend, gains)
    toot = take.filtered(toot, formants(*peaks, floor=0.05)) * swell(size, 0.06, 0.1)
    return take.repeat(lambda _: toot, take.vary(0.65))


def hum(take: Take) -> Array:
    """The hum of a transformer: the mains frequency and its harmonics, quite steady."""
    gains = [take.uniform(0.4, 1.0) * k**-0.6 * (0.6 if k % 2 else 1.0) for k in range(1, 13)]
    sound = take.tone(take.vary(110, 0.05) * take.pitch, gains)
    return sound * (1 + 0.05 * take.wander(3))


def static(take: Take) -> Array:
    """A radio between stations: hiss that fades and crackles, and a wandering heterodyne."""
    hiss = take.noise(band(350, 4500)) * (1 + 0.35 * take.wander(5))
    pops = [take.burst(0.012, band(400, 4500), 0.0003) for _ in range(5)]
    crackle = take.scatter(pops, 14, 0.7)
    whine = take.tone(900 + 500 * take.wander(0.8), (1.0,))
    return hiss + 1.2 * crackle + 0.35 * whine * (take.wander(1) > 0)
