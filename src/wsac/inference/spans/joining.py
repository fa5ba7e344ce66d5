"""What sounds alike: runs of one event, such as three barks of a dog; and what comes again and
again, such as steps or a clock, and is background."""

from __future__ import annotations

from collections.abc import Iterable

from wsac.arrays import Tensor

from .runs import Run
from .span import Passage
from .spectrum import FRAME
from .thresholds import Thresholds

RECENT = 6  # events that a run may belong to
LAST = 3  # runs of an event that another is compared with
REACH = 30.0  # seconds before and after a passage in which others like it are counted
TIMES, SECONDS = 3, 4.0  # how often and how long it sounds there, at least
COSINE = 0.75  # of two passages that are the same


def join(runs: list[Run], embeddings: Tensor, numbers: Thresholds) -> list[list[int]]:
    """Which runs belong together: lists of their places, in order of time.

    embeddings: [N, D] of the runs. A run joins the event that sounds most like it, if their cosine
    is high and the pause between them short. What has gone on for longer than an event is expected
    to come again after a longer pause, too. Another event may lie in the pause.
    """
    events: list[list[int]] = []
    for place, (start, _) in enumerate(runs):
        best, best_cosine = [place], numbers.alike
        for event in events[-RECENT:]:
            end = runs[event[-1]][1]
            goes_on = (end - runs[event[0]][0]) * FRAME > numbers.longest
            pause = numbers.recur if goes_on else numbers.join_pause
            cosine = float((embeddings[event[-LAST:]] @ embeddings[place]).max())
            if (start - end) * FRAME <= pause and cosine >= best_cosine:
                best, best_cosine = event, cosine
        if best[-1] == place:
            events.append(best)
        else:
            best.append(place)
    return events


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
