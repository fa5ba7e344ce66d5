"""A part of a sound with what is known of each of its frames: it grows at its end, and what is
done with is dropped at its beginning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .rising import Rising


class Reel:
    """The frames ``first`` to ``end`` of a sound; all positions are frames of the whole sound.

    hop: samples of a frame.
    """

    SERIES = ("samples", "excess", "power", "floor_power", "change")

    def __init__(self, hop: int) -> None:
        self.first, self.end = 0, 0
        # how many values of each series there are per frame
        self._rates = dict(zip(self.SERIES, (hop, 1, 1, 1, 1 / 5), strict=True))
        self._parts: dict[str, np.ndarray] = {name: np.zeros(0, np.float32) for name in self._rates}
        self.seconds = 0.0

    def add(self, rising: Rising) -> None:
        for name, values in self._parts.items():
            self._parts[name] = np.concatenate((values, getattr(rising, name)))
        self.end += len(rising.excess)

    def drop(self, before: int) -> None:
        """Forget the frames before this one; whole blocks only."""
        before -= before % 5
        for name, rate in self._rates.items():
            self._parts[name] = self._parts[name][round((before - self.first) * rate) :]
        self.first = before

    def series(self, name: str, start: int, end: int) -> np.ndarray:
        """One of SERIES from frame ``start`` to ``end``."""
        first, last = (round((x - self.first) * self._rates[name]) for x in (start, end))
        return self._parts[name][max(0, first) : last]

    def samples(self, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """The samples of each of these spans."""
        return [self.series("samples", *span) for span in spans]
