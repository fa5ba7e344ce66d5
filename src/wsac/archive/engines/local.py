"""The local engine: processes on this machine that write shards side by side."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from wsac.archive.shard_writer import ArchiveJob, Part, PartDone, ShardWriter
from wsac.runtime.cpus import usable_cpus
from wsac.types import WsacError

from .worker import TOO_LARGE

PROGRAM = "wsac.archive.engines.worker"
TRIES = 2  # times that a file may end its process
UNEXPLAINED = 4  # times that a part may end its process with no file to blame


@dataclass(frozen=True)
class PartFailed:
    """A part whose process ended again and again, and no file of it is to blame."""

    number: int
    rows: int
    reason: str


def run_here(job: ArchiveJob, parts: Iterable[Part]) -> Iterator[PartDone | PartFailed]:
    """Write parts in this process: for debugging, and where no process may be started."""
    writer = ShardWriter(job)
    for part in parts:
        yield writer.write(part)


def run_local(
    job: ArchiveJob, parts: Iterable[Part], *, workers: int, max_memory: int | None = None
) -> Iterator[PartDone | PartFailed]:
    """Write parts in ``workers`` processes; what is done, in the order of its end.

    max_memory: bytes of all workers together. A worker that takes more than its share, or that
    crashes, is replaced, and its part is done again, each file alone first. A file that ends its
    process twice is set aside, with the reason as its error. However this ends, so do the workers.
    Raises WsacError when a shard cannot be written or the models cannot be loaded.
    """
    tasks: queue.SimpleQueue[Part | None] = queue.SimpleQueue()
    events: queue.SimpleQueue[PartDone | PartFailed | BaseException | None] = queue.SimpleQueue()
    share = max_memory // workers if max_memory else None
    crew = [_Worker(job, tasks, events, share, workers) for _ in range(workers)]
    waiting, source, running = 0, iter(parts), workers
    try:
        for worker in crew:
            worker.start()
        while running:
            while waiting < 2 * workers and (part := next(source, None)) is not None:
                tasks.put(part)
                waiting += 1
            if waiting == 0:
                for _ in range(running):
                    tasks.put(None)
            event = events.get()
            if event is None:
                running -= 1
                continue
            waiting -= 1
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        for worker in crew:
            worker.end()


class _Worker(threading.Thread):
    """Hands parts to a process, one at a time, and replaces it when it ends."""

    def __init__(
        self, job: ArchiveJob, tasks: Any, events: Any, max_memory: int | None, workers: int
    ) -> None:
        super().__init__(daemon=True)
        self._job, self._tasks, self._events = job, tasks, events
        self._max_memory, self._workers = max_memory, workers
        self._process: subprocess.Popen[bytes] | None = None
        self._ending, self._reason = False, ""

    def run(self) -> None:
        try:
            while (part := self._tasks.get()) is not None and not self._ending:
                self._events.put(self._finish(part))
        except BaseException as error:
            self._events.put(error)
        finally:
            self._stop()
            self._events.put(None)

    def end(self) -> None:
        """End the process at once, if it runs."""
        self._ending = True
        self._stop()

    def _finish(self, part: Part) -> PartDone | PartFailed:
        """Work on a part until it is written, or nobody knows why it cannot be."""
        crashes: Counter[int] = Counter()
        unexplained = 0
        while True:
            answer = self._attempt(part, carefully=unexplained > 0 or bool(crashes))
            if isinstance(answer, WsacError):
                raise answer
            if isinstance(answer, PartDone):
                return answer
            if self._ending:
                return PartFailed(part.number, len(part.files), "stopped")
            if answer is None:
                unexplained += 1
                if unexplained == UNEXPLAINED:
                    return PartFailed(part.number, len(part.files), self._reason)
                continue
            crashes[answer] += 1
            if crashes[answer] == TRIES:
                path = part.files["path"][answer].as_py()
                what = f"set aside, since its process ended twice ({self._reason})"
                remedy = "--retry-errors tries it again"
                aside = {**part.set_aside, answer: f"{path}: {what}; {remedy}"}
                part = replace(part, set_aside=aside)

    def _attempt(self, part: Part, carefully: bool) -> PartDone | WsacError | int | None:
        """The answer to a part. Where the process ends: the place of the file that it tried alone,
        or None."""
        place: int | None = None
        try:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump((part, carefully), process.stdin)
            process.stdin.flush()
            while True:
                answer = pickle.load(process.stdout)
                if not isinstance(answer, int):
                    return answer
                place = answer if answer < len(part.files) else None
        except (EOFError, OSError, pickle.UnpicklingError):
            self._note_reason()
            self._stop()
            return place

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            threads = str(max(1, usable_cpus() // self._workers))
            environment = {"OMP_NUM_THREADS": threads} | dict(os.environ)
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=-1,
                env=environment,
            )
            assert self._process.stdin is not None
            pickle.dump((self._job, self._max_memory), self._process.stdin)
        return self._process

    def _note_reason(self) -> None:
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        self._reason = "it closed its pipe" if code is None else f"exit code {code}"
        if code is not None and code < 0:
            self._reason = signal.Signals(-code).name
            if code == -signal.SIGKILL:
                self._reason += ", perhaps for want of memory"
        if code == TOO_LARGE and self._max_memory:
            self._reason = f"more than {self._max_memory / 2**30:.1f} GiB of memory"

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
