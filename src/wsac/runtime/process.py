"""Settings of the whole process: threads, caches of oneDNN, and the use of freed memory."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

from .cpus import allowed_cpus, usable_cpus

# oneDNN, and PyTorch on top of it, each cache 1,024 bfloat16 products, one for every shape. Batches
# of text come in thousands of shapes, and most never return: that took 700 MB.
CACHE_SIZES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64"}

# Threads of OpenMP that wait for each other spin for milliseconds by default. Where other programs
# want the processor, the thread that is waited for does not run meanwhile.
SPIN = {"GOMP_SPINCOUNT": "1000"}  # rounds: some microseconds, then a thread sleeps

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h


def configure_process() -> None:
    """Set up this process; the command line and ``train`` call it first.

    It limits the caches of oneDNN, the spinning of idle threads and, in a container with a quota,
    their number. All are set in os.environ, where the user has not set them. It also lets glibc
    reuse freed memory. Call it before torch is imported: OpenMP reads its settings then, and oneDNN
    at the first product of matrices.
    """
    settings = dict(CACHE_SIZES)
    if "OMP_WAIT_POLICY" not in os.environ:
        settings |= SPIN
    if (cpus := usable_cpus()) < allowed_cpus():  # a quota; OpenMP itself sees what is allowed
        settings["OMP_NUM_THREADS"] = str(cpus)
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    reuse_freed_memory()


def reuse_freed_memory() -> None:
    """Let glibc keep freed memory for the next step. Does nothing where there is no glibc.

    By default it returns large blocks to the system, which clears every page before it hands them
    out again: up to a fifth of a training step on a CPU.
    """
    if (libc := _glibc()) is None:
        return
    # older versions accept at most 32 MB
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(M_MMAP_THRESHOLD, 1 << 25)
    libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    # gradients are made in a thread, and the arena of a thread takes no large block
    libc.mallopt(M_ARENA_MAX, 1)


def return_freed_memory() -> None:
    """Return free memory to the system, between stages with blocks of different sizes."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            return libc if libc.mallopt and libc.malloc_trim else None
    return None
