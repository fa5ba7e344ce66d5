"""Pictures are well-formed, small and safe, whatever the numbers and names are."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from wsac.io.svg_plots import (
    LINES,
    MOST,
    bars_svg,
    curve_svg,
    histogram_svg,
    histograms_svg,
    round_ticks,
    scatter_svg,
)

NAN, INF = float("nan"), float("inf")
SVG = "{http://www.w3.org/2000/svg}"
LABELS = {"title": "Loss", "x_label": "step", "y_label": "nats"}
NASTY = "<script>alert(1)</script> & \"'\x00\x1b\udcff\ud800 犬"


def drawn(svg: str) -> ElementTree.Element:
    """The picture, read as a browser does; every number in it is finite and near the frame."""
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert set(re.findall(r"[\w+.]+://[^\"]*", svg)) == {"http://www.w3.org/2000/svg"}
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {"svg", "g", "path", "text"}
    for node in root.iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+(?:e[+-]\d+)?|nan|inf", node.get("d"))]
        assert all(-5 <= number <= max(width, height) + 5 for number in numbers), node.get("d")
    return root


def paths(svg: str, colour: str = LINES[0]) -> list[str]:
    return [node.get("d") for node in drawn(svg).iter(f"{SVG}path") if node.get("stroke") == colour]


def texts(svg: str) -> list[str]:
    return [node.text for node in drawn(svg).iter(f"{SVG}text") if node.text]


def test_a_curve_has_a_line_a_series_gaps_and_a_legend():
    series = {
        "train": [(float(x), 1 / (1 + x)) for x in range(50)],
        "valid": [(x, NAN if x == 20 else INF if x == 30 else 0.5) for x in range(50)],
    }
    svg = curve_svg(series, **LABELS)
    (line, _), (broken, _) = paths(svg), paths(svg, LINES[1])  # and those of the legend
    assert (line.count("M"), line.count("L")) == (1, 49)
    assert (broken.count("M"), broken.count("L")) == (3, 45)
    assert {"Loss", "step", "nats", "train", "valid", "0.0", "40"} <= set(texts(svg))
    alone = curve_svg({"train": series["train"]}, **LABELS)
    assert "train" not in texts(alone)
    with pytest.raises(ValueError, match="no points"):
        curve_svg({"train": []}, **LABELS)


def test_a_single_point_is_a_dot():
    assert any(path.endswith("h0") for path in paths(curve_svg({"a": [(3, 2)]}, **LABELS)))


def test_more_series_than_colours_differ_in_shape():
    series = {f"series {i}": [(x, i + x) for x in range(20)] for i in range(8)}
    lines = [node.attrib for node in drawn(curve_svg(series, **LABELS)).iter(f"{SVG}path")]
    styles = {(a["stroke"], a.get("stroke-dasharray")) for a in lines if a.get("stroke") in LINES}
    assert len(styles) == 8


def test_a_histogram_counts_finite_values_and_marks_one():
    values = [*np.linspace(0, 1, 100), NAN, INF]
    svg = histogram_svg(values, title="cider", mark=0.5)
    bars = [n for n in drawn(svg).iter(f"{SVG}path") if n.get("fill") == LINES[0]]
    assert len(bars) == 24
    assert len(paths(svg, LINES[1])) == 1
    assert {"cider", "clips", "0", "5", "0.2"} <= set(texts(svg))
    few = histogram_svg([1.0, 2.0], title="two", mark=NAN)
    assert paths(few, LINES[1]) == []
    assert {"0", "1"} <= set(texts(few))
    assert "0.5" not in texts(few)
    with pytest.raises(ValueError, match="no values"):
        histogram_svg([NAN], title="cider")


def test_bars_have_bounds_and_names():
    svg = bars_svg({"ours": (1.2, 1.1, 1.3), "theirs": (-0.5, -0.7, -0.4)}, title="cider")
    bars = [n for n in drawn(svg).iter(f"{SVG}path") if n.get("fill") == LINES[0]]
    assert len(bars) == 2
    assert texts(svg).index("ours") < texts(svg).index("theirs")


def test_many_points_make_a_small_picture():
    cloud = np.random.default_rng(0).standard_normal((100_000, 2))
    dots = paths(scatter_svg({"many": cloud}, title="cloud"))
    assert sum(path.count("M") for path in dots) == MOST + 1  # and one in the legend
    wave = [(x, np.sin(x / 9000)) for x in range(100_000)]
    assert len(curve_svg({"many": wave}, **LABELS)) < 100_000


@pytest.mark.parametrize(
    "values",
    [
        [5.0] * 10,
        [1e9, 1e9 + 1e-7],
        [1e-7, 2e-7],
        [5e-324, 0.0],
        [1e308, -1e308, 5],
        [1e299, -1e299],
        [NAN, INF, -INF, 1.0],
        [0.0],
    ],
    ids=str,
)
def test_any_numbers(values):
    points = [(value, value) for value in values]
    drawn(curve_svg({"a": points, "b": []}, **LABELS))
    drawn(scatter_svg({"a": points, "b": []}, title="a"))
    drawn(histogram_svg(values, title="a", mark=values[0]))
    drawn(histograms_svg({"a": values, "b": []}, title="a"))
    drawn(bars_svg({str(value): (value, value, value) for value in values}, title="a"))


def test_nothing_to_draw_is_an_empty_frame():
    drawn(scatter_svg({}, title="a"))
    drawn(scatter_svg({"a": [(NAN, 1.0)]}, title="a"))
    drawn(curve_svg({"a": [(NAN, NAN)]}, **LABELS))
    drawn(histograms_svg({}, title="a"))
    drawn(histograms_svg({"a": [NAN]}, title="a"))
    drawn(bars_svg({}, title="a"))


def test_names_of_users_are_text():
    labels = dict.fromkeys(LABELS, NASTY)
    curve = curve_svg({NASTY: [(0, 1)], NASTY * 9: [(1, 1)]}, **labels)
    shown = NASTY.replace("\x00\x1b\udcff\ud800", "\ufffd" * 4)
    assert texts(curve).count(shown) >= 3
    for svg in (
        curve,
        histogram_svg([1.0], title=NASTY),
        histograms_svg({NASTY: [1.0]}, title=NASTY),
        scatter_svg({NASTY: [(0, 0)]}, title=NASTY),
        bars_svg({NASTY: (1, 0, 2)}, title=NASTY),
    ):
        assert "<script" not in svg
        svg.encode("utf-8")
        drawn(svg)


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-3, 3, ["−3", "−2", "−1", "0", "1", "2", "3"]),
        (0, 24_000, ["0", "5,000", "10,000", "15,000", "20,000"]),
        (0, 2e-6, ["0", "5e−07", "1e−06", "1.5e−06", "2e−06"]),
    ],
)
def test_ticks_are_round(low, high, names):
    assert [name for _, name in round_ticks(low, high)] == names
    assert all(low <= value <= high for value, _ in round_ticks(low, high))
