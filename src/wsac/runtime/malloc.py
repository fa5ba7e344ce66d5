"""What the C library does with memory that was freed: kept for the next step, or given back between two stages."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next step, which wants as much again.

    It would give large blocks back to the system and take them anew, page by page, each being cleared first: up to a
    fifth of a training step on a CPU. For the whole process. Does nothing where there is no glibc.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            # M_MMAP_THRESHOLD: blocks below this come from the heap; older versions take no more than 32 MB
            libc.mallopt(-3, 1 << 30) or libc.mallopt(-3, 1 << 25)
            libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD: and the heap keeps so much
            libc.mallopt(
                -8, 1
            )  # M_ARENA_MAX: gradients are made in a thread, whose own heap would take no large block


def give_back_freed_memory() -> None:
    """Return all that is free in the heap, also its holes, to the system: when a stage is over, whose sizes the next
    one does not want. Does nothing where there is no glibc."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
