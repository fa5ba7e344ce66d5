"""The conventions that every cue keeps, and made-up spans to try them on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import strategies as st

from wsac.inference.spans.span import Span

TEXTS = (
    "A dog barks",
    "Rain falls on a metal roof while the wind is blowing",
    "A car horn honks twice in the distance",
    "People are talking and laughing in a crowded restaurant with dishes clanking",
    "Thunder",
    "Music is playing",
    "A woman speaks",
    "An emergency vehicle with a very loud siren is approaching quickly along a wet city street",
    "Somebodyisunbelievablyannoyingwiththisextremelylongword barks",
)


@st.composite
def span_lists(draw, most: int = 30, longest: float = 400.0) -> list[Span]:
    """Spans in the order of their starts, which may overlap."""
    spans, start = [], 0.0
    times = st.floats(0, 20).map(lambda x: round(x, 3))
    for _ in range(draw(st.integers(0, most))):
        start += draw(times)
        seconds = draw(st.one_of(st.floats(0.05, 3), st.floats(0.05, longest)))
        spans.append(
            Span(
                start,
                start + seconds,
                draw(st.sampled_from(TEXTS)),
                confidence=draw(st.none() | st.floats(0, 1)),
                prominence=draw(st.floats(-20, 40)),
                sustained=draw(st.booleans()),
                kind=draw(st.sampled_from(("sound", "speech", "music"))),
            )
        )
    return spans


def hundredths(seconds: float) -> int:
    """Exact: every time is a whole number of hundredths."""
    whole = round(100 * seconds)
    assert math.isclose(whole / 100, seconds, abs_tol=1e-9), seconds
    return whole


def check_cues(
    cues: Sequence[tuple[float, float, str]],
    busy: Sequence[tuple[float, float]] = (),
    frame_rate: float = 24.0,
) -> None:
    """cues: (start, end, text). busy: speech, [start, end] in seconds."""
    before = None
    for start, end, text in cues:
        lines = text.split("\n")
        assert 1 <= len(lines) <= 2
        assert all(0 < len(line) <= 42 for line in lines), text
        shown = hundredths(end) - hundredths(start)
        assert 500 / 6 <= shown <= 700
        assert 100 * sum(map(len, lines)) <= 17 * shown, (text, shown)
        assert start >= 0
        if before is not None:
            assert (hundredths(start) - before) / 100 >= 2 / frame_rate
        before = hundredths(end)
        for low, high in busy:
            assert end <= min(low, high) or start >= max(low, high)
