"""A span: what sounds from when to when; and a passage, which is one before it has words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsac.arrays import Tensor
from wsac.inference.sound_results import Tag

Kind = Literal["sound", "speech", "music"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording in which one thing sounds.

    start, end: seconds. text: its caption. confidence: the probability that the caption's main
    event is heard, in [0, 1]; None from a captioner without calibration. tags: the likeliest
    labels, best first. loudness: RMS in dBFS. prominence: dB by which it is louder than what is
    around it. sustained: it goes on, such as rain; otherwise it is abrupt, such as a bang. kind:
    speech and music can be left to others. file: the path, "" for samples. background: it goes on
    behind the others; after a minute it is cut, and goes on as the next span.
    """

    start: float
    end: float
    text: str
    confidence: float | None = None
    tags: tuple[Tag, ...] = ()
    loudness: float = 0.0
    prominence: float = 0.0
    sustained: bool = False
    kind: Kind = "sound"
    file: str = ""
    background: bool = False

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Passage:
    """A span without words. start, end: seconds. embedding: [D] unit norm; the rest as in Span."""

    start: float
    end: float
    embedding: Tensor
    loudness: float
    prominence: float
    sustained: bool
    background: bool = False
