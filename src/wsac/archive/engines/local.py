"""The local engine: processes on this machine that write shards side by side."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

from wsac.archive.shard_writer import ArchiveJob, Part, PartDone, ShardWriter
from wsac.runtime.cpus import usable_cpus
from wsac.types import WsacError

from .crew import Event, Tell, WorkerDied, run_crew
from .worker import TOO_LARGE, Trying

PROGRAM = "wsac.archive.engines.worker"


def run_here(job: ArchiveJob, parts: Iterable[Part]) -> Iterator[Event]:
    """Write parts in this process: for debugging, and where no process may be started."""
    writer = ShardWriter(job)
    for part in parts:
        yield writer.write(part)


def run_local(
    job: ArchiveJob, parts: Iterable[Part], *, workers: int, max_memory: int | None = None
) -> Iterator[Event]:
    """Write parts in ``workers`` processes, as ``run_crew`` does.

    max_memory: bytes of all workers together. A worker that takes more than its share is ended.
    """
    share = max_memory // workers if max_memory else None
    return run_crew([_Process(job, share, workers) for _ in range(workers)], parts)


class _Process:
    """A worker in a process of its own, asked over its pipes."""

    def __init__(self, job: ArchiveJob, max_memory: int | None, workers: int) -> None:
        self._job, self._max_memory, self._workers = job, max_memory, workers
        self._process: subprocess.Popen[bytes] | None = None
        self._lock, self._ended = threading.Lock(), False

    def start(self) -> None:
        with self._lock:
            if self._ended:
                raise WorkerDied("stopped")
            if self._process is not None:
                return
            try:
                self._process = self._new_process()
            except OSError as error:
                raise WorkerDied(f"a process cannot be started ({error.strerror})") from error

    def attempt(self, part: Part, carefully: bool, tell: Tell) -> PartDone:
        process, place = self._process, None
        try:
            if process is None or process.stdin is None or process.stdout is None:
                raise EOFError
            pickle.dump((part, carefully), process.stdin)
            process.stdin.flush()
            while True:
                answer = pickle.load(process.stdout)
                if isinstance(answer, PartDone):
                    return answer
                if isinstance(answer, WsacError):
                    raise answer
                if isinstance(answer, Trying):
                    place = answer.place
                else:
                    tell(answer)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            reason = self._reason(process)
            self._stop()
            raise WorkerDied(reason, place) from None

    def end(self) -> None:
        with self._lock:
            self._ended = True
        self._stop()

    def _new_process(self) -> subprocess.Popen[bytes]:
        threads = str(max(1, usable_cpus() // self._workers))
        environment = {"OMP_NUM_THREADS": threads} | dict(os.environ)
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=-1,
            env=environment,
        )
        assert process.stdin is not None
        with suppress(OSError):  # it has died, which the first part tells
            pickle.dump((self._job, self._max_memory), process.stdin)
        return process

    def _reason(self, process: subprocess.Popen[bytes] | None) -> str:
        if process is None:
            return "stopped"
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        code = process.returncode
        if code is None:
            return "it closed its pipe"
        if code < 0:
            memory = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
            return signal.Signals(-code).name + memory
        if code == TOO_LARGE and self._max_memory:
            return f"more than {self._max_memory / 2**30:.1f} GiB of memory"
        return f"exit code {code}"

    def _stop(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError), process:  # which closes its pipes and waits for its end
            process.kill()
