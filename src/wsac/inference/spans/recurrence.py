"""What comes again and again is background: steps, a clock, somebody who speaks."""

from __future__ import annotations

from collections.abc import Iterable

from .passage import Passage

REACH = 30.0  # seconds before and after a passage in which others like it are counted
TIMES, SECONDS = 3, 4.0  # how often and how long it sounds there, at least
COSINE = 0.75  # of two passages that are the same


def recurs(passage: Passage, events: Iterable[Passage]) -> bool:
    """Whether an event is one of several that sound alike. events: itself, and those around it."""
    first, last = passage.start - REACH, passage.end + REACH
    times, seconds = 0, 0.0
    for event in events:
        if event.end <= first or event.start >= last:
            continue
        if float(event.embedding @ passage.embedding) >= COSINE:
            times += 1
            seconds += min(event.end, last) - max(event.start, first)
    return times >= TIMES and seconds >= SECONDS
