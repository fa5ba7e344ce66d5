"""A passage: a span before it has words."""

from __future__ import annotations

from dataclasses import dataclass

from wsac.arrays import Tensor


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
