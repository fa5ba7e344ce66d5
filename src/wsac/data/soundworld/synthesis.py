"""The workbench of the sound world: shaped noise, tones, struck modes, and gestures in time.

Signals are mono float64 numpy arrays [T] while they are built. Frequencies are in Hz, times in seconds. A *response* is
a function from frequencies to gains. Every random choice comes from the generator passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

Array = np.ndarray
Response = Callable[[Array], Array]


def sample_count(seconds: float, sample_rate: int) -> int:
    """Samples in so many seconds, rounded, at least one."""
    return max(1, round(seconds * sample_rate))


def fast_length(count: int) -> int:
    """The next length, at most an eighth longer, whose Fourier transform is quick."""
    if count <= 32:
        return 32
    unit = 1 << (int(count - 1).bit_length() - 5)
    return next(n * unit for n in (16, 18, 20, 24, 25, 27, 30, 32) if n * unit >= count)


def vary(rng: np.random.Generator, value: float, spread: float = 0.1) -> float:
    """A value within a factor of ``1 ± spread`` of this one."""
    return value * float(np.exp(rng.uniform(-spread, spread)))


def band(low: float, high: float, order: int = 2) -> Response:
    """A pass band from ``low`` to ``high`` Hz with soft, Butterworth-like edges."""

    def response(frequency: Array) -> Array:
        squared = np.maximum(frequency, 1.0) ** 2
        return 1 / np.sqrt(
            (1 + (low * low / squared) ** order) * (1 + (squared / (high * high)) ** order)
        )

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
    padded = fast_length(len(signal) + sample_rate // 8)
    spectrum = np.fft.rfft(signal, padded)
    return np.fft.irfft(spectrum * response(np.fft.rfftfreq(padded, 1 / sample_rate)), padded)[
        : len(signal)
    ]


def noise(
    rng: np.random.Generator, count: int, sample_rate: int, response: Response, tilt: float = 0.0
) -> Array:
    """Gaussian noise [count] of unit RMS under a response; ``tilt`` 0 is white, 1 falls by 3 dB an octave (pink)."""
    padded = fast_length(count + min(count, sample_rate // 8))
    frequency = np.fft.rfftfreq(padded, 1 / sample_rate)
    level = response(frequency)
    if tilt:
        level = level * np.maximum(frequency, 20.0) ** (-tilt / 2)
    spectrum = (
        rng.standard_normal(2 * len(frequency)).view(np.complex128) * level
    )  # noise is noise before or after
    return unit_rms(np.fft.irfft(spectrum, padded)[:count])


def moving_filter(
    signal: Array, sample_rate: int, response: Callable[[Array, Array], Array]
) -> Array:
    """Filter a signal [T] by a response that changes, in overlapping frames of 64 ms.

    response: ``(position [F, 1], frequency [1, B]) -> [F, B]`` gains; the position runs from 0 to 1 along the signal.
    """
    frame = max(16, int(0.064 * sample_rate) // 4 * 4)
    hop, count = frame // 2, len(signal)
    frames = count // hop + 2
    padded = np.zeros((frames + 1) * hop)
    padded[hop : hop + count] = signal
    window = np.sin(np.pi * (np.arange(frame) + 0.5) / frame)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop] * window  # [F, frame]
    position = np.clip(np.arange(len(blocks)) * hop / count, 0, 1)[:, None]
    spectrum = np.fft.rfft(blocks) * response(
        position, np.fft.rfftfreq(frame, 1 / sample_rate)[None]
    )
    blocks = np.fft.irfft(spectrum, frame) * window
    out = np.zeros(len(padded))
    out[: len(blocks) * hop] += blocks[:, :hop].ravel()
    out[hop : (len(blocks) + 1) * hop] += blocks[:, hop:].ravel()
    return out[hop : hop + count]


def wander(rng: np.random.Generator, count: int, sample_rate: int, rate: float) -> Array:
    """A smooth random curve [count] within [-1, 1] that changes direction about ``rate`` times a second."""
    knots = rng.uniform(-1, 1, int(count / sample_rate * rate) + 3)
    fine = np.linspace(0, len(knots) - 1, 8 * len(knots))
    left = np.minimum(fine.astype(int), len(knots) - 2)
    mix = (1 - np.cos(np.pi * (fine - left))) / 2
    curve = knots[left] * (1 - mix) + knots[left + 1] * mix
    position = np.arange(count) * (rate / sample_rate) + rng.uniform(0, 1)
    return np.interp(position, fine, curve)


def glide(count: int, *values: float) -> Array:
    """A curve [count] through equally spaced values."""
    return np.interp(np.linspace(0, len(values) - 1, count), np.arange(len(values)), values)


@lru_cache(maxsize=256)
def _cycle(gains: tuple[float, ...]) -> Array:
    """One cycle [2049] of a sum of sines with these gains; the last sample repeats the first."""
    size = 2048
    spectrum = np.zeros(size // 2 + 1, complex)
    spectrum[1 : len(gains) + 1] = -0.5j * size * np.array(gains)
    cycle = np.fft.irfft(spectrum, size)
    return np.append(cycle, cycle[0])


def tone(frequency: Array, sample_rate: int, gains: Sequence[float]) -> Array:
    """A gliding tone [T] whose partial k has the level ``gains[k - 1]``; partials that would alias are left out."""
    most = max(1, int(0.46 * sample_rate / max(float(frequency.max()), 1.0)))
    phase = np.cumsum(frequency) * (2048 / sample_rate) % 2048
    table = _cycle(tuple(float(g) for g in gains[:most]))
    left = phase.astype(np.int64)
    return table[left] + (phase - left) * np.diff(table)[left]


def falling(power: float, most: int = 60) -> list[float]:
    """Gains of partials that fall as ``k ** -power``: 0 is a buzz, 1 a saw tooth, 2 is mellow."""
    return [k**-power for k in range(1, most + 1)]


def struck(
    rng: np.random.Generator,
    seconds: float,
    sample_rate: int,
    modes: Sequence[tuple[float, float, float]],
) -> Array:
    """Ring the modes (Hz, gain, decay seconds to -60 dB) of an object hit once; the phases are random."""
    t = np.arange(sample_count(seconds, sample_rate)) / sample_rate
    out = np.zeros(len(t))
    starts = rng.uniform(
        0, 2 * np.pi, len(modes)
    )  # drawn for the silent ones too: pitch must not change a melody
    for (frequency, gain, decay), start in zip(modes, starts, strict=True):
        if frequency < 0.46 * sample_rate:
            end = max(2, min(len(t), int(1.3 * decay * sample_rate)))
            phase = 2 * np.pi * frequency * t[:end] + start
            out[:end] += gain * np.exp(-6.9 / decay * t[:end]) * np.sin(phase)
    rise = min(len(t), sample_rate // 2000)  # half a millisecond of attack: a hit, not a click
    out[:rise] *= t[:rise] * 2000
    return out


def burst(
    rng: np.random.Generator,
    seconds: float,
    sample_rate: int,
    response: Response,
    attack: float = 0.001,
) -> Array:
    """Noise that starts at once and dies away by 60 dB in ``seconds``."""
    count = sample_count(seconds, sample_rate)
    t = np.arange(count) / sample_rate
    return (
        noise(rng, count, sample_rate, response)
        * np.minimum(1, t / attack)
        * np.exp(-6.9 * t / seconds)
    )


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


def scatter(
    rng: np.random.Generator,
    count: int,
    sample_rate: int,
    grains: Sequence[Array],
    density: float | Array,
    spread: float = 0.6,
) -> Array:
    """Strew grains over a signal [count] at random: about ``density`` a second in all, of log-normal strength.

    density: a number, or a curve [count].
    """
    out = np.zeros(count)
    length = fast_length(count + max(len(grain) for grain in grains))
    total = np.zeros(length // 2 + 1, complex)
    for grain in grains:
        hits = np.flatnonzero(rng.random(count) < density / (len(grains) * sample_rate))
        impulses = np.zeros(count)
        impulses[hits] = rng.lognormal(0, spread, len(hits))
        if len(hits) * len(grain) < 20 * count:
            for at in hits:
                add_at(out, grain * impulses[at], int(at))
        else:
            total += np.fft.rfft(impulses, length) * np.fft.rfft(grain, length)
    return out + np.fft.irfft(total, length)[:count] if total.any() else out


def unit_rms(signal: Array) -> Array:
    """Scale to a root mean square of one; silence stays silence."""
    rms = np.sqrt(np.mean(signal**2))
    return signal / rms if rms > 0 else signal


def unit_peak(signal: Array) -> Array:
    """Scale to a largest absolute value of one; silence stays silence."""
    peak = np.abs(signal).max()
    return signal / peak if peak > 0 else signal
