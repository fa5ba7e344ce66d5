"""The parts of a synthetic sound that need no chance: responses, tones, envelopes, filters.

Signals are mono float64 arrays [T] while they are built. Frequencies are in Hz, times in seconds.
A *response* is a function from frequencies to gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

Array = np.ndarray
Response = Callable[[Array], Array]
MovingResponse = Callable[[Array, Array], Array]  # (position [F, 1], frequency [1, B]) -> [F, B]
Formant = tuple[Array | float, Array | float, float]  # centre Hz, width Hz, gain


def sample_count(seconds: float, sample_rate: int) -> int:
    """The number of samples in a time, rounded, at least one."""
    return max(1, round(seconds * sample_rate))


def fast_length(count: int) -> int:
    """The next length, at most an eighth longer, whose Fourier transform is quick."""
    if count <= 32:
        return 32
    unit = 1 << (int(count - 1).bit_length() - 5)
    return next(n * unit for n in (16, 18, 20, 24, 25, 27, 30, 32) if n * unit >= count)


def band(low: float, high: float, order: int = 2) -> Response:
    """A pass band from ``low`` to ``high`` Hz with soft edges, as of a Butterworth filter."""

    def response(frequency: Array) -> Array:
        squared = np.maximum(frequency, 1.0) ** 2
        lower, upper = (low * low / squared) ** order, (squared / (high * high)) ** order
        return 1 / np.sqrt((1 + lower) * (1 + upper))

    return response


def formants(*peaks: Formant, floor: float = 0.02) -> Response:
    """A sum of resonances (centre, width, gain) above a floor: a throat, a horn or a wooden box.

    A centre or a width may be a curve [F, 1] along the sound, for a moving filter.
    """

    def response(frequency: Array) -> Array:
        total = np.full(np.shape(frequency), floor)
        for centre, width, gain in peaks:
            total = total + gain / (1 + ((frequency - centre) / (width / 2)) ** 2)
        return total

    return response


def filtered(signal: Array, sample_rate: int, response: Response) -> Array:
    """Apply a response with zero phase. The end is padded so that it does not wrap round."""
    padded = fast_length(len(signal) + sample_rate // 8)
    gains = response(np.fft.rfftfreq(padded, 1 / sample_rate))
    return np.fft.irfft(np.fft.rfft(signal, padded) * gains, padded)[: len(signal)]


def moving_filter(signal: Array, sample_rate: int, response: MovingResponse) -> Array:
    """Filter a signal [T] by a response that changes, in overlapping frames of 64 ms.

    response: gains for F positions, from 0 to 1 along the signal, and B frequencies.
    """
    frame = max(16, int(0.064 * sample_rate) // 4 * 4)
    hop, count = frame // 2, len(signal)
    padded = np.zeros((count // hop + 3) * hop)
    padded[hop : hop + count] = signal
    window = np.sin(np.pi * (np.arange(frame) + 0.5) / frame)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop] * window  # [F, frame]
    position = np.clip(np.arange(len(blocks)) * hop / count, 0, 1)[:, None]
    gains = response(position, np.fft.rfftfreq(frame, 1 / sample_rate)[None])
    blocks = np.fft.irfft(np.fft.rfft(blocks) * gains, frame) * window
    out = np.zeros(len(padded))
    out[: len(blocks) * hop] += blocks[:, :hop].ravel()
    out[hop : (len(blocks) + 1) * hop] += blocks[:, hop:].ravel()
    return out[hop : hop + count]


def glide(count: int, *values: float) -> Array:
    """A curve [count] through equally spaced values."""
    return np.interp(np.linspace(0, len(values) - 1, count), np.arange(len(values)), values)


@lru_cache(maxsize=256)
def _cycle(gains: tuple[float, ...]) -> Array:
    """One cycle [2049] of a sum of sines with these gains. The last sample repeats the first."""
    size = 2048
    spectrum = np.zeros(size // 2 + 1, complex)
    spectrum[1 : len(gains) + 1] = -0.5j * size * np.array(gains)
    cycle = np.fft.irfft(spectrum, size)
    return np.append(cycle, cycle[0])


def tone(frequency: Array, sample_rate: int, gains: Sequence[float]) -> Array:
    """A gliding tone [T] with partial k at ``gains[k - 1]``, without aliased partials."""
    limit = max(1, int(0.46 * sample_rate / max(float(frequency.max()), 1.0)))
    phase = np.cumsum(frequency) * (2048 / sample_rate) % 2048
    table = _cycle(tuple(float(gain) for gain in gains[:limit]))
    left = phase.astype(np.int64)
    return table[left] + (phase - left) * np.diff(table)[left]


def falling(power: float, partials: int = 60) -> list[float]:
    """Gains of partials that fall as ``k ** -power``: 0 is a buzz, 1 a saw tooth, 2 is mellow."""
    return [k**-power for k in range(1, partials + 1)]


def swell(count: int, attack: float, release: float) -> Array:
    """An envelope [count] with raised-cosine ends. Both ends are fractions of the whole."""
    position = np.linspace(0, 1, count)
    rise = np.clip(position / max(attack, 1e-6), 0, 1)
    fall = np.clip((1 - position) / max(release, 1e-6), 0, 1)
    return (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall)) / 4


def add_at(out: Array, piece: Array, start: int = 0) -> None:
    """Add a piece into a signal at a sample. What would lie beyond the end is dropped."""
    length = min(len(piece), len(out) - start)
    if length > 0:
        out[start : start + length] += piece[:length]


def layered(*pieces: Array) -> Array:
    """Sum sounds of different lengths from a common start."""
    out = np.zeros(max(len(piece) for piece in pieces))
    for piece in pieces:
        add_at(out, piece)
    return out


def unit_rms(signal: Array) -> Array:
    """Scale to a root mean square of one. Silence stays silence."""
    rms = np.sqrt(np.mean(signal**2))
    return signal / rms if rms > 0 else signal


def unit_peak(signal: Array) -> Array:
    """Scale to a largest absolute value of one. Silence stays silence."""
    peak = np.abs(signal).max()
    return signal / peak if peak > 0 else signal
