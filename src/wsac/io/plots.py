"""Pictures as PNG bytes: the log-mel spectrogram of a sound, and curves such as a training loss."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Points = Sequence[tuple[float, float]]

MELS = 64
LOWEST_HZ = 40.0
FLOOR_DB = -80.0  # what is quieter than this, against the loudest cell, is drawn black
INK = "#7f858c"  # grey that reads on a white page and on a dark one: the pictures are transparent
LINES = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
)  # Okabe-Ito: safe for colour blindness


def log_mel(samples: np.ndarray, sample_rate: int, *, hop_seconds: float = 0.01) -> np.ndarray:
    """Compute the log-mel spectrogram for a picture: [M, frames], dB against its loudest cell, from -80 to 0.

    samples: [T] mono float, any length (short ones are padded to one frame); not-a-number counts as silence.
    The bands run from 40 Hz to half the sample rate. This is for the eye; the encoders have their own features.
    Raises ValueError when samples is not one-dimensional or is empty.
    """
    import numpy as np

    samples = np.nan_to_num(np.asarray(samples, dtype=np.float64))
    if samples.ndim != 1 or not len(samples):
        raise ValueError(
            f"samples have shape {samples.shape}: give one channel [T] with at least one sample"
        )
    window = max(64, round(0.032 * sample_rate))
    size = (
        1 << (2 * window - 1).bit_length()
    )  # zero-padded, so that the narrow low bands each hold a bin
    padded = np.pad(samples, window // 2)
    padded = np.pad(padded, (0, max(0, window - len(padded))))
    hop = max(1, round(hop_seconds * sample_rate))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop] * np.hanning(window)
    filters = _mel_filters(sample_rate, size)
    power = [
        np.abs(np.fft.rfft(block, size)) ** 2 @ filters.T
        for block in np.array_split(frames, len(frames) // 256 + 1)
    ]
    mel = np.concatenate(power).T  # [M, frames]
    return np.maximum(10 * np.log10(np.maximum(mel, 1e-12) / max(mel.max(), 1e-12)), FLOOR_DB)


def mel_png(samples: np.ndarray, sample_rate: int) -> bytes:
    """Draw the log-mel spectrogram of samples [T] as a transparent PNG: seconds across, kHz up, magma colours."""
    import numpy as np

    seconds = len(samples) / sample_rate
    hop_seconds = max(0.01, seconds / 500)  # 500 columns are enough for a card
    mel = log_mel(samples, sample_rate, hop_seconds=hop_seconds)
    figure, axes = _figure(7.2, 2.1)
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
    top = sample_rate / 2
    ticks = [hertz for hertz in (100, 500, 1000, 2000, 4000, 8000, 16000) if hertz <= top]
    scale = (_to_mel(np.array(ticks)) - _to_mel(LOWEST_HZ)) / (_to_mel(top) - _to_mel(LOWEST_HZ))
    axes.set_yticks(list(scale * MELS), [f"{hertz / 1000:g}" for hertz in ticks])
    axes.set_xlabel("seconds")
    axes.set_ylabel("kHz")
    return _png(figure)


def curve_png(series: Mapping[str, Points], *, title: str, x_label: str, y_label: str) -> bytes:
    """Draw one line per named series of (x, y) points as a transparent PNG, with a legend when there are several.

    Points that are not finite are left out as gaps. Raises ValueError when there is no point at all.
    """
    if not any(len(points) for points in series.values()):
        raise ValueError(f"{title!r}: no points to draw; give at least one (x, y)")
    figure, axes = _figure(7.2, 3.6)
    for i, (name, points) in enumerate(series.items()):
        xs, ys = [x for x, _ in points], [y for _, y in points]
        marker = "o" if len(points) < 15 else None  # a lone point has no line
        axes.plot(
            xs,
            ys,
            color=LINES[i % len(LINES)],
            linewidth=1.6,
            marker=marker,
            markersize=3.5,
            label=name,
        )
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(series) > 1:
        axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return _png(figure)


def histogram_png(
    values: Sequence[float] | np.ndarray, *, title: str, mark: float | None = None
) -> bytes:
    """Draw how values are spread, in 30 bars at most, as a transparent PNG.

    mark: a value that is drawn as a line, such as their mean. Values that are not finite are left out.
    Raises ValueError when none is left.
    """
    import numpy as np

    kept = np.asarray(values, float)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        raise ValueError(f"{title!r}: no values to draw; give at least one")
    figure, axes = _figure(4.2, 2.4)
    axes.hist(kept, bins=min(30, 4 + int(2 * len(kept) ** 0.5)), color=LINES[0], alpha=0.85)
    if mark is not None:
        axes.axvline(mark, color=LINES[1], linewidth=1.6)
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_ylabel("clips")
    axes.yaxis.get_major_locator().set_params(integer=True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _png(figure)


def histograms_png(series: Mapping[str, Sequence[float]], *, title: str) -> bytes:
    """Draw the spread of several sets of values over one another, each as its share, as a transparent PNG."""
    import numpy as np

    figure, axes = _figure(7.2, 3.2)
    for i, (name, values) in enumerate(series.items()):
        kept = np.asarray(values, float)
        axes.hist(
            kept,
            bins=60,
            density=True,
            histtype="step",
            color=LINES[i % len(LINES)],
            linewidth=1.6,
            label=name,
        )
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_yticks([])
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return _png(figure)


def scatter_png(series: Mapping[str, Points], *, title: str) -> bytes:
    """Draw clouds of (x, y) points as a transparent PNG."""
    figure, axes = _figure(7.2, 4.6)
    for i, (name, points) in enumerate(series.items()):
        xs, ys = [x for x, _ in points], [y for _, y in points]
        axes.scatter(xs, ys, s=5, alpha=0.5, color=LINES[i % len(LINES)], label=name, linewidths=0)
    axes.set_title(title, fontsize=10, color=INK)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, markerscale=3)
    return _png(figure)


def bars_png(bars: Mapping[str, tuple[float, float, float]], *, title: str) -> bytes:
    """Draw named values with their lower and upper bounds, one bar each from top to bottom, as a transparent PNG."""
    figure, axes = _figure(7.2, 0.8 + 0.28 * len(bars))
    values = [value for value, _, _ in bars.values()]
    errors = [
        [max(0.0, v - low) for v, low, _ in bars.values()],
        [max(0.0, high - v) for v, _, high in bars.values()],
    ]
    places = range(len(bars))
    axes.barh(
        places,
        values,
        color=LINES[0],
        alpha=0.85,
        height=0.7,
        xerr=errors,
        error_kw={"ecolor": INK, "lw": 1.2},
    )
    axes.set_yticks(places, list(bars))
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10, color=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure of so many inches with one pair of axes, drawn without pyplot: no global state, no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.tick_params(labelsize=9, colors=INK, length=2.5)
    axes.xaxis.label.set(color=INK, fontsize=9)
    axes.yaxis.label.set(color=INK, fontsize=9)
    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_linewidth(0.6)
    return figure, axes


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True, metadata={"Software": None})
    return buffer.getvalue()


def _to_mel(hertz: Any) -> Any:
    import numpy as np

    return 2595 * np.log10(1 + hertz / 700)


def _mel_filters(sample_rate: int, size: int) -> np.ndarray:
    """Triangular bands [M, size // 2 + 1], equally spaced in mel."""
    import numpy as np

    edges = np.linspace(_to_mel(LOWEST_HZ), _to_mel(sample_rate / 2), MELS + 2)
    bins = _to_mel(np.fft.rfftfreq(size, 1 / sample_rate))
    step = edges[1] - edges[0]
    filters = np.clip(1 - np.abs(bins[None, :] - edges[1:-1, None]) / step, 0, None)
    return filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)
