"""What all engines share: workers take parts from one queue, and what one drops another takes up.

A worker may be a process or an actor on another machine. Here is what to do when it ends.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from wsac.archive.shard_writer import Part, PartDone
from wsac.types import WsacError

TRIES = 2  # times that a file may end its worker
UNEXPLAINED = 4  # times that a part may end its worker with no file to blame
LOSSES = 20  # times that the machine of a part may go
STARTS = 3  # times in a row that a worker may end before it is ready
PATIENCE = 10.0  # seconds until a worker that was ended is left alone


@dataclass(frozen=True)
class PartFailed:
    """A part whose workers ended again and again, and no file of it is to blame."""

    number: int
    rows: int
    reason: str


@dataclass(frozen=True)
class FilesDone:
    """How far a part is. It begins again when its worker ends."""

    number: int
    files: int


Event: TypeAlias = PartDone | PartFailed | FilesDone
Tell: TypeAlias = Callable[[int], None]  # how many files of the part are done


class WorkerDied(Exception):  # noqa: N818 (no mistake of a user or of this program)
    """A worker ended. place: of the file that it tried alone. lost: its machine went, which is
    nobody's fault."""

    def __init__(self, reason: str, place: int | None = None, lost: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.place, self.lost = reason, place, lost


class Worker(Protocol):
    """Writes shards elsewhere, one at a time. Used by one thread; ``end`` by any."""

    def start(self) -> None:
        """Wait until it can take a part; a new one where the last has died. Raises WorkerDied, and
        WsacError where trying again is of no use."""

    def attempt(self, part: Part, carefully: bool, tell: Tell) -> PartDone:
        """Write the shard. carefully: try each file alone first. Raises WorkerDied, WsacError."""

    def end(self) -> None:
        """End it at once, and for good."""


def run_crew(crew: Sequence[Worker], parts: Iterable[Part]) -> Iterator[Event]:
    """Write parts; what is done, in the order of its end.

    A part whose worker ended is done again, each file alone first. A file that ends its worker
    twice is set aside, with the reason as its error. However this ends, so do the workers.
    Raises WsacError when a shard cannot be written or the models cannot be loaded.
    """
    tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    hands = [_Hand(worker, tasks, events) for worker in crew]
    waiting, source = 0, iter(parts)
    try:
        for hand in hands:
            hand.start()
        while True:
            while waiting < 2 * len(crew) and (part := next(source, None)) is not None:
                tasks.put(_Task(part))
                waiting += 1
            if not waiting:
                return
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            waiting -= not isinstance(event, FilesDone)
            yield event
    finally:
        for hand in hands:
            hand.end()
        for hand in hands:
            if hand.ident is not None:
                hand.join(PATIENCE)


@dataclass
class _Task:
    """A part, and what became of it so far."""

    part: Part
    crashes: Counter[int] = field(default_factory=Counter)
    unexplained: int = 0
    losses: int = 0

    def note(self, death: WorkerDied) -> PartFailed | None:
        """Learn from the end of a worker. The end of the part, if it is not worth another try."""
        if death.lost:
            self.losses += 1
        elif death.place is None:
            self.unexplained += 1
        else:
            self._blame(death.place, death.reason)
        if self.unexplained == UNEXPLAINED or self.losses == LOSSES:
            return PartFailed(self.part.number, len(self.part.files), death.reason)
        return None

    def _blame(self, place: int, reason: str) -> None:
        self.crashes[place] += 1
        if self.crashes[place] == TRIES:
            path = self.part.files["path"][place].as_py()
            what = f"set aside, since its process ended twice ({reason})"
            remedy = "--retry-errors tries it again"
            aside = {**self.part.set_aside, place: f"{path}: {what}; {remedy}"}
            self.part = replace(self.part, set_aside=aside)

    @property
    def suspect(self) -> bool:
        return self.unexplained > 0 or bool(self.crashes)


class _Hand(threading.Thread):
    """Hands tasks to a worker, one at a time, once it is ready for them."""

    def __init__(self, worker: Worker, tasks: Any, events: Any) -> None:
        super().__init__(daemon=True)
        self._worker, self._tasks, self._events = worker, tasks, events
        self._ending = False

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            if not self._ending:
                self._events.put(error)
        finally:
            self._worker.end()

    def end(self) -> None:
        self._ending = True
        self._tasks.put(None)  # wakes one hand that waits; each puts one
        self._worker.end()

    def _work(self) -> None:
        died = 0
        while not self._ending:
            try:
                self._worker.start()
            except WorkerDied as death:
                died += not death.lost
                if died == STARTS:
                    raise WsacError(f"no worker can start: {death.reason}") from None
                continue
            died = 0
            if (task := self._tasks.get()) is None:
                return
            try:
                tell = self._teller(task.part.number)
                self._events.put(self._worker.attempt(task.part, task.suspect, tell))
            except WorkerDied as death:
                if failed := task.note(death):
                    self._events.put(failed)
                else:
                    self._tasks.put(task)

    def _teller(self, number: int) -> Tell:
        return lambda files: self._events.put(FilesDone(number, files))
