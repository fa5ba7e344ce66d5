"""A process that writes shards: tasks come pickled on stdin, answers go to stdout.

``python -m wsac.archive.engines.worker``, started by the local engine. A process of its own,
since a decoder that crashes takes its process with it.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wsac.archive.shard_writer import ArchiveJob, Part, PartDone, ShardWriter
from wsac.io.console import be_quiet
from wsac.types import WsacError

TOO_LARGE = 77  # exit code of a process that takes more memory than it may
LOOK = 0.2  # seconds between looks at its memory
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    tasks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not reach the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine ends its workers
    if sys.platform.startswith("linux"):  # not to outlive it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    be_quiet()
    job: ArchiveJob
    job, max_memory = pickle.load(tasks)
    if max_memory:
        threading.Thread(target=watch_memory, args=(max_memory,), daemon=True).start()
    work(ShardWriter(job), tasks, answers)


@dataclass(frozen=True)
class Trying:
    """The place of the file that is tried alone; None: nobody is to blame for what comes now."""

    place: int | None


def work(writer: ShardWriter, tasks: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the tasks end. A task is a Part, and whether its files are to be tried alone.

    Answers are Trying, numbers of files that are done, and at last the PartDone or an error.
    """

    def answer(value: PartDone | WsacError | Trying | int) -> None:
        pickle.dump(value, answers)
        answers.flush()

    while True:
        try:
            part, carefully = pickle.load(tasks)
        except EOFError:
            return
        try:
            if carefully:
                try_each(writer, part, lambda place: answer(Trying(place)))
            answer(writer.write(part, answer))
        except WsacError as error:  # a full disk, a model that is gone
            answer(error)


def try_each(writer: ShardWriter, part: Part, trying: Callable[[int | None], None]) -> None:
    """Tell the place of each file before it is tried, so that the last one told is to blame.

    The captioner is loaded before: no file is to blame for that.
    """
    writer.load()
    for place, path in enumerate(part.files["path"].to_pylist()):
        if place not in part.set_aside:
            trying(place)
            writer.try_alone(path)
    trying(None)


def watch_memory(most: int) -> None:
    """End this process when it holds more bytes. Does nothing where there is no /proc."""
    page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    with suppress(OSError, ValueError, IndexError):
        while page:
            resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
            if int(resident) * page > most:
                os._exit(TOO_LARGE)
            time.sleep(LOOK)


if __name__ == "__main__":
    main()
