"""The few numbers that finding spans depends on, tuned by ``benchmarks/spans/tune.py``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How spans are cut. Levels are in dB, times in seconds.

    look: what lasts longer on either side is background; it is also the look-ahead. quiet: the
    share of that time in which the background is at its floor. begin, go_on: an event begins where
    the spectrum exceeds the floor by the first, and lasts while it exceeds it by the second. pause:
    inside an event at most. shortest: an event at least. longest: an event at most; a longer one is
    cut where it is faintest. join_pause: between events that sound alike, at most. alike: their
    cosine at least. confidence: spans below it are left out. change: a background ends where its
    floor moves by so much. steady: a background at least, in seconds. faintest: a background at
    least, in dBFS.
    """

    look: float = 16.0
    quiet: float = 0.25
    begin: float = 10.0
    go_on: float = 4.0
    pause: float = 0.8
    shortest: float = 0.1
    longest: float = 8.0
    join_pause: float = 2.0
    alike: float = 0.7
    confidence: float = 0.05
    change: float = 8.0
    steady: float = 10.0
    faintest: float = -55.0


DEFAULT = Thresholds()
