"""Animals. Each function plays a take as float64 [T].

A low voice belongs to a large body, so the throat is longer too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .synthesis import Array, Formant, band, glide, swell, unit_peak
from .take import Take
from .voices import voice

Mouth = Callable[[Array], Array]  # a frequency at positions [F, 1] along a call


class Call(NamedTuple):
    """How an animal calls. period, length: seconds. pitch: Hz, bent through these factors.

    ends: attack and release as fractions of a call. tilt, breath, rough: as of ``voice``.
    """

    period: float
    length: tuple[float, float]
    pitch: float
    bend: tuple[float, ...]
    ends: tuple[float, float]
    tilt: float
    breath: float
    rough: float


def _calls(take: Take, call: Call, *peaks: tuple[float | Mouth, float, float]) -> Array:
    """Repeat a call, voiced through formants (centre or its curve, width, gain) of pitch 1."""
    body = take.pitch**0.65
    period, pitch = take.vary(call.period), take.vary(call.pitch) * take.pitch
    manner = {"tilt": call.tilt, "breath": call.breath, "rough": call.rough}

    def sized(x: Array) -> tuple[Formant, ...]:
        centres = [centre(x) if callable(centre) else centre for centre, _, _ in peaks]
        pairs = zip(centres, peaks, strict=True)
        return tuple((centre * body, width * body, gain) for centre, (_, width, gain) in pairs)

    def cry(_: int) -> Array:
        size = take.samples(take.uniform(*call.length))
        f0 = pitch * take.uniform(0.96, 1.04) * glide(size, *call.bend)
        sound = voice(take, f0, sized, **manner)
        return sound * swell(size, *call.ends) * take.uniform(0.85, 1.0)

    return take.repeat(cry, period, 0.12)


def _mouth(frequency: float, positions: tuple[float, ...], values: tuple[float, ...]) -> Mouth:
    """The centre of a formant as a mouth moves: ``frequency`` times a curve."""
    return lambda x: frequency * np.interp(x, positions, values)


def dog(take: Take) -> Array:
    """Barks: a rough pitch arch, a mouth that opens and shuts, and a burst of breath."""
    breath = take.uniform(0.3, 0.6)
    call = Call(0.55, (0.14, 0.22), 330, (1.0, 1.4, 1.25, 0.7), (0.12, 0.6), 0.5, breath, 0.35)
    low, middle, high = (_mouth(f, (0, 0.5, 1), (0.75, 1.15, 0.85)) for f in (700, 1500, 2900))
    return _calls(take, call, (low, 350, 1.0), (middle, 500, 0.7), (high, 900, 0.35))


def cat(take: Take) -> Array:
    """Meows: a mouth that opens and closes over a bending pitch."""
    bend = (0.85, 1.35, 1.3, 1.15, 0.85)
    call = Call(1.1, (0.55, 0.75), 480, bend, (0.2, 0.45), 0.35, 0.06, 0.05)
    low = _mouth(1, (0, 0.35, 0.7, 1), (500, 1150, 1000, 600))
    high = _mouth(1, (0, 0.3, 0.7, 1), (2500, 2300, 1700, 1200))
    return _calls(take, call, (low, 350, 1.0), (high, 500, 0.6), (4200, 900, 0.2))


def cow(take: Take) -> Array:
    """A long low moo that opens from a hum."""
    bend = (0.9, 1.25, 1.35, 1.3, 0.85)
    call = Call(1.6, (0.95, 1.2), 120, bend, (0.25, 0.3), 0.6, 0.08, 0.2)
    low = _mouth(1, (0, 0.3, 0.8, 1), (250, 520, 560, 350))
    high = (lambda x: low(x) * 2 + 150), 250, 0.5
    return _calls(take, call, (low, 160, 1.0), high, (2300, 500, 0.12))


def sheep(take: Take) -> Array:
    """A bleat: a bright open vowel, shaken seven times a second."""
    shake = tuple(1 + (0.05 if i % 2 else -0.05) for i in range(11))
    call = Call(1.1, (0.65, 0.8), 290, shake, (0.1, 0.25), 0.4, 0.12, 0.35)
    return _calls(take, call, (780, 220, 1.0), (1750, 300, 0.7), (2700, 500, 0.35))


def duck(take: Take) -> Array:
    """Quacks: a nasal buzz of a seventh of a second."""
    call = Call(0.45, (0.13, 0.17), 190, (1.0, 1.1, 0.9), (0.15, 0.4), 0.15, 0.15, 0.3)
    low = (lambda x: 1150 - 150 * x), 260, 1.0
    return _calls(take, call, low, (2300, 400, 0.7), (3300, 700, 0.3))


def crow(take: Take) -> Array:
    """Caws: harsh, flat, falling a little."""
    call = Call(0.7, (0.28, 0.36), 400, (1.0, 1.08, 1.05, 0.9), (0.1, 0.25), 0.1, 0.5, 0.6)
    low = (lambda x: 1300 - 200 * x), 500, 1.0
    return _calls(take, call, low, (2000, 700, 0.8), (3600, 900, 0.3))


def frog(take: Take) -> Array:
    """Croaks: a train of fast pulses that ring in the throat."""
    note, pulses = take.vary(560) * take.pitch, take.vary(55)

    def croak(_: int) -> Array:
        size = take.samples(take.uniform(0.24, 0.3))
        pulse = np.exp(-5 * take.clock(pulses * glide(size, 0.85, 1.1)))
        ring = take.tone(note * glide(size, 0.9, 1.1, 1.0), (1.0, 0.7, 0.35, 0.2, 0.1)) * pulse
        return ring * swell(size, 0.3, 0.3) * take.uniform(0.85, 1)

    return take.repeat(croak, take.vary(0.62))


def owl(take: Take) -> Array:
    """Hoo, hoo-hoo, hooo: mellow, nearly pure notes."""
    out = np.zeros(take.size)
    pitch = take.vary(400) * take.pitch
    for start in take.strokes(take.vary(2.1)):
        at = start
        for length, pause in ((0.3, 0.25), (0.14, 0.06), (0.14, 0.06), (0.42, 0.0)):
            size = take.samples(length)
            hoot = take.tone(pitch * glide(size, 0.94, 1.0, 1.0, 0.93), (1.0, 0.12, 0.05))
            take.add(out, hoot * swell(size, 0.25, 0.35), at)
            at += length + pause
    return out + 0.004 * take.noise(band(200, 2000))


def birds(take: Take) -> Array:
    """Two or three birds, each with a few syllables (sweeps, trills, whistles), near or far."""
    out = np.zeros(take.size)
    draw = take.rng.integers
    for bird in range(int(draw(2, 4))):
        distance = 1.0 if bird == 0 else take.uniform(0.15, 0.5)
        low = take.vary(2400) * take.pitch
        syllables = [_syllable(take, low) for _ in range(int(draw(1, 4)))]
        for start in take.plain.strokes(take.uniform(0.9, 1.3), 0.4):
            at = start
            for _ in range(int(draw(2, 7))):
                syllable = syllables[int(draw(len(syllables)))]
                take.add(out, syllable * distance * take.uniform(0.6, 1.0), at)
                at += len(syllable) / take.sample_rate + take.uniform(0.02, 0.08)
    return out


def _syllable(take: Take, low: float) -> Array:
    size = take.samples(take.uniform(0.05, 0.18))
    pitch = glide(size, *(low * take.rng.uniform(0.85, 1.45, int(take.rng.integers(2, 5)))))
    if take.rng.random() < 0.4:
        trill = np.sin(2 * np.pi * take.uniform(25, 50) * np.arange(size) / take.sample_rate)
        pitch = pitch * (1 + take.uniform(0.03, 0.1) * trill)
    return take.tone(pitch, (1.0, take.uniform(0.02, 0.1))) * swell(size, 0.25, 0.4)


def crickets(take: Take) -> Array:
    """A near cricket in groups of quick pulses, and others further off."""
    out = np.zeros(take.size)
    ramp = max(3, int(0.012 * take.sample_rate)) // 2
    for cricket in range(int(take.rng.integers(2, 5))):
        song = take.tone(take.vary(4400), (1.0,))
        pulses = np.clip(np.sin(2 * np.pi * take.clock(take.uniform(26, 40))), 0, 1)
        chirps = take.clock(take.vary(2.2) * take.rate, take.rng.random())
        gate = (chirps < take.uniform(0.35, 0.5)).astype(float)
        for edge in np.flatnonzero(np.diff(gate)).tolist():  # soften the ends of each chirp
            a, b = max(0, edge - ramp), min(take.size, edge + ramp)
            gate[a:b] = np.linspace(gate[a], gate[b - 1], b - a)
        out += song * pulses * gate * (1.0 if cricket == 0 else take.uniform(0.05, 0.25))
    return out + 0.01 * take.noise(band(80, 5000, 1), tilt=1.0)


def insect(take: Take) -> Array:
    """A fly or a bee: a buzzing wing beat that comes near, turns, and goes."""
    restless = 0.08 * take.wander(2.5) + 0.01 * take.wander(25)
    pitch = take.vary(190) * take.pitch * (1 + restless)
    near = 0.15 + (0.5 + 0.5 * take.wander(1.2)) ** 2
    gains = [k**-0.4 / np.sqrt(1 + (k * 190 / 2400) ** 2) for k in range(1, 40)]
    return unit_peak(take.tone(pitch, gains)) * near
