"""From blocks of samples to sinks: the loop of ``wsac listen``."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from wsac.io.console import count_of, say
from wsac.types import WsacError

from .event_clips import ClipKeeper
from .listener import Listener
from .sinks import Sink
from .sound_event import Event, Now
from .stream_clock import StreamClock


class ListeningSession:
    """Listens until the blocks or ``seconds`` of sound are over, and passes on the results.

    live: the clock counts, so events have a time. clips: keeps their sound. A sink that fails is
    told about once, and listening goes on; only a closed stdout ends it.
    """

    def __init__(
        self,
        listener: Listener,
        sinks: Sequence[Sink],
        *,
        live: bool = False,
        clips: ClipKeeper | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.listener, self.sinks, self.live = listener, list(sinks), live
        self.clips, self._clock = clips, clock
        self._failed: set[str] = set()
        self.counts: Counter[str] = Counter()  # events that have ended, by label
        self.gaps = 0

    def run(self, blocks: Iterable[np.ndarray | None], seconds: float | None = None) -> None:
        """None among the blocks is an interruption."""
        clock = StreamClock(self._clock)
        for block in blocks:
            if block is None:
                self.gaps, clock = self.gaps + 1, StreamClock(self._clock)
                self._pass_on(self.listener.gap())
                continue
            if self.live:
                arrived = self.listener.seconds + len(block) / self.listener.sample_rate
                self.listener.clock = clock.start_of(arrived)
            if seconds is not None:
                left = seconds - self.listener.seconds
                block = block[: math.ceil(left * self.listener.sample_rate)]
            self._pass_on(self.listener.feed(block))
            if seconds is not None and self.listener.seconds >= seconds:
                return

    def finish(self) -> None:
        """What is under way ends, and the sinks are closed."""
        self._pass_on(self.listener.finish())
        for sink in self.sinks:
            self._try(sink.close)

    def summary(self) -> str:
        total = round(self.listener.seconds)
        clock = f"{total // 3600}:{total // 60 % 60:02}:{total % 60:02}"
        words = [f"listened for {clock}", count_of(self.counts.total(), "event")]
        if self.counts:
            best = ", ".join(f"{label} {count:,}" for label, count in self.counts.most_common(5))
            rest = self.counts.total() - sum(n for _, n in self.counts.most_common(5))
            words[-1] += f" ({best}{f', others {rest:,}' if rest else ''})"
        if self.gaps:
            words.append(count_of(self.gaps, "interruption"))
        return "; ".join(words)

    def _pass_on(self, results: Sequence[Now | Event]) -> None:
        for result in results:
            if isinstance(result, Event):
                if result.state == "ended":
                    self.counts[result.label] += 1
                    result = self._with_clip(result)
                for sink in self.sinks:
                    self._try(sink.event, result)
            else:
                for sink in self.sinks:
                    self._try(sink.now, result)

    def _with_clip(self, event: Event) -> Event:
        stored = self._try(self.clips.store, event) if self.clips else None
        return stored or event

    def _try(self, call: Callable[..., Event | None], *arguments: object) -> Event | None:
        try:
            return call(*arguments)
        except BrokenPipeError:
            raise
        except (WsacError, OSError) as error:
            name = str(getattr(call, "__qualname__", call))
            if name not in self._failed:
                self._failed.add(name)
                say(f"{error}; listening goes on")
            return None
