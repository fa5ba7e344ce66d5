"""How many processors this process may use, by its affinity and the quota of its container; and
work for a second one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


def usable_cpus(root: Path = Path("/")) -> int:
    """The processors of this process, at least 1: those that the scheduler allows, or fewer where a
    cgroup limits its time. root: where ``proc`` and ``sys`` are."""
    quota = min(_quotas(root), default=float("inf"))
    return max(1, int(min(allowed_cpus(), quota + 0.5)))


def allowed_cpus() -> int:
    """The processors that the scheduler gives this process."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return allowed or 1


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time that each cgroup of this process, and each above it, allows."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
            group = top / place.strip("/")
            for folder in (group, *group.parents):
                yield from _quota(folder)
                if folder == top:
                    break


def _quota(folder: Path) -> Iterator[float]:
    with suppress(OSError, ValueError):  # version 2: "max 100000" where there is no limit
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        yield int(quota) / int(period)
    with suppress(OSError, ValueError):  # version 1: -1 where there is no limit
        files = (folder / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
        limit, each = (int(file.read_text(encoding="ascii")) for file in files)
        if limit > 0:
            yield limit / each


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before it is used.

    Closing it waits for the item that is being made, so nothing runs on behind it. Errors come in
    their place.
    """
    with ThreadPoolExecutor(1, "wsac-ahead") as pool:
        following = pool.submit(list, islice(items, 1))
        while item := following.result():
            following = pool.submit(list, islice(items, 1))
            yield from item
