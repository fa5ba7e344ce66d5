"""The truth about a recording of hours.py, and how intervals are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PIECE = 60  # seconds: moments are searched for in pieces of a minute, as in Clotho-Moment


class Interval(Protocol):
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Truth:
    """An event or a stretch of background (kind: sound, speech, music or background)."""

    start: float
    end: float
    text: str
    kind: str
    name: str = ""
    over: float = 0.0


def read_truths(recording: Path) -> list[Truth]:
    """What is heard in a recording."""
    rows: list[dict[str, Any]] = json.loads(recording.with_suffix(".json").read_text("utf-8"))
    return [Truth(**row) for row in rows]


def iou(first: Interval, second: Interval) -> float:
    """Intersection over union."""
    common = min(first.end, second.end) - max(first.start, second.start)
    if common <= 0:
        return 0.0
    return common / (max(first.end, second.end) - min(first.start, second.start))
