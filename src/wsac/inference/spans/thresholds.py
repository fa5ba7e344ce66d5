"""The few numbers that finding spans depends on, tuned by ``benchmarks/spans/tune.py``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How spans are cut. Levels are in dB, times in seconds.

    look: what lasts longer on either side is background; it is also the look-ahead. quiet: the
    share of that time in which the background is at its floor. begin, go_on: a run begins where
    the spectrum exceeds the floor by the first, and lasts while it exceeds it by the second. pause:
    inside a run at most. shortest: a run at least. longest: a run at most; a longer one is cut
    where it is faintest. alike: the cosine of runs of one event at least. join_pause: between them
    at most. recur: between those of an event that has gone on for ``longest``. confidence: spans
    below it are left out. change: a background ends where its floor moves by so much. steady: a
    background at least, in seconds. faintest: a background at least, in dBFS.
    """

    look: float = 16.0
    quiet: float = 0.25
    begin: float = 10.0
    go_on: float = 4.0
    pause: float = 0.3
    shortest: float = 0.1
    longest: float = 6.0
    alike: float = 0.67
    join_pause: float = 2.5
    recur: float = 12.0
    confidence: float = 0.05
    change: float = 8.0
    steady: float = 10.0
    faintest: float = -55.0


DEFAULT = Thresholds()
