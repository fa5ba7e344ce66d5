"""Runs: where something rises above the floor, from the first frame to the last."""

from __future__ import annotations

import numpy as np

from .spectrum import FRAME
from .thresholds import Thresholds

RAISE = 3.0  # dB by which the threshold rises to cut what is too long

Run = tuple[int, int]  # frames, the second one excluded


def runs_of(excess: np.ndarray, numbers: Thresholds) -> list[Run]:
    """The runs of an excess ``[N]`` in dB, in their order, none longer than ``longest``."""
    return _runs(excess, 0, numbers.begin, numbers.go_on, numbers)


def _runs(
    excess: np.ndarray, offset: int, begin: float, go_on: float, numbers: Thresholds
) -> list[Run]:
    longest = numbers.longest / FRAME
    runs: list[Run] = []
    for first, last in _above(excess, go_on, numbers.pause / FRAME):
        if excess[first:last].max() < begin or last - first < numbers.shortest / FRAME:
            continue
        if last - first > longest and go_on + RAISE < excess[first:last].max():
            part, higher = excess[first:last], go_on + RAISE
            runs += _runs(part, offset + first, max(begin, higher + RAISE), higher, numbers)
        else:
            runs.append((offset + first, offset + last))
    return runs


def _above(excess: np.ndarray, level: float, pause: float) -> list[Run]:
    """Where the excess lies above a level, with pauses of less than ``pause`` frames."""
    edges = np.diff(np.concatenate(([0], excess > level, [0])).astype(np.int8))
    merged: list[Run] = []
    for first, last in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        if merged and first - merged[-1][1] < pause:
            merged[-1] = (merged[-1][0], int(last))
        else:
            merged.append((int(first), int(last)))
    return merged
