"""Transparent PNG pictures: log-mel spectrograms, curves, histograms, clouds, bars."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Points = Sequence[tuple[float, float]]

MELS = 64
LOWEST_HZ = 40.0
FLOOR_DB = -80.0  # below the loudest cell; drawn black
INK = "#7f858c"  # a grey that is legible on white and on dark pages
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe-Ito
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000, 16000)


def log_mel(samples: np.ndarray, sample_rate: int, *, hop_seconds: float = 0.01) -> np.ndarray:
    """The log-mel spectrogram for a picture: [M, frames], dB against its loudest cell, from -80 to
    0.

    samples: [T] mono float, any length; not-a-number counts as silence. The bands run from 40 Hz to
    half the sample rate. This is for the eye; the encoders have their own features. Raises
    ValueError when samples is not one-dimensional or is empty.
    """
    return in_decibels(mel_power(samples, sample_rate, hop_seconds=hop_seconds))


def in_decibels(power: np.ndarray) -> np.ndarray:
    """Of powers, against the largest, from -80 to 0."""
    import numpy as np

    floor = np.finfo(float).tiny
    return np.maximum(10 * np.log10(np.maximum(power, floor) / max(power.max(), floor)), FLOOR_DB)


def mel_power(samples: np.ndarray, sample_rate: int, *, hop_seconds: float = 0.01) -> np.ndarray:
    """The powers behind ``log_mel`` [M, frames]."""
    import numpy as np
    from matplotlib.mlab import specgram

    samples = np.nan_to_num(np.asarray(samples, dtype=np.float64))
    if samples.ndim != 1 or not len(samples):
        remedy = "give one channel [T] with at least one sample"
        raise ValueError(f"samples have shape {samples.shape}: {remedy}")
    window = max(64, round(0.032 * sample_rate))
    hop = max(1, round(hop_seconds * sample_rate))
    length = max(window, hop)  # specgram knows no gaps: those between windows are a part of them
    size = 1 << (2 * length - 1).bit_length()  # zero-padded: each of the narrow low bands has a bin
    padded = np.pad(samples, (window // 2, window // 2 + window % 2 + length - window))
    shape = np.pad(np.hanning(window), (0, length - window))
    power, hertz, _ = specgram(padded, length, sample_rate, None, shape, length - hop, size)
    edges = np.linspace(_to_mel(LOWEST_HZ), _to_mel(sample_rate / 2), MELS + 2)
    distance = np.abs(_to_mel(hertz)[None, :] - edges[1:-1, None]) / (edges[1] - edges[0])
    filters = np.clip(1 - distance, 0, None)  # [M, F] triangles
    return filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-9) @ power


def mel_png(samples: np.ndarray, sample_rate: int) -> bytes:
    """The log-mel spectrogram of samples [T]: seconds across, kHz up, magma colours."""
    seconds = len(samples) / sample_rate
    # 500 columns are enough for a card
    mel = log_mel(samples, sample_rate, hop_seconds=max(0.01, seconds / 500))
    figure, axes = _figure(7.2, 2.1)
    axes.spines[["top", "right"]].set_visible(True)
    axes.imshow(
        mel,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=FLOOR_DB,
        vmax=0,
        interpolation="nearest",
        extent=(0, seconds, 0, MELS),
    )
    low, high = _to_mel(LOWEST_HZ), _to_mel(sample_rate / 2)
    ticks = [hertz for hertz in TICKS_HZ if hertz <= sample_rate / 2]
    places = [(_to_mel(hertz) - low) / (high - low) * MELS for hertz in ticks]
    axes.set_yticks(places, [f"{hertz / 1000:g}" for hertz in ticks])
    axes.set_xlabel("seconds")
    axes.set_ylabel("kHz")
    return _png(figure)


def strip_png(power: np.ndarray) -> bytes:
    """Mel powers [M, columns] as a bare picture, a pixel a cell, in magma colours."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    picture = in_decibels(power)[::-1]  # the highest band on top
    imsave(buffer, picture, format="png", cmap="magma", vmin=FLOOR_DB, vmax=0)
    return buffer.getvalue()


def curve_png(series: Mapping[str, Points], *, title: str, x_label: str, y_label: str) -> bytes:
    """One line per named series of (x, y) points, with a legend when there are several.

    Points that are not finite are gaps. Raises ValueError when there is no point at all.
    """
    if not any(len(points) for points in series.values()):
        raise ValueError(f"{title!r}: no points to draw; give at least one (x, y)")
    figure, axes = _figure(7.2, 3.6, title)
    for name, points in series.items():
        marker = "o" if len(points) < 15 else None  # a single point has no line
        xs, ys = [x for x, _ in points], [y for _, y in points]
        axes.plot(xs, ys, linewidth=1.6, marker=marker, markersize=3.5, label=name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    if len(series) > 1:
        _legend(axes)
    return _png(figure)


def histogram_png(
    values: Sequence[float] | np.ndarray, *, title: str, mark: float | None = None
) -> bytes:
    """The distribution of values, in up to 30 bars. mark: a value drawn as a line, such as the
    mean.

    Values that are not finite are left out. Raises ValueError when none is left.
    """
    import numpy as np

    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        raise ValueError(f"{title!r}: no values to draw; give at least one")
    figure, axes = _figure(4.2, 2.4, title)
    axes.hist(finite, bins=min(30, 4 + int(2 * len(finite) ** 0.5)), alpha=0.85)
    if mark is not None:
        axes.axvline(mark, color=LINES[1], linewidth=1.6)
    axes.set_ylabel("clips")
    axes.yaxis.get_major_locator().set_params(integer=True)
    return _png(figure)


def histograms_png(series: Mapping[str, Sequence[float]], *, title: str) -> bytes:
    """The distributions of several sets of values over one another, each as its share."""
    figure, axes = _figure(7.2, 3.2, title)
    for (name, values), color in zip(series.items(), LINES, strict=False):
        style = {"histtype": "step", "color": color, "linewidth": 1.6}
        axes.hist(list(values), bins=60, density=True, label=name, **style)
    axes.set_yticks([])
    _legend(axes)
    return _png(figure)


def scatter_png(series: Mapping[str, Points], *, title: str) -> bytes:
    """Clouds of (x, y) points."""
    figure, axes = _figure(7.2, 4.6, title)
    for name, points in series.items():
        xs, ys = [x for x, _ in points], [y for _, y in points]
        axes.scatter(xs, ys, s=5, alpha=0.5, label=name, linewidths=0)
    _legend(axes, markerscale=3)
    return _png(figure)


def bars_png(bars: Mapping[str, tuple[float, float, float]], *, title: str) -> bytes:
    """Named values with their lower and upper bounds, one bar each from top to bottom."""
    figure, axes = _figure(7.2, 0.8 + 0.28 * len(bars), title)
    values = [value for value, _, _ in bars.values()]
    below = [max(0.0, value - low) for value, low, _ in bars.values()]
    above = [max(0.0, high - value) for value, _, high in bars.values()]
    error_style = {"ecolor": INK, "lw": 1.2}
    axes.barh(list(bars), values, alpha=0.85, height=0.7, xerr=[below, above], error_kw=error_style)
    axes.invert_yaxis()
    return _png(figure)


def _figure(width: float, height: float, title: str = "") -> tuple[Any, Any]:
    """A figure of this size in inches, with one pair of axes; no pyplot, so no global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=LINES)
    axes.set_title(title, fontsize=10, color=INK)
    axes.tick_params(labelsize=9, colors=INK, length=2.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, fontsize=9)
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(axes: Any, **style: Any) -> None:
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, **style)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True, metadata={"Software": None})
    return buffer.getvalue()


def _to_mel(hertz: Any) -> Any:
    import numpy as np

    return 2595 * np.log10(1 + hertz / 700)
