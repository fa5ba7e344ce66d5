"""What a fuzzer counts: how one damaged input was read."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

from wsac.types import WsacError

SLOW = 5.0  # CPU-seconds


def outcome_of(read: Callable[[], str]) -> str:
    """What ``read`` returns; refused, for an error in one line; or what is wrong."""
    start = time.process_time()
    try:
        outcome = read()
    except WsacError as error:
        outcome = "refused" if "\n" not in str(error) else "refused in several lines"
    except Exception as error:
        outcome = f"exception: {type(error).__name__}"
    return outcome if time.process_time() - start < SLOW else "slow"


def effort(start: float) -> str:
    """The most memory of this process, and the seconds since ``start``."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{peak:.0f} MiB at most, {time.perf_counter() - start:.0f} s"
