"""What is scored, and what comes out of scoring it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsac.types import WsacError


@dataclass(frozen=True, slots=True)
class Item:
    """A caption to be judged, the captions that people wrote of the same sound, and the sound's file if it is known.

    confidence: how sure the captioner was, 0 to 1, if it said.
    """

    id: str
    candidate: str
    references: tuple[str, ...] = ()
    audio: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One metric of one set of captions.

    name: as in METRICS, such as "cider_d". corpus: the figure of the whole set. per_item: float64 [N] in the order of
    the items; None of a metric that has no value for a single caption. note: the model, its version, a caveat.
    pooled: [N, P], what a corpus figure that is no mean is made of, once it is summed over the items.
    """

    name: str
    corpus: float
    per_item: np.ndarray | None = None
    note: str = ""
    pooled: np.ndarray | None = None


class MissingError(WsacError):
    """A program or a model that a metric needs is not installed; a set of metrics goes on without it."""
