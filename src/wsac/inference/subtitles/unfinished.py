"""Spans of a file that is not done: after Ctrl-C or a crash the next run goes on behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wsac.data.audio.audio_options import AudioOptions
from wsac.data.audio.stream import AudioStream
from wsac.inference.sound_results import Tag
from wsac.inference.spans.span import Span
from wsac.io.locks import alone_in
from wsac.types import WsacError


class Unfinished:
    """A hidden file of spans beside the subtitles to come, a JSON object a line.

    facts: what they depend on, such as size and time of the sound; others begin anew. spans: of an
    earlier run. position: seconds from which on to listen. Held until it is closed: raises
    WsacError while another process makes these subtitles, and where it cannot be written.
    """

    def __init__(self, target: Path, facts: dict[str, Any]) -> None:
        self.path = target.with_name(f".{target.name}.unfinished")
        self._held = ExitStack()
        self._held.enter_context(alone_in(target.parent, lock_name=f".{target.name}.lock"))
        self._head = json.dumps(facts, sort_keys=True)
        self.spans: list[Span] = []
        lines = self._lines()
        if lines[:1] == [self._head]:
            self.spans = [span for line in lines[1:] if (span := _span(line)) is not None]
        self.position = max((span.start for span in self.spans), default=0.0)
        # what starts there is looked for again: more may start at the same time
        self.spans = [span for span in self.spans if span.start < self.position]
        try:
            self._file = self.path.open("w", encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            self._held.close()
            what = f"cannot write here ({error.strerror}); give --out a folder"
            raise WsacError(f"{self.path.parent}: {what}") from error
        try:
            self._write(self._head, *(json.dumps(asdict(span)) for span in self.spans))
        except WsacError:
            self.close(done=False)
            raise

    def add(self, span: Span) -> None:
        """Keep a span at once, and count it among ``spans``."""
        self.spans.append(span)
        self._write(json.dumps(asdict(span)))

    def close(self, *, done: bool) -> None:
        """done: the file is not needed any more; nor is it before the first span."""
        with self._held:
            with suppress(OSError):  # of a full disk, which was told already
                self._file.close()
            if done or not self.spans:
                self.path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:
            return []

    def _write(self, *lines: str) -> None:
        try:
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()
        except OSError as error:
            what = f"cannot write here ({error.strerror}); check the free space"
            raise WsacError(f"{self.path.parent}: {what}") from error


def _span(line: str) -> Span | None:
    """None for a line that was cut short."""
    try:
        values = json.loads(line)
        values["tags"] = tuple(Tag(**tag) for tag in values["tags"])
        return Span(**values)
    except (ValueError, TypeError, KeyError):
        return None


class LateStream(AudioStream):
    """A sound from a time on, which is its second 0. What lies before is decoded and dropped.

    on_seconds: told the seconds of the whole sound that were read, block by block.
    """

    def __init__(
        self,
        audio: Any,
        sample_rate: int,
        options: AudioOptions,
        start: float = 0.0,
    ) -> None:
        super().__init__(audio, sample_rate, options)
        self._start = round(start * sample_rate)
        self.on_seconds: Callable[[float], object] = lambda seconds: None

    @property
    def seconds(self) -> float:
        return max(0.0, super().seconds - self._start / self.sample_rate)

    def __iter__(self) -> Any:
        skip = self._start
        while (block := next(self, None)) is not None:
            self.on_seconds(self._samples / self.sample_rate)
            left, skip = block[skip:], max(0, skip - len(block))
            if len(left):
                yield np.ascontiguousarray(left)
