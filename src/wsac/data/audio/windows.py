"""Cut a stream of blocks into windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from wsac.types import RecipeError

TAILS_PER_WINDOW = 10


def shortest_tail(window: float) -> float:
    """The least length of a last piece to count as a window: a tenth of ``window``, in its unit."""
    return window / TAILS_PER_WINDOW


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a sound. samples: [T] float32 mono. start, end: in seconds of the sound."""

    samples: np.ndarray
    start: float
    end: float


def cut_windows(
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    window_seconds: float,
    hop_seconds: float | None = None,
) -> Iterator[Window]:
    """Cut blocks of samples ``[T]`` into windows that start every ``hop_seconds`` (default: end to
    end).

    The last window may be shorter, and is left out if it would only repeat samples. A hop longer
    than the window skips samples. Raises RecipeError for lengths that are not above 0.
    """
    size = sample_count("window_seconds", window_seconds, sample_rate)
    hop = size if hop_seconds is None else sample_count("hop_seconds", hop_seconds, sample_rate)
    return _cut(blocks, sample_rate, size, hop)


def _cut(blocks: Iterable[np.ndarray], rate: int, size: int, hop: int) -> Iterator[Window]:
    pending = np.empty(0, np.float32)  # from `begin`, where the next window begins, to `read`
    begin, read, end = 0, 0, 0  # end: of the window before
    for block in blocks:
        pending = np.concatenate([pending, block[max(0, begin - read) :]])
        read += len(block)
        while read - begin >= size:
            end = begin + size
            yield Window(pending[:size].copy(), begin / rate, end / rate)
            pending, begin = pending[hop:], begin + hop
    if read > max(begin, end):
        yield Window(pending.copy(), begin / rate, read / rate)


def merge_short_tail(windows: Iterable[Window], shortest: float) -> Iterator[Window]:
    """Join a last window that adds less than ``shortest`` seconds to the end of its predecessor."""
    previous: Window | None = None
    for window in windows:
        if previous is not None and window.end - previous.end < shortest:
            previous = replace(previous, end=window.end)
            continue
        if previous is not None:
            yield previous
        previous = window
    if previous is not None:
        yield previous


def sample_count(name: str, seconds: float, sample_rate: int) -> int:
    if not seconds > 0 or seconds == float("inf"):
        raise RecipeError(f"{name}={seconds}: must be a number of seconds above 0")
    return max(1, round(seconds * sample_rate))
