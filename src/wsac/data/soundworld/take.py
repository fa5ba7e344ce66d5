"""A take: one performance of a sound, with the generator from which all its chance is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .synthesis import Array, MovingResponse, Response, add_at, fast_length, sample_count, unit_rms

CYCLE = 2048  # samples in the table of one cycle of a tone
LEAD = 0.06  # seconds before the first stroke
Range = tuple[float, float]  # lowest and highest
Mode = tuple[float, float, float]  # Hz, gain, decay seconds to -60 dB


@dataclass(frozen=True, slots=True)
class Take:
    """How a sound is to be played, and the tools to play it. Signals are float64 [T].

    seconds: its length. pitch, rate: factors on frequencies and on the speed of repetition.
    count: the exact number of strokes, or None for as many as fit.
    The argument ``size`` of the tools is in samples. Default: the whole take.
    """

    rng: np.random.Generator
    sample_rate: int
    seconds: float
    pitch: float = 1.0
    rate: float = 1.0
    count: int | None = None

    @property
    def size(self) -> int:
        """The length of the take in samples."""
        return self.samples(self.seconds)

    @property
    def plain(self) -> Take:
        """The same take at normal pitch and rate, with as many strokes as fit."""
        return replace(self, pitch=1.0, rate=1.0, count=None)

    def samples(self, seconds: float) -> int:
        return sample_count(seconds, self.sample_rate)

    def uniform(self, low: float, high: float) -> float:
        return self.rng.uniform(low, high)

    def vary(self, value: float, spread: float = 0.1) -> float:
        """A value within a factor of ``1 ± spread`` of this one."""
        return value * float(np.exp(self.rng.uniform(-spread, spread)))

    def noise(self, response: Response, tilt: float = 0.0, size: int = 0) -> Array:
        """Gaussian noise of unit RMS under a response. tilt: 0 is white, 1 is pink."""
        size = size or self.size
        padded = fast_length(size + min(size, self.sample_rate // 8))
        frequency = np.fft.rfftfreq(padded, 1 / self.sample_rate)
        level = response(frequency)
        if tilt:
            level = level * np.maximum(frequency, 20.0) ** (-tilt / 2)
        spectrum = self.rng.standard_normal(2 * len(frequency)).view(np.complex128) * level
        return unit_rms(np.fft.irfft(spectrum, padded)[:size])

    def wander(self, rate: float, size: int = 0, sample_rate: int = 0) -> Array:
        """A smooth random curve within [-1, 1] that turns about ``rate`` times a second."""
        sample_rate, size = sample_rate or self.sample_rate, size or self.size
        knots = self.rng.uniform(-1, 1, int(size / sample_rate * rate) + 3)
        fine = np.linspace(0, len(knots) - 1, 8 * len(knots))
        left = np.minimum(fine.astype(int), len(knots) - 2)
        mix = (1 - np.cos(np.pi * (fine - left))) / 2
        curve = knots[left] * (1 - mix) + knots[left + 1] * mix
        position = np.arange(size) * (rate / sample_rate) + self.rng.uniform(0, 1)
        return np.interp(position, fine, curve)

    def clock(self, rate: float | Array, phase: float = 0.0) -> Array:
        """A ramp that runs from 0 to 1 ``rate`` times a second, where rate may be a curve."""
        if isinstance(rate, np.ndarray):
            return (np.cumsum(rate) / self.sample_rate + phase) % 1
        return (np.arange(self.size) * (rate / self.sample_rate) + phase) % 1

    def tone(self, frequency: float | Array, gains: Sequence[float]) -> Array:
        """A tone with partial k at ``gains[k - 1]``, steady or along a curve [T] of frequencies.

        Partials that would alias are left out.
        """
        curve = frequency if isinstance(frequency, np.ndarray) else np.full(self.size, frequency)
        limit = max(1, int(0.46 * self.sample_rate / max(float(curve.max()), 1.0)))
        phase = np.cumsum(curve) * (CYCLE / self.sample_rate) % CYCLE
        table = _cycle(tuple(float(gain) for gain in gains[:limit]))
        left = phase.astype(np.int64)
        return table[left] + (phase - left) * np.diff(table)[left]

    def filtered(self, signal: Array, response: Response) -> Array:
        """Apply a response with zero phase. The end is padded so that it does not wrap round."""
        padded = fast_length(len(signal) + self.sample_rate // 8)
        gains = response(np.fft.rfftfreq(padded, 1 / self.sample_rate))
        return np.fft.irfft(np.fft.rfft(signal, padded) * gains, padded)[: len(signal)]

    def moving_filter(self, signal: Array, response: MovingResponse) -> Array:
        """Filter a signal [T] by a response that changes, in overlapping frames of 64 ms.

        response: gains for F positions, from 0 to 1 along the signal, and B frequencies.
        """
        frame = max(16, int(0.064 * self.sample_rate) // 4 * 4)
        hop, count = frame // 2, len(signal)
        padded = np.zeros((count // hop + 3) * hop)
        padded[hop : hop + count] = signal
        window = np.sin(np.pi * (np.arange(frame) + 0.5) / frame)
        blocks = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop] * window
        position = np.clip(np.arange(len(blocks)) * hop / count, 0, 1)[:, None]
        gains = response(position, np.fft.rfftfreq(frame, 1 / self.sample_rate)[None])  # [F, B]
        blocks = np.fft.irfft(np.fft.rfft(blocks) * gains, frame) * window
        out = np.zeros(len(padded))
        out[: len(blocks) * hop] += blocks[:, :hop].ravel()
        out[hop : (len(blocks) + 1) * hop] += blocks[:, hop:].ravel()
        return out[hop : hop + count]

    def struck(self, seconds: float, modes: Sequence[Mode]) -> Array:
        """Ring the modes of an object that is hit once, with random phases."""
        t = np.arange(self.samples(seconds)) / self.sample_rate
        out = np.zeros(len(t))
        # Phases are drawn for the silent modes too: pitch must not change a melody.
        phases = self.rng.uniform(0, 2 * np.pi, len(modes))
        for (frequency, gain, decay), start in zip(modes, phases, strict=True):
            if frequency < 0.46 * self.sample_rate:
                end = max(2, min(len(t), int(1.3 * decay * self.sample_rate)))
                phase = 2 * np.pi * frequency * t[:end] + start
                out[:end] += gain * np.exp(-6.9 / decay * t[:end]) * np.sin(phase)
        rise = min(len(t), self.sample_rate // 2000)  # 0.5 ms of attack: a hit, not a click
        out[:rise] *= t[:rise] * 2000
        return out

    def random_modes(self, count: int, pitch: Range, gain: Range, decay: Range) -> list[Mode]:
        """Modes with frequency, gain and decay drawn between these bounds."""
        draw = self.uniform
        return [(draw(*pitch), draw(*gain), draw(*decay)) for _ in range(count)]

    def varied_modes(self, spread: float, *modes: Mode) -> list[Mode]:
        """These modes with every frequency varied."""
        return [(self.vary(frequency, spread), gain, decay) for frequency, gain, decay in modes]

    def burst(self, seconds: float, response: Response, attack: float = 0.001) -> Array:
        """Noise that starts at once and dies away by 60 dB in this time."""
        size = self.samples(seconds)
        t = np.arange(size) / self.sample_rate
        fade = np.exp(-6.9 * t / seconds)
        return self.noise(response, size=size) * np.minimum(1, t / attack) * fade

    def scatter(
        self, grains: Sequence[Array], density: float | Array, spread: float = 0.6, size: int = 0
    ) -> Array:
        """Scatter grains at random times: ``density`` a second in all, of log-normal strength.

        density: a number, or a curve [size].
        """
        size = size or self.size
        out = np.zeros(size)
        length = fast_length(size + max(len(grain) for grain in grains))
        total = np.zeros(length // 2 + 1, complex)
        for grain in grains:
            chance = density / (len(grains) * self.sample_rate)
            hits = np.flatnonzero(self.rng.random(size) < chance)
            impulses = np.zeros(size)
            impulses[hits] = self.rng.lognormal(0, spread, len(hits))
            if len(hits) * len(grain) < 20 * size:
                for at in hits:
                    add_at(out, grain * impulses[at], int(at))
            else:
                total += np.fft.rfft(impulses, length) * np.fft.rfft(grain, length)
        return out + np.fft.irfft(total, length)[:size] if total.any() else out

    def strokes(self, period: float, jitter: float = 0.05) -> list[float]:
        """Times of the strokes in seconds: ``count`` of them, or one every ``period / rate``.

        Counted strokes move closer together rather than fall off the end.
        """
        gap, draw = period / self.rate, self.rng.uniform
        if self.count is not None:
            gap = min(gap, (self.seconds - LEAD) / self.count)
            return [LEAD + i * gap * (1 + draw(-jitter, jitter) / 2) for i in range(self.count)]
        times = [LEAD + draw(0, min(0.2, self.seconds / 8, gap))]
        while times[-1] + 0.9 * gap < self.seconds:
            times.append(times[-1] + gap * (1 + draw(-jitter, jitter)))
        return times

    def repeat(self, stroke: Callable[[int], Array], period: float, jitter: float = 0.05) -> Array:
        """Play ``stroke(i)`` at the time of each stroke."""
        out = np.zeros(self.size)
        for i, start in enumerate(self.strokes(period, jitter)):
            self.add(out, stroke(i), start)
        return out

    def add(self, out: Array, piece: Array, start: float = 0.0) -> None:
        """Add a piece into a signal at a time in seconds."""
        add_at(out, piece, int(start * self.sample_rate))


@lru_cache(maxsize=256)
def _cycle(gains: tuple[float, ...]) -> Array:
    """One cycle [CYCLE + 1] of a sum of sines. The last sample repeats the first."""
    spectrum = np.zeros(CYCLE // 2 + 1, complex)
    spectrum[1 : len(gains) + 1] = -0.5j * CYCLE * np.array(gains)
    cycle = np.fft.irfft(spectrum, CYCLE)
    return np.append(cycle, cycle[0])
