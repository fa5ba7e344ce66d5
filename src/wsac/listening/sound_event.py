"""What listening gives: what sounds now, and events from when to when."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from wsac.inference.sound_results import Tag

DIGITS = {"start": 2, "end": 2, "confidence": 4, "caption_confidence": 4, "loudness": 1}

State = Literal["begins", "lasts", "ended"]


@dataclass(frozen=True, slots=True)
class Now:
    """What sounds at one moment. at: seconds from the start. loudness: RMS in dBFS. tags: the
    five likeliest, best first; none where it is too quiet. none: the probability of no label."""

    at: float
    loudness: float
    tags: tuple[Tag, ...] = ()
    none: float | None = None

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        tags = [{"label": tag.label, "probability": round(tag.probability, 4)} for tag in self.tags]
        none = None if self.none is None else round(self.none, 4)
        level = round(self.loudness, 1)
        return {"at": round(self.at, 2), "loudness": level, "tags": tags, "none": none}


@dataclass(frozen=True, slots=True)
class Event:
    """A sound of one label.

    state: an event ``begins`` once it is confirmed, ``lasts`` with each window, and has ``ended``.
    start, end: seconds; end is None before it has ended. confidence: the highest probability of
    its label so far. loudness: RMS in dBFS; before the end, that of its windows. caption: what the
    captioner says of it at its end, with the caption's own confidence. time: the clock at its
    start, in ISO 8601; "" for a file. sound: the samples [T] of an event that has ended, where
    clips are wanted. clip: the file with them.
    """

    state: State
    number: int
    label: str
    start: float
    end: float | None
    confidence: float
    loudness: float
    caption: str = ""
    caption_confidence: float | None = None
    time: str = ""
    clip: str = ""
    sound: np.ndarray | None = field(default=None, repr=False, compare=False)

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del values["sound"]
        for name, digits in DIGITS.items():
            if values[name] is not None:
                values[name] = round(values[name], digits)
        return values
