"""The spans of a sound of any length, while it is read: events, and backgrounds behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from wsac.arrays import Tensor, torch
from wsac.clap import ClapEncoder
from wsac.data.audio.stream import SILENCE_PEAK, AudioStream
from wsac.runtime.cpus import read_ahead, usable_cpus

from .background import LONGEST, changes_in, sample_of
from .floor import BLOCK
from .joining import REACH, join, recurs
from .rising import Reel, risings
from .runs import Run, runs_of
from .span import Passage
from .spectrum import FRAME
from .thresholds import DEFAULT, Thresholds

SUSTAINED = 1.0  # seconds that something lasts at least, to go on
CONTEXT = 1.0  # seconds that runs are compared by, at least
EVENTS = 2  # times ``longest``: what goes on for longer is a background
EVEN = 12.0  # dB below its loudest frames: what goes on is louder than this half of the time


def find_spans(clap: ClapEncoder, stream: AudioStream) -> Iterator[Passage]:
    """The spans of a sound in the order of their start, at most two minutes behind what is read.

    Memory does not grow with its length. Raises AudioError.
    """
    for passages, _ in find_by_steps(clap, stream, ahead=True):
        yield from passages


def find_by_steps(
    clap: ClapEncoder, stream: AudioStream, numbers: Thresholds = DEFAULT, *, ahead: bool = False
) -> Iterator[tuple[list[Passage], float]]:
    """What ``find_spans`` gives, as a list for every few seconds that are read, often empty, and
    the seconds that were read for it.

    ahead: read files in another thread, where there is a second core.
    """
    search = _Search(clap, stream.sample_rate, numbers)
    parts = risings(stream, stream.sample_rate, numbers)
    # a pipe may keep silent, and its reader could not be stopped
    ahead = ahead and usable_cpus() > 1 and Path(stream.file).is_file()
    for rising in read_ahead(parts) if ahead else parts:
        search.reel.add(rising)
        yield search.advance(), rising.read
    seconds = stream.seconds  # the last frame reaches beyond it
    rest = [passage for passage in search.advance(over=True) if passage.start < seconds]
    yield [replace(passage, end=min(passage.end, seconds)) for passage in rest], seconds


class _Search:
    """What is known of a sound so far, and what has been decided."""

    def __init__(self, clap: ClapEncoder, sample_rate: int, numbers: Thresholds) -> None:
        self.clap, self.numbers = clap, numbers
        self.sample_rate = sample_rate
        self.reel = Reel(round(sample_rate * FRAME))
        self.undecided = 0  # events from this frame on are not known yet
        self.stretch = 0  # the frame where the present background began
        self.events: list[Run] = []  # that may lie over the present background
        self.waiting: list[Passage] = []  # for what begins before them, or may sound like them
        self.recent: list[Passage] = []  # events by which these are known to recur

    def advance(self, over: bool = False) -> list[Passage]:
        """What can be told by now. over: the sound has ended."""
        end = self._decided_until(over)
        if end > self.undecided:
            self._add_events(self.undecided, end)
            self.undecided = end
        self._add_backgrounds(over)
        ready = self._ready(over)
        self.reel.drop(min(self.undecided, self.stretch))
        return ready

    def _ready(self, over: bool) -> list[Passage]:
        """The passages that nothing can precede or make a background any more."""
        known, decided = min(self.undecided, self.stretch) * FRAME, self.undecided * FRAME
        self.waiting.sort(key=lambda passage: passage.start)
        ready: list[Passage] = []
        for passage in self.waiting:
            judged = passage.background or passage.end + REACH <= decided
            if not over and (passage.start >= known or not judged):
                break
            behind = passage.background or recurs(passage, self.recent)
            ready.append(replace(passage, background=behind))
        self.waiting = self.waiting[len(ready) :]
        oldest = self.waiting[0].start if self.waiting else known
        self.recent = [event for event in self.recent if event.end > oldest - REACH]
        return ready

    def _decided_until(self, over: bool) -> int:
        """The middle of the last long pause, or the faintest frame where there is none for long."""
        reel, pause = self.reel, round(self.numbers.join_pause / FRAME)
        if over:
            return reel.end
        excess = reel.series("excess", self.undecided, reel.end)
        loud = np.flatnonzero(excess > self.numbers.go_on)
        edges = np.concatenate(([-1], loud, [len(excess)]))
        gaps = np.flatnonzero(np.diff(edges) > pause)
        if len(gaps):
            return self.undecided + int(edges[gaps[-1]] + 1 + edges[gaps[-1] + 1]) // 2
        if len(excess) * FRAME < LONGEST:
            return self.undecided
        half = len(excess) // 2
        return self.undecided + half + int(excess[half:].argmin())

    def _add_events(self, start: int, end: int) -> None:
        excess = self.reel.series("excess", start, end)
        runs = [(start + a, start + b) for a, b in runs_of(excess, self.numbers)]
        runs = [run for run in runs if self._peak(run) >= SILENCE_PEAK]
        if not runs:
            return
        reel = self.reel
        embeddings = self._embed([with_context(run, reel.first, reel.end) for run in runs])
        groups = join(runs, embeddings, self.numbers)
        events = [(runs[group[0]][0], runs[group[-1]][1]) for group in groups]
        several = [place for place, group in enumerate(groups) if len(group) > 1]
        embeddings = embeddings[[group[0] for group in groups]]
        if several:
            embeddings[several] = self._embed([events[place] for place in several])
        self.events += events
        for event, embedding in zip(events, embeddings, strict=True):
            goes_on = (event[1] - event[0]) * FRAME > EVENTS * self.numbers.longest
            passage = replace(self._passage(event, embedding), background=goes_on)
            self.waiting.append(passage)
            if not goes_on:
                self.recent.append(passage)

    def _add_backgrounds(self, over: bool) -> None:
        """Add the stretches of background whose end is known."""
        reel, numbers = self.reel, self.numbers
        margin = 0 if over else round(numbers.steady / 2 / FRAME)
        change = reel.series("change", self.stretch, reel.end)
        places = changes_in(change, numbers, BLOCK * FRAME)
        ends = [self.stretch + place * BLOCK for place in places]
        ends = [end for end in ends if self.stretch < end <= self.undecided - margin]
        ends += [self.undecided] * over
        for end in ends:
            self._add_background(end)
        while (self.undecided - margin - self.stretch) * FRAME > LONGEST:
            self._add_background(self.stretch + round(LONGEST / FRAME))

    def _add_background(self, end: int) -> None:
        stretch, reel = (self.stretch, end), self.reel
        self.stretch = end
        if end <= stretch[0]:
            return
        short = (end - stretch[0]) * FRAME < self.numbers.steady
        if short and not (stretch[0] == 0 and end == reel.end):
            return
        part = sample_of(stretch, self.events, reel.series("power", *stretch), FRAME)
        self.events = [event for event in self.events if event[1] > end]
        if part is None or _decibels(reel.series("samples", *part)) < self.numbers.faintest:
            return
        passage = self._passage(part, self._embed([part])[0])
        start, over = round(stretch[0] * FRAME, 3), round(end * FRAME, 3)
        whole = replace(passage, start=start, end=over, prominence=0.0)
        self.waiting.append(replace(whole, sustained=True, background=True))

    def _passage(self, run: Run, embedding: Tensor) -> Passage:
        reel = self.reel
        power, floor = reel.series("power", *run), reel.series("floor_power", *run)
        even = float((power > np.quantile(power, 0.9) - EVEN).mean()) > 0.5
        return Passage(
            round(run[0] * FRAME, 3),
            round(run[1] * FRAME, 3),
            embedding,
            _decibels(reel.series("samples", *run)),
            _mean_power(power) - _mean_power(floor),
            even and (run[1] - run[0]) * FRAME >= SUSTAINED,
        )

    def _embed(self, runs: list[Run]) -> Tensor:
        return self.clap.embed_audio([torch.from_numpy(x) for x in self.reel.samples(runs)])

    def _peak(self, run: Run) -> float:
        return float(np.abs(self.reel.series("samples", *run)).max(initial=0.0))


def with_context(run: Run, first: int, last: int) -> Run:
    """At least CONTEXT of sound around a run, from ``first`` to ``last``: less is hard to tell."""
    missing = max(0, round(CONTEXT / FRAME) - (run[1] - run[0])) // 2
    return max(first, run[0] - missing), min(last, run[1] + missing)


def _decibels(samples: np.ndarray) -> float:
    """RMS in dBFS, at least -120."""
    return 10 * float(np.log10(np.square(samples, dtype=np.float64).mean() + 1e-12))


def _mean_power(power: np.ndarray) -> float:
    return 10 * float(np.log10((10 ** (power / 10)).mean()))
