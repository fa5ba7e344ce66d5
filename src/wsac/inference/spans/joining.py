"""Runs that sound alike are one event: three barks are a dog that barks."""

from __future__ import annotations

from torch import Tensor

from .runs import Run
from .spectrum import FRAME
from .thresholds import Thresholds


def join(runs: list[Run], embeddings: Tensor, numbers: Thresholds) -> list[list[int]]:
    """Which runs belong together: lists of their places, in order of time.

    embeddings: [N, D] of the runs. A run joins the event before it when the pause is short and the
    cosine to any of its last runs is high; the event must not become longer than ``longest`` would
    allow twice.
    """
    events: list[list[int]] = []
    for place, (start, end) in enumerate(runs):
        if events:
            last = events[-1]
            pause = (start - runs[last[-1]][1]) * FRAME
            seconds = (end - runs[last[0]][0]) * FRAME
            likeness = float((embeddings[last[-3:]] @ embeddings[place]).max())
            alike = pause <= numbers.join_pause and likeness >= numbers.alike
            if alike and seconds <= 2 * numbers.longest:
                last.append(place)
                continue
        events.append([place])
    return events
