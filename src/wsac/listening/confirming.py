"""Confirmation by repetition: a label counts when several windows in a row agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .listen_options import ListenOptions
from .sound_event import State

RELEASE = 0.5  # of the threshold: an event goes on above it


@dataclass(slots=True)
class Candidate:
    """A label that is or may become an event. first, last: (start, end) of its first and last
    windows, in seconds. best: its highest probability. energy, windows: their mean power so far.
    number: of the event, 0 before it is one."""

    label: str
    first: tuple[float, float]
    last: tuple[float, float]
    best: float
    energy: float = 0.0
    windows: int = 0
    number: int = 0

    def add(self, window: tuple[float, float], probability: float, power: float) -> None:
        self.last, self.best = window, max(self.best, probability)
        self.energy, self.windows = self.energy + power, self.windows + 1


class Confirming:
    """Turns the probabilities of successive windows into begins and ends of events."""

    def __init__(self, options: ListenOptions) -> None:
        self.options = options
        self._candidates: dict[str, Candidate] = {}
        self._count = 0

    def step(
        self, window: tuple[float, float], probabilities: Mapping[str, float], power: float
    ) -> Iterator[tuple[State, Candidate]]:
        """What this window changes. Labels that are not among the probabilities have none."""
        threshold, hold = self.options.threshold, self.options.hold_seconds
        for label, candidate in list(self._candidates.items()):
            probability = probabilities.get(label, 0.0)
            if candidate.number and probability >= threshold * RELEASE:
                candidate.add(window, probability, power)
                yield "lasts", candidate
            elif candidate.number and window[1] - candidate.last[1] >= hold:
                del self._candidates[label]
                yield "ended", candidate
            elif not candidate.number and probability < threshold:
                del self._candidates[label]
        for label, probability in probabilities.items():
            if probability < threshold:
                continue
            candidate = self._candidates.setdefault(
                label, Candidate(label, window, window, probability)
            )
            if not candidate.number:
                candidate.add(window, probability, power)
                if candidate.windows >= self.options.confirm:
                    self._count += 1
                    candidate.number = self._count
                    yield "begins", candidate

    def end(self) -> list[Candidate]:
        """Nothing follows: the events that have not ended."""
        events = [candidate for candidate in self._candidates.values() if candidate.number]
        self._candidates.clear()
        return events
