"""The floor of a recording: what goes on in each band, and by how much something rises above it."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .spectrum import FRAME
from .thresholds import Thresholds

BLOCK = 5  # frames: the floor is that of blocks of 0.1 s
BLOCK_SECONDS = BLOCK * FRAME
SALIENT = 8  # bands: an event need not fill the spectrum
SMOOTH = 5  # frames that an excess is averaged over
AT_ONCE = 16  # windows, which have the most in common


def floor_of(
    blocks: np.ndarray,
    first: int,
    last: int,
    numbers: Thresholds,
    behind: np.ndarray | None = None,
) -> np.ndarray:
    """The floors before and after blocks ``first`` to ``last``: ``[2, last - first, bands]``.

    blocks: [N, bands] in dB. A floor is a low quantile of each band over ``look`` seconds that end
    or begin with the block. What begins and then goes on is soon the floor after it, and what
    comes and goes is in neither. behind: the floors after blocks 0 to ``first``, if they are known:
    the window after one block is that before another.
    """
    size = round(numbers.look / BLOCK_SECONDS)
    rank = int(numbers.quiet * size)
    padded = np.pad(blocks, ((size - 1, size - 1), (0, 0)), mode="symmetric")
    count = last - first
    after = _ranked(padded[first + size - 1 :].T, count, size, rank)
    start = first - size + 1
    if behind is not None and start >= 0:
        return np.stack((np.concatenate((behind, after))[start : start + count], after))
    return np.stack((_ranked(padded[first:].T, count, size, rank), after))


def _ranked(bands: np.ndarray, count: int, size: int, rank: int) -> np.ndarray:
    """The value of a rank, from 0, in each of the first ``count`` windows of ``size`` blocks.

    bands: [bands, N]. Returns [count, bands]. Of what several windows share, only the lowest can
    have that rank.
    """
    values = np.empty((count, len(bands)), np.float32)
    for start in range(0, count, AT_ONCE):
        several = min(AT_ONCE, count - start, size)
        shared = bands[:, start + several : start + size]
        if shared.shape[1] > rank:
            shared = np.partition(shared, rank, axis=1)[:, : rank + 1]
        before, after = (bands[:, x : x + several] for x in (start, start + size))
        own = sliding_window_view(np.hstack((before, after[:, : several - 1])), several, axis=1)
        rows = np.concatenate((shared[:, None].repeat(several, axis=1), own), axis=-1)
        values[start : start + several] = np.partition(rows, rank, axis=-1)[..., rank].T
    return values


def excess(frames: np.ndarray, here: slice, floor: np.ndarray) -> np.ndarray:
    """How far the frames ``here`` rise above their floor: the mean dB of the SALIENT bands that do
    most. frames: [N, bands]. floor: of the frames here."""
    margin = SMOOTH // 2
    first, last = here.start - margin, here.stop + margin
    around = frames[max(0, first) : last]
    padding = (max(0, -first), max(0, last - len(frames)))
    around = np.pad(around, (padding, (0, 0)), mode="edge")
    smooth = sliding_window_view(around, SMOOTH, axis=0).mean(axis=-1)
    rise = np.clip(smooth - floor, 0, None)
    return -np.partition(-rise, SALIENT, axis=1)[:, :SALIENT].mean(axis=1)
