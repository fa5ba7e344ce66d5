"""A source that comes back: when it dies it is opened again, after waits that grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from wsac.io.console import say
from wsac.types import AudioError

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds; each wait is twice the last
STEADY_SECONDS = 30.0  # a source that lived for as long begins with the first wait again


def reconnecting(
    open_source: Callable[[], Iterator[np.ndarray]],
    name: str,
    *,
    sleep: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[np.ndarray | None]:
    """The blocks of a source without an end, with None at each interruption.

    Raises AudioError when the source does not open the first time: that is a wrong address rather
    than a cable.
    """
    wait, ever = FIRST_WAIT, False
    while True:
        began, alive = now(), False
        reason = "the stream ended"
        try:
            for block in open_source():
                if not alive and ever:
                    say(f"{name}: here again")
                alive = ever = True
                yield block
        except AudioError as error:
            if not ever:
                raise
            reason = str(error).removeprefix(f"{name}: ")
        if not ever:
            raise AudioError(f"{name}: no sound came; check the address")
        if alive:
            yield None
        if now() - began >= STEADY_SECONDS:
            wait = FIRST_WAIT
        say(f"{name}: {reason}; trying again in {wait:g} s")
        sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
