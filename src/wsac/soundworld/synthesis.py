"""The workbench of the sound world: shaped noise, harmonics, struck modes, gestures in time, and a room.

Signals are mono float64 numpy arrays [T] while they are built. Frequencies are in Hz, times in seconds. A *response* is
a function from frequencies to gains. Every random choice comes from the generator passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Array = np.ndarray
Response = Callable[[Array], Array]


def sample_count(seconds: float, sample_rate: int) -> int:
    """Samples in so many seconds, rounded, at least one."""
    return max(1, round(seconds * sample_rate))


def band(low: float, high: float, order: int = 2) -> Response:
    """A pass band from ``low`` to ``high`` Hz with soft, Butterworth-like edges."""

    def response(frequency: Array) -> Array:
        frequency = np.maximum(frequency, 1.0)
        edges = (1 + (low / frequency) ** (2 * order)) * (1 + (frequency / high) ** (2 * order))
        return 1 / np.sqrt(edges)

    return response


def formants(*peaks: tuple[float, float, float], floor: float = 0.02) -> Response:
    """A sum of resonances (centre Hz, width Hz, gain) above a floor: a throat, a horn or a wooden box."""

    def response(frequency: Array) -> Array:
        total = np.full(np.shape(frequency), floor)
        for centre, width, gain in peaks:
            total = total + gain / (1 + ((frequency - centre) / (width / 2)) ** 2)
        return total

    return response


def filtered(signal: Array, sample_rate: int, response: Response) -> Array:
    """Apply a response with zero phase; the ends are padded so that they do not wrap round."""
    padded = len(signal) + sample_rate // 4
    spectrum = np.fft.rfft(signal, padded)
    return np.fft.irfft(spectrum * response(np.fft.rfftfreq(padded, 1 / sample_rate)), padded)[: len(signal)]


def noise(rng: np.random.Generator, count: int, sample_rate: int, response: Response, tilt: float = 0.0) -> Array:
    """Gaussian noise [count] of unit RMS under a response; ``tilt`` 0 is white, 1 falls by 3 dB an octave (pink)."""
    padded = count + sample_rate // 8
    frequency = np.fft.rfftfreq(padded, 1 / sample_rate)
    spectrum = np.fft.rfft(rng.standard_normal(padded))
    spectrum *= response(frequency) * np.maximum(frequency, 20.0) ** (-tilt / 2)
    return unit_rms(np.fft.irfft(spectrum, padded)[:count])


def moving_noise(
    rng: np.random.Generator, count: int, sample_rate: int, response_at: Callable[[float], Response]
) -> Array:
    """Noise [count] whose response changes: ``response_at(seconds)``, applied in overlapping frames of 64 ms."""
    frame = max(8, int(0.064 * sample_rate) // 2 * 2)
    hop = frame // 2
    window = np.sin(np.pi * (np.arange(frame) + 0.5) / frame)
    frequency = np.fft.rfftfreq(frame, 1 / sample_rate)
    out = np.zeros(count + 2 * frame)
    for start in range(0, count + hop, hop):
        spectrum = np.fft.rfft(rng.standard_normal(frame) * window) * response_at(start / sample_rate)(frequency)
        out[start : start + frame] += np.fft.irfft(spectrum, frame) * window
    return out[hop : hop + count]


def wander(rng: np.random.Generator, count: int, sample_rate: int, rate: float) -> Array:
    """A smooth random curve [count] within [-1, 1] that changes direction about ``rate`` times a second."""
    knots = rng.uniform(-1, 1, int(count / sample_rate * rate) + 3)
    position = np.arange(count) * (rate / sample_rate) + rng.uniform(0, 1)
    left = position.astype(int)
    mix = (1 - np.cos(np.pi * (position - left))) / 2
    return knots[left] * (1 - mix) + knots[left + 1] * mix


def glide(count: int, *values: float) -> Array:
    """A curve [count] through equally spaced values."""
    return np.interp(np.linspace(0, len(values) - 1, count), np.arange(len(values)), values)


def harmonics(frequency: Array, sample_rate: int, gain: Callable[[int, Array], Array | float], most: int = 40) -> Array:
    """Sum the partials of a gliding fundamental [T]; ``gain(k, k * frequency)`` is the level of partial k.

    Partials fade out before half the sample rate, so nothing aliases.
    """
    phase = 2 * np.pi * np.cumsum(frequency) / sample_rate
    out = np.zeros(len(frequency))
    for k in range(1, most + 1):
        partial = k * frequency
        if partial.min() > 0.48 * sample_rate:
            break
        out += gain(k, partial) * np.clip((0.48 * sample_rate - partial) / 200, 0, 1) * np.sin(k * phase)
    return out


def struck(
    rng: np.random.Generator, seconds: float, sample_rate: int, modes: Sequence[tuple[float, float, float]]
) -> Array:
    """Ring the modes (Hz, gain, decay seconds to -60 dB) of an object hit once; the phases are random."""
    t = np.arange(sample_count(seconds, sample_rate)) / sample_rate
    out = np.zeros(len(t))
    for frequency, gain, decay in modes:
        if frequency < 0.48 * sample_rate:
            out += gain * np.exp(-6.9 * t / decay) * np.sin(2 * np.pi * frequency * t + rng.uniform(0, 2 * np.pi))
    return out * np.minimum(1, t * 2000)  # half a millisecond of attack: a hit, not a click


def burst(
    rng: np.random.Generator, seconds: float, sample_rate: int, response: Response, attack: float = 0.001
) -> Array:
    """Noise that starts at once and dies away by 60 dB in ``seconds``."""
    count = sample_count(seconds, sample_rate)
    t = np.arange(count) / sample_rate
    return noise(rng, count, sample_rate, response) * np.minimum(1, t / attack) * np.exp(-6.9 * t / seconds)


def swell(count: int, attack: float, release: float) -> Array:
    """An envelope [count] with raised-cosine ends; ``attack`` and ``release`` are fractions of the whole."""
    position = np.linspace(0, 1, count)
    rise = np.clip(position / max(attack, 1e-6), 0, 1)
    fall = np.clip((1 - position) / max(release, 1e-6), 0, 1)
    return (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall)) / 4


def add_at(out: Array, piece: Array, start: int) -> None:
    """Add a piece into a signal at a sample; what would lie beyond the end is dropped."""
    length = min(len(piece), len(out) - start)
    if length > 0:
        out[start : start + length] += piece[:length]


def onsets(rng: np.random.Generator, seconds: float, every: tuple[float, float], first: float = 0.3) -> Iterator[float]:
    """Times of repeated events: one within ``first`` seconds of the start, then one after each random gap."""
    at = rng.uniform(0, min(first, seconds / 4))
    while at < seconds:
        yield at
        at += rng.uniform(*every)


def unit_rms(signal: Array) -> Array:
    """Scale to a root mean square of one; silence stays silence."""
    rms = np.sqrt(np.mean(signal**2))
    return signal / rms if rms > 0 else signal


def unit_peak(signal: Array) -> Array:
    """Scale to a largest absolute value of one; silence stays silence."""
    peak = np.abs(signal).max()
    return signal / peak if peak > 0 else signal


def record(rng: np.random.Generator, source: Array, sample_rate: int, room: tuple[float, float]) -> Array:
    """Record a source [T] as a microphone would: some room, a little colour, a noise floor, a level. float32, |x| < 1.

    room: the range of reverberation times in seconds; (0, 0) is dry.
    """
    decay = rng.uniform(*room)
    wet = unit_peak(source)
    if decay > 0.02:
        t = np.arange(int(decay * sample_rate)) / sample_rate
        echo = rng.standard_normal(len(t)) * np.exp(-6.9 * t / decay)
        echo *= np.minimum(1, t / 0.005)
        padded = len(wet) + len(echo)
        spectrum = np.fft.rfft(echo, padded) * band(100, 3500, 1)(np.fft.rfftfreq(padded, 1 / sample_rate))
        tail = np.fft.irfft(np.fft.rfft(wet, padded) * spectrum, padded)[: len(wet)]
        wet = wet + rng.uniform(0.1, 0.6) * unit_peak(tail)
    colour = rng.uniform(-0.3, 0.3)
    low = rng.uniform(20, 80)
    wet = unit_peak(filtered(wet, sample_rate, lambda f: band(low, 20000)(f) * (np.maximum(f, 50) / 1000) ** colour))
    floor = noise(rng, len(wet), sample_rate, band(40, 12000), tilt=1.0) * 10 ** rng.uniform(-3.2, -2.3)
    return (unit_peak(wet + floor) * rng.uniform(0.4, 0.95)).astype(np.float32)
