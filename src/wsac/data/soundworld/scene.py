"""What a scene is: events placed in time, a background behind them, and what each form of scene is called."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .events import Event

# form → (has a background, events in each step, events in all)
FORMS: dict[str, tuple[bool, tuple[int, ...], int]] = {
    "single": (False, (1,), 1),
    "while": (True, (1,), 2),
    "then": (False, (1, 1), 2),
    "then3": (False, (1, 1, 1), 3),
    "again": (False, (1, 1, 1), 3),
    "together": (False, (2, 1), 3),
    "background_then": (True, (1, 1), 3),
    "then4": (False, (1, 1, 1, 1), 4),
    "background_then3": (True, (1, 1, 1), 4),
}


@dataclass(frozen=True, slots=True)
class Placed:
    """An event in a scene. start: seconds from the beginning; gain_db: how it is mixed."""

    event: Event
    start: float
    gain_db: float = 0.0

    @property
    def end(self) -> float:
        return self.start + self.event.seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """What is heard.

    form: a name in FORMS. steps: what happens in turn; two in one step sound together. In "again" the third step is
    the first once more. background: what lasts all through it. seconds: the whole. captions: distinct and true.
    """

    form: str
    seconds: float
    steps: tuple[tuple[Placed, ...], ...]
    background: Placed | None = None
    captions: tuple[str, ...] = ()

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Everything that sounds: the background first, then the steps in their order."""
        behind = (self.background,) if self.background else ()
        return (*behind, *(placed for step in self.steps for placed in step))

    @property
    def events(self) -> tuple[str, ...]:
        """The kinds that sound, each once, in the order of ``placed``."""
        return tuple(dict.fromkeys(placed.event.kind for placed in self.placed))

    def record(self) -> dict[str, Any]:
        """The scene as plain values for JSON."""
        rows = [
            {
                "role": "background" if placed is self.background else "event",
                "start": placed.start,
                "gain_db": placed.gain_db,
            }
            | asdict(placed.event)
            for placed in self.placed
        ]
        return {
            "form": self.form,
            "seconds": self.seconds,
            "events": rows,
            "captions": list(self.captions),
        }
