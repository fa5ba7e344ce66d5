"""Quiet hours: times of the day at which nobody is to be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from wsac.types import RecipeError

from .sinks import Sink
from .sound_event import Event, Now

HOURS = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day to another, perhaps past midnight."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """Of text such as ``22:00-07:00``. Raises RecipeError."""
        match = HOURS.fullmatch(text.replace(" ", ""))
        try:
            a, b, c, d = map(int, match.groups() if match else "")
            start, end = time(a, b), time(c, d)
        except ValueError:
            start = end = time()
        if start == end:
            raise RecipeError(f"quiet hours '{text}': give two times, such as 22:00-07:00")
        return cls(start, end)

    def __contains__(self, moment: time) -> bool:
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


class Quietly(Sink):
    """Keeps from a sink the events that begin in quiet hours. One that began before still ends
    there, so that nothing stays on."""

    def __init__(
        self,
        sink: Sink,
        hours: Sequence[QuietHours],
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.sink, self._hours, self._clock = sink, hours, clock
        self._told: set[int] = set()
        self.held_back = 0  # events

    def now(self, now: Now) -> None:
        self.sink.now(now)

    def event(self, event: Event) -> None:
        if event.state == "begins":
            if self._is_quiet():
                self.held_back += 1
            else:
                self._told.add(event.number)
        if event.number in self._told:
            self.sink.event(event)
        if event.state == "ended":
            self._told.discard(event.number)

    def close(self) -> None:
        self.sink.close()

    def _is_quiet(self) -> bool:
        moment = self._clock().time()
        return any(moment in hours for hours in self._hours)
