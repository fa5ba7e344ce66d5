"""What is scored, and the score of one metric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsac.types import WsacError


@dataclass(frozen=True, slots=True)
class Item:
    """A caption to be judged, and the captions that people wrote for the same sound.

    audio: the sound's file, where it is known. confidence: the captioner's own, 0 to 1.
    """

    id: str
    candidate: str
    references: tuple[str, ...] = ()
    audio: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One metric of a set of captions.

    name: as in METRICS, such as "cider_d". corpus: the figure of the whole set. per_item:
    float64 [N] in the order of the items, None when single captions have no value. note: the
    model, its version, a caveat. pooled: counts [N, P] whose sum over the items gives the
    corpus figure, when that is no mean.
    """

    name: str
    corpus: float
    per_item: np.ndarray | None = None
    note: str = ""
    pooled: np.ndarray | None = None


class MissingError(WsacError):
    """A program or model that a metric needs is not installed; sets of metrics go on without it."""
