"""Transparent SVG pictures: curves, histograms, clouds, bars. Nothing outside them is needed."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .rendering import render

Points = Sequence[tuple[float, float]] | np.ndarray
Span = tuple[float, float]
Ticks = Sequence[tuple[float, str]]

INK = "#7f858c"  # a grey that is legible on white and on dark pages
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe-Ito
RIGHT = 460  # pixels of 480; pages scale the picture
MOST = 5000  # points of a series that are drawn, evenly chosen
LARGEST = 1e300  # what is beyond counts as infinite
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Axes:
    """A picture to which lines and areas are added in the units of the data.

    x, y: limits of the data, from left to right and from bottom to top. y_ticks: values and their
    names; by default round numbers. left, top: room for names and title, height: of the area of the
    data, pixels. image: the address of a picture over the whole area. legend: names of the series.
    """

    x: Span
    y: Span
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    y_ticks: Ticks | None = None
    left: int = 62
    top: int = 26
    height: int = 200
    grid: bool = False
    image: str = ""
    legend: Sequence[str] = ()
    paths: list[dict[str, Any]] = field(default_factory=list)  # their attributes

    def across(self, x: float) -> float:
        """Pixels from the left edge of the picture."""
        return round(self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * (RIGHT - self.left), 1)

    def up(self, y: float) -> float:
        """Pixels from the upper edge of the picture."""
        return round(self.top + (self.y[1] - y) / (self.y[1] - self.y[0]) * self.height, 1)

    def line(self, points: Points, number: int) -> None:
        """Of the series of this number, from 0; -1: in INK. What is not finite is a gap."""
        runs = itertools.groupby(self._pixels(points), key=bool)
        d = "".join(f"M{'L'.join(run)}" for drawn, run in runs if drawn)
        self.paths.append(_style(number) | {"d": d})

    def cloud(self, points: Points, number: int, size: float = 3, opacity: float = 0.5) -> None:
        """Dots, in four layers: dense places are darker."""
        dots = [f"M{pixel}h0" for pixel in self._pixels(points) if pixel]
        style = _style(number, size) | {"stroke-opacity": opacity}
        self.paths += [style | {"d": "".join(dots[layer::4])} for layer in range(4)]

    def block(self, left: float, right: float, low: float, high: float) -> None:
        """A filled rectangle in the colour of the first series."""
        bottom, top = self.up(low), self.up(high)
        d = f"M{self.across(left)} {bottom}V{top}H{self.across(right)}V{bottom}z"
        self.paths.append({"d": d, "fill": LINES[0], "fill-opacity": 0.85})

    def svg(self, dot: float = 0) -> str:
        """The picture; what XML cannot hold is replaced. dot: size of those in the legend."""
        ticks = {"x_ticks": round_ticks(*self.x), "y_ticks": self.y_ticks or round_ticks(*self.y)}
        looks = [_style(number, dot) for number in range(len(self.legend))]
        values = {"axes": self, "ink": INK, "right": RIGHT, "looks": looks, "dot": dot}
        text = render("axes.svg", None, **values, **ticks)
        return NOT_XML.sub("\ufffd", text)

    def _pixels(self, points: Points) -> list[str]:
        """Of points [N, 2], few enough of them; empty for what is not finite."""
        rows = np.reshape(np.asarray(points, float), (-1, 2))
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(int)]
        whole = drawable(rows).all(axis=1)
        return [
            f"{self.across(x)} {self.up(y)}" if drawn else ""
            for drawn, (x, y) in zip(whole, rows.tolist(), strict=True)
        ]


def _style(number: int, dot: float = 0) -> dict[str, Any]:
    """Of lines, or of dots of this size. From the seventh series on: dashes, and squares."""
    late = number >= len(LINES)
    shape = {"stroke-linecap": "square" if late else "round"} if dot else {}
    shape |= {"stroke-dasharray": "5 3"} if late and not dot else {}
    colour = INK if number < 0 else LINES[number % len(LINES)]
    return {"fill": "none", "stroke": colour, "stroke-width": dot or 1.6} | shape


def drawable(values: Any) -> Any:
    """Of each value, whether it is finite and small enough for differences."""
    return np.abs(values) < LARGEST


def round_ticks(low: float, high: float, *, least: float = 0.0) -> Ticks:
    """Up to eight round numbers within the limits, as they are written. least: step."""
    step = 10.0 ** math.floor(math.log10((high - low) / 7))
    step *= next(times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= 7)
    step = max(least, step)
    values = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    digits = max(0, -math.floor(math.log10(step)))
    fixed = digits < 5 and max(map(abs, values), default=0) < 1e6
    names = [f"{value:,.{digits}f}" if fixed else f"{value:.5g}" for value in values]
    return [(value, name.replace("-", "−")) for value, name in zip(values, names, strict=True)]


def curve_svg(series: Mapping[str, Points], *, title: str, x_label: str, y_label: str) -> str:
    """One line per named series of (x, y) points, with a legend when there are several.

    Points that are not finite are gaps. Raises ValueError when there is no point at all.
    """
    if not any(len(points) for points in series.values()):
        raise ValueError(f"{title!r}: no points to draw; give at least one (x, y)")
    names = list(series) if len(series) > 1 else ()
    axes = Axes(*_both_limits(series), title, x_label, y_label, grid=True, legend=names)
    for number, points in enumerate(series.values()):
        axes.line(points, number)
        if len(points) < 15:  # a single point has no line
            axes.cloud(points, number, 5, opacity=1)
    return axes.svg()


def histogram_svg(
    values: Sequence[float] | np.ndarray, *, title: str, mark: float | None = None
) -> str:
    """The distribution of values, in up to 30 bars. mark: a value drawn as a line, such as the
    mean.

    Values that are not finite are left out. Raises ValueError when none is left.
    """
    finite = _finite(values)
    if not len(finite):
        raise ValueError(f"{title!r}: no values to draw; give at least one")
    bins = min(30, 4 + int(2 * len(finite) ** 0.5))
    counts, edges = np.histogram(finite, bins, _limits(finite, room=0))
    y = (0.0, 1.05 * counts.max())
    axes = Axes(_limits(edges), y, title, y_label="clips", y_ticks=round_ticks(*y, least=1))
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        axes.block(left, right, 0, count)
    axes.line([(mark, y[0]), (mark, y[1])] if mark is not None else (), 1)
    return axes.svg()


def histograms_svg(series: Mapping[str, Sequence[float]], *, title: str) -> str:
    """The distributions of several sets of finite values over one another, each as its share."""
    finite = [_finite(values) for values in series.values()]
    everything = np.concatenate([*finite, ()])
    bins = min(120, 20 + len(everything) // 50)
    edges = np.linspace(*_limits(everything, room=0), bins + 1)
    shares = [np.histogram(values, edges)[0] / max(1, len(values)) for values in finite]
    y = (0.0, 1.05 * max((share.max() for share in shares), default=0) or 1.0)
    axes = Axes(_limits(edges), y, title, y_ticks=[(0, "")], left=20, legend=list(series))
    for number, share in enumerate(shares):
        axes.line(np.stack((edges.repeat(2), np.pad(share.repeat(2), 1)), axis=1), number)
    return axes.svg()


def scatter_svg(series: Mapping[str, Points], *, title: str) -> str:
    """Clouds of (x, y) points. Points that are not finite are left out."""
    axes = Axes(*_both_limits(series), title, height=260, legend=list(series))
    for number, points in enumerate(series.values()):
        axes.cloud(points, number, 3 if len(points) > 99 else 5)
    return axes.svg(dot=7)


def bars_svg(bars: Mapping[str, tuple[float, float, float]], *, title: str) -> str:
    """Named values with their lower and upper bounds, one bar each from top to bottom."""
    x, rows = _limits(_finite([0, *itertools.chain(*bars.values())])), max(1, len(bars))
    names = [(row + 0.5, name) for row, name in enumerate(bars)] or [(0.0, "")]
    left = 20 + 7 * min(30, max(map(len, bars), default=0))
    axes = Axes(x, (rows, 0), title, y_ticks=names, left=left, height=20 * rows)
    for row, (value, low, high) in enumerate(bars.values()):
        if drawable(value):
            axes.block(0, value, row + 0.85, row + 0.15)
        axes.line([(low, row + 0.5), (high, row + 0.5)], -1)
    return axes.svg()


def _limits(values: np.ndarray, room: float = 0.04) -> Span:
    """From the least to the largest of finite values, with room at both ends, a share of them."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)) + 1e-300:
        low, high = low - (0.05 * abs(low) or 0.5), high + (0.05 * abs(high) or 0.5)
    return low - room * (high - low), high + room * (high - low)


def _both_limits(series: Mapping[str, Points]) -> tuple[Span, Span]:
    rows = np.concatenate([np.reshape(points, (-1, 2)) for points in (*series.values(), ())])
    x, y = rows[drawable(rows).all(axis=1)].T
    return _limits(x), _limits(y)


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, float)
    return array[drawable(array)]
