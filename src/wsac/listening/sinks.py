"""What takes events: the base class, and a thread for deliveries that may be slow or fail."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from wsac.io.console import count_of, say
from wsac.types import WsacError

from .sound_event import Event, Now

WAITING = 100  # deliveries, at most; later ones are dropped, and counted
LAST_SECONDS = 5.0  # for what still waits at the end


class Sink(Protocol):
    """Takes the results of listening. ``event`` is called when an event begins, lasts and has
    ended; a failure is a WsacError or an OSError, and never stops the listening."""

    def now(self, now: Now) -> None:
        return None

    def event(self, event: Event) -> None:
        return None

    def close(self) -> None:
        return None


class Deliveries:
    """Runs deliveries one after another in a thread, so that nobody waits for them.

    name: for messages. The first of several failures is told, and the first success after them.
    """

    def __init__(self, name: str, most: int = WAITING) -> None:
        self.name = name
        self._waiting: queue.Queue[Callable[[], object] | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._work, name=f"wsac-{name}", daemon=True)
        self._thread.start()
        self._failing = False
        self.delivered, self.failed, self.dropped = 0, 0, 0

    def add(self, deliver: Callable[[], object]) -> None:
        try:
            self._waiting.put_nowait(deliver)
        except queue.Full:
            if not self.dropped:
                say(f"{self.name}: too slow; what does not fit is dropped")
            self.dropped += 1

    def close(self) -> None:
        """Wait for what is under way, LAST_SECONDS at most, and say what was lost."""
        try:
            self._waiting.put(None, timeout=LAST_SECONDS)
            self._thread.join(LAST_SECONDS)
        except queue.Full:
            pass
        lost = self.failed + self.dropped + max(0, self._waiting.qsize() - 1)
        if lost:
            say(f"{self.name}: {count_of(lost, 'message')} not delivered")

    def _work(self) -> None:
        while (deliver := self._waiting.get()) is not None:
            try:
                deliver()
            except (WsacError, OSError, ValueError) as error:
                self.failed += 1
                if not self._failing:
                    say(f"{self.name}: {' '.join(str(error).split())}; listening goes on")
                self._failing = True
                continue
            self.delivered += 1
            if self._failing:
                say(f"{self.name}: works again")
            self._failing = False
