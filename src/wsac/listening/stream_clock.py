"""Which time of the clock belongs to which second of a sound that does not end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SPAN = 60.0  # seconds: arrivals of the last one to two spans count


class StreamClock:
    """Tells when a sound began, from when its samples arrive.

    They may be late, never early: the earliest start that one of them allows is the best. Old ones
    are forgotten, since the rate of a microphone is seldom quite what it says.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now, self._begin = now, -math.inf
        self._before = self._best = math.inf

    def start_of(self, seconds: float) -> float:
        """Seconds since 1970 at the start of a sound of which so many ``seconds`` are here."""
        now = self._now()
        if not 0 <= now - self._begin < SPAN:
            recent = 0 <= now - self._begin < 2 * SPAN
            self._before, self._best = (self._best if recent else math.inf), math.inf
            self._begin = now
        self._best = min(self._best, now - seconds)
        return min(self._before, self._best)
