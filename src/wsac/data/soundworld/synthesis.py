"""The parts of a synthetic sound that need no chance: responses, curves, envelopes, sums.

Signals are mono float64 arrays [T] while they are built. Frequencies are in Hz, times in seconds.
A *response* is a function from frequencies to gains.
"""

from __future__ import annotations

from collections.abc import Callable

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


def glide(count: int, *values: float) -> Array:
    """A curve [count] through equally spaced values."""
    return np.interp(np.linspace(0, len(values) - 1, count), np.arange(len(values)), values)


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
