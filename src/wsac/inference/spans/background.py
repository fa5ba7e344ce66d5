"""What goes on behind everything: stretches in which the floor stays the same."""

from __future__ import annotations

import numpy as np

from .runs import Run
from .thresholds import Thresholds

LONGEST = 60.0  # seconds of a stretch; a longer one is cut, so that nobody waits for its end
SAMPLE = 5.0  # seconds of it that are listened to
BUSY = 0.1  # share of events in these, above which a shorter part without any is looked for
FREE = 1.0  # seconds of that part, at least


def changes_in(change: np.ndarray, numbers: Thresholds, block_seconds: float) -> list[int]:
    """The blocks at which the floor changes: the maxima of ``change`` within half of ``steady``."""
    reach = round(numbers.steady / 2 / block_seconds)
    places: list[int] = []
    for place in np.flatnonzero(change >= numbers.change):
        around = change[max(0, place - reach) : place + reach + 1]
        if change[place] == around.max() and (not places or place - places[-1] > reach):
            places.append(int(place))
    return places


def sample_of(
    stretch: Run, events: list[Run], power: np.ndarray, frame_seconds: float
) -> Run | None:
    """The part of a stretch to listen to: with the least of events, and of middling power.

    None where events leave nothing to listen to. power: dB of the frames of the stretch.
    """
    first, last = stretch
    size = min(last - first, round(SAMPLE / frame_seconds))
    busy = np.zeros(last - first)
    for start, end in events:
        busy[max(0, start - first) : max(0, end - first)] = 1
    starts = np.arange(0, last - first - size + 1, max(1, size // 5))
    share = np.array([busy[start : start + size].mean() for start in starts])
    if share.min() > BUSY:
        return _longest_free(busy, first, round(FREE / frame_seconds))
    level = np.array([power[start : start + size].mean() for start in starts])
    free = np.flatnonzero(share <= share.min() + 0.05)
    best = free[np.argsort(level[free])[len(free) // 2]]
    return first + int(starts[best]), first + int(starts[best]) + size


def _longest_free(busy: np.ndarray, first: int, least: int) -> Run | None:
    """The longest part without events. first: the frame of the first of ``busy``."""
    edges = np.flatnonzero(np.diff(np.concatenate(([1.0], busy, [1.0]))))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts) or (ends - starts).max() < least:
        return None
    longest = int((ends - starts).argmax())
    return first + int(starts[longest]), first + int(ends[longest])
