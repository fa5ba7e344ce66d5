"""What a scene is: events placed in time, a background behind them, and the forms it can take."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LEVELS = ("pitch", "rate", "loudness", "distance", "length")  # each -1, 0 (unremarkable) or +1
MAX_COUNT = 4


def read_table(name: str) -> dict[str, Any]:
    """Read one of the TOML files beside this module."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Event:
    """One sound in a scene. All levels are -1, 0 or +1.

    kind: a name in KINDS. pitch: low or high. rate: slow or fast. loudness: faint or loud.
    distance: near or far. count: the exact number of strokes (1 to 4), or None for as many as fit.
    length: brief or long beside the rest of the scene. It only describes ``seconds``.
    Raises ValueError for an invalid level, count or length.
    """

    kind: str
    pitch: int = 0
    rate: int = 0
    count: int | None = None
    loudness: int = 0
    distance: int = 0
    length: int = 0
    seconds: float = 5.0

    def __post_init__(self) -> None:
        for name in LEVELS:
            if getattr(self, name) not in (-1, 0, 1):
                raise ValueError(f"{name} is {getattr(self, name)!r}: use -1, 0 or 1")
        if self.count is not None and not 1 <= self.count <= MAX_COUNT:
            raise ValueError(f"count is {self.count}: use 1 to {MAX_COUNT}, or None")
        if not self.seconds > 0:
            raise ValueError(f"seconds is {self.seconds}: use more than 0")


@dataclass(frozen=True, slots=True)
class Placed:
    """An event in a scene. start: seconds from the beginning. gain_db: its level in the mix."""

    event: Event
    start: float
    gain_db: float = 0.0

    @property
    def end(self) -> float:
        return self.start + self.event.seconds


@dataclass(frozen=True, slots=True)
class Form:
    """A form of scenes. steps: the number of events in each step. templates: its sentences."""

    background: bool
    steps: tuple[int, ...]
    templates: tuple[str, ...]

    @property
    def events(self) -> int:
        """The number of events in all, with the background."""
        return sum(self.steps) + self.background


@dataclass(frozen=True, slots=True)
class Scene:
    """Which sounds a recording has, and when.

    form: a name in FORMS. steps: the events in turn. Two events of one step sound together.
    In "again" the third step repeats the first. background: an event that lasts all through.
    captions: distinct and true.
    """

    form: str
    seconds: float
    steps: tuple[tuple[Placed, ...], ...]
    background: Placed | None = None
    captions: tuple[str, ...] = ()

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Everything that sounds: the background first, then the steps in their order."""
        steps = [placed for step in self.steps for placed in step]
        return (self.background, *steps) if self.background else tuple(steps)

    @property
    def events(self) -> tuple[str, ...]:
        """The kinds that sound, each once, in the order of ``placed``."""
        return tuple(dict.fromkeys(placed.event.kind for placed in self.placed))

    @property
    def described(self) -> list[Event]:
        """The events that a caption names: the steps in their order, then the background.

        "again" names its repeated event once.
        """
        events = [placed.event for step in self.steps for placed in step]
        events = events[:2] if self.form == "again" else events
        return [*events, self.background.event] if self.background else events

    def record(self) -> dict[str, Any]:
        """The scene as plain values for JSON."""
        events = []
        for placed in self.placed:
            role = "background" if placed is self.background else "event"
            row = {"role": role, "start": placed.start, "gain_db": placed.gain_db}
            events.append(row | asdict(placed.event))
        head = {"form": self.form, "seconds": self.seconds}
        return head | {"events": events, "captions": list(self.captions)}


_TABLE = read_table("scenes")
SHARES: tuple[float, ...] = tuple(_TABLE["share"])  # how often a scene has 1, 2, 3 or 4 events
BACKGROUNDS: tuple[str, ...] = tuple(_TABLE["backgrounds"])
FORMS: dict[str, Form] = {
    name: Form(form.get("background", False), tuple(form["steps"]), tuple(form["templates"]))
    for name, form in _TABLE["forms"].items()
}


def alike(kind: str, other: str) -> bool:
    """Whether two kinds are the same or could be confused."""
    return kind == other or any(kind in group and other in group for group in _TABLE["alike"])
