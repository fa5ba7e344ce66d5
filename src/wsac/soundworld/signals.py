"""Things made to be heard: sirens, bells, beeps, horns, clocks, strings. Each returns float64 [T]."""

from __future__ import annotations

import numpy as np

from .synthesis import (
    Array,
    add_at,
    band,
    burst,
    formants,
    glide,
    harmonics,
    onsets,
    sample_count,
    struck,
    swell,
    wander,
)


def siren(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A wail (slow sweep), a yelp (fast sweep) or a two-tone horn, through a shrill loudspeaker."""
    count = sample_count(seconds, sample_rate)
    t = np.arange(count) / sample_rate
    low, high, start = rng.uniform(450, 700), rng.uniform(1000, 1500), rng.random()
    style = rng.random()
    if style < 0.6:
        sweep = (1 - np.cos(2 * np.pi * (t / rng.uniform(2.5, 5.5) + start))) / 2
    elif style < 0.8:
        sweep = (1 - np.cos(2 * np.pi * (t * rng.uniform(2.5, 4.0) + start))) / 2
    else:
        sweep = ((t / rng.uniform(0.9, 1.4) + start) % 1 < 0.5).astype(float)
        low, high = low * 0.75, low
        ramp = np.ones(max(1, int(0.02 * sample_rate)))
        sweep = np.clip(np.convolve(sweep, ramp / ramp.sum(), mode="same")[:count], 0, 1)
    shape = formants((rng.uniform(900, 1400), 900, 1.0), (2600, 1200, 0.6), floor=0.08)
    tone = harmonics(low * (high / low) ** sweep, sample_rate, lambda k, f: shape(f) * k**-0.5, 14)
    return tone * (1 + 0.25 * wander(rng, count, sample_rate, 0.5))


def alarm_clock(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Groups of electronic beeps."""
    out = np.zeros(sample_count(seconds, sample_rate))
    count = sample_count(rng.uniform(0.06, 0.14), sample_rate)
    gap, group = rng.uniform(0.05, 0.1), int(rng.integers(2, 5))
    pause = rng.uniform(0.3, 0.7)
    pitch = np.full(count, rng.uniform(1000, 2800))
    edge = rng.uniform(0.1, 0.8)
    beep = harmonics(pitch, sample_rate, lambda k, f: edge ** (k - 1) if k % 2 else 0.1 * edge**k, 7)
    beep *= swell(count, 0.06, 0.06)
    period = group * (count / sample_rate + gap) + pause
    for start in onsets(rng, seconds, (period, period)):
        for i in range(group):
            add_at(out, beep, int((start + i * (count / sample_rate + gap)) * sample_rate))
    return out


def church_bell(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A tuned bell: hum, prime, minor third, fifth, nominal and the partials above, each fading at its own rate."""
    out = np.zeros(sample_count(seconds, sample_rate))
    prime, length = rng.uniform(220, 520), rng.uniform(3, 6)
    ratios = [(0.5, 0.6, 1.0), (1, 0.8, 0.7), (1.19, 0.9, 0.55), (1.5, 0.4, 0.35), (2, 1.0, 0.4), (2.51, 0.4, 0.2)]
    ratios += [(2.66, 0.45, 0.2), (3.01, 0.4, 0.18), (4.17, 0.3, 0.12), (5.43, 0.2, 0.08), (6.8, 0.12, 0.06)]
    modes = [(prime * r * rng.uniform(0.995, 1.005), g * rng.uniform(0.6, 1.2), length * d) for r, g, d in ratios]
    modes += [(f + rng.uniform(0.4, 1.5), g * 0.5, d) for f, g, d in modes[:5]]  # doublets make the bell beat
    every = rng.uniform(1.1, 2.4)
    for start in onsets(rng, seconds, (every, every * 1.04)):
        force = rng.uniform(0.7, 1.0)
        add_at(out, struck(rng, length, sample_rate, modes) * force, int(start * sample_rate))
        add_at(out, burst(rng, 0.03, sample_rate, band(1500, 6000)) * 0.5 * force, int(start * sample_rate))
    return out


def clock(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Tick and tock, a little different from each other, at a steady rate."""
    out = np.zeros(sample_count(seconds, sample_rate))
    every = float(rng.choice([0.25, 0.5, 0.5, 1.0]))
    faces = [
        [(rng.uniform(1200, 6500), rng.uniform(0.3, 1), rng.uniform(0.01, 0.04)) for _ in range(5)] for _ in range(2)
    ]
    case = [(rng.uniform(250, 700), 0.35, 0.05)]
    for i, start in enumerate(onsets(rng, seconds, (every, every), 0.2)):
        tick = struck(rng, 0.08, sample_rate, faces[i % 2] + case)
        tick += 0.5 * np.pad(burst(rng, 0.006, sample_rate, band(2500, 7500), 0.0003), (0, len(tick)))[: len(tick)]
        add_at(out, tick * rng.uniform(0.85, 1.0), int(start * sample_rate))
        if rng.random() < 0.7:  # the escapement's second, softer contact
            add_at(out, tick * 0.25, int((start + 0.012) * sample_rate))
    return out


def telephone(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """A bell telephone, whose clapper swings between two gongs, or an electronic warble; ringing, then a pause."""
    count = sample_count(seconds, sample_rate)
    out = np.zeros(count)
    on, off = rng.uniform(0.8, 1.8), rng.uniform(0.5, 1.5)
    if rng.random() < 0.6:
        gongs = []
        for base in rng.uniform(900, 1500) * np.array([1, rng.uniform(1.1, 1.3)]):
            partials = zip((1.0, 2.4, 4.1, 5.3), (1, 0.8, 0.5, 0.3), (0.5, 0.35, 0.2, 0.1), strict=True)
            gongs.append(struck(rng, 0.6, sample_rate, [(base * r, g, d) for r, g, d in partials]))
        rate = rng.uniform(18, 26)
        for start in onsets(rng, seconds, (on + off, on + off)):
            for i in range(int(on * rate)):
                add_at(out, gongs[i % 2] * rng.uniform(0.8, 1), int((start + i / rate) * sample_rate))
        return out
    low, rate = rng.uniform(700, 1400), rng.uniform(12, 22)
    ring_count = sample_count(on, sample_rate)
    t = np.arange(ring_count) / sample_rate
    pitch = low * np.where(np.sin(2 * np.pi * rate * t) > 0, 1.0, rng.uniform(1.15, 1.35))
    ring = harmonics(pitch, sample_rate, lambda k, f: 0.35 ** (k - 1), 5) * swell(ring_count, 0.02, 0.03)
    for start in onsets(rng, seconds, (on + off, on + off)):
        add_at(out, ring, int(start * sample_rate))
    return out


def car_horn(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Two reeds a third apart, buzzing through a trumpet: short toots or a long blast."""
    out = np.zeros(sample_count(seconds, sample_rate))
    low = rng.uniform(330, 440)
    pair = (low, low * rng.uniform(1.18, 1.27))
    shape = formants((1100, 1200, 1.0), (2700, 1400, 0.7), (400, 400, 0.4), floor=0.05)
    for start in onsets(rng, seconds, (1.0, 2.2), 0.4):
        at = start
        for _ in range(int(rng.integers(1, 4))):
            count = sample_count(rng.choice([rng.uniform(0.15, 0.35), rng.uniform(0.6, 1.4)]), sample_rate)
            bend = glide(count, 0.97, *([1.0] * 12), 0.985)
            toot = sum(harmonics(f * bend, sample_rate, lambda k, f: shape(f) * k**-0.3, 18) for f in pair)
            add_at(out, toot * swell(count, 0.06, 0.06), int(at * sample_rate))
            at += count / sample_rate + rng.uniform(0.08, 0.2)
    return out


def guitar(rng: np.random.Generator, seconds: float, sample_rate: int) -> Array:
    """Plucked strings: notes and broken chords of a pentatonic scale, high partials fading first."""
    out = np.zeros(sample_count(seconds, sample_rate))
    key = rng.uniform(98, 165)
    scale = np.array([0, 2, 4, 7, 9, 12, 14, 16, 19, 21, 24])
    beat = rng.uniform(0.18, 0.4)
    pluck = rng.uniform(0.12, 0.35)  # where along the string: this colours the tone
    degree = int(rng.integers(0, len(scale)))
    for start in onsets(rng, seconds, (beat, beat * 1.03), 0.1):
        if rng.random() < 0.15:
            continue
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, len(scale) - 1))
        pitch = key * 2 ** (scale[degree] / 12)
        modes = [
            (pitch * k * np.sqrt(1 + 5e-5 * k * k), abs(np.sin(np.pi * k * pluck)) / k, 2.8 / (1 + 0.22 * k))
            for k in range(1, 22)
        ]
        note = struck(rng, 2.0, sample_rate, modes)
        add_at(out, note * rng.uniform(0.5, 1.0), int(start * sample_rate))
        add_at(out, 0.1 * burst(rng, 0.015, sample_rate, band(800, 5000)), int(start * sample_rate))
    return out
