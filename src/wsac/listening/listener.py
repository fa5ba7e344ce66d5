"""Listens to a sound that does not end: samples go in, labels and events come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from wsac.arrays import torch
from wsac.clap.sounds import AudioEmbedding
from wsac.data.captions.labels import check_labels
from wsac.inference.captioner import Captioner
from wsac.inference.spans.describe_spans import PROMPTS, label_embeddings, label_kinds
from wsac.inference.tagger import Tagger, embed_in_prompts

from .change_point import change_point
from .confirming import Candidate, Confirming
from .listen_options import ListenOptions
from .sample_ring import SampleRing
from .sound_event import Event, Now, State

LIKELIEST = 5  # labels that are told of each window
CAPTIONED = 10.0  # seconds of an event that its caption is about
AT_ONCE = 4.0  # seconds whose windows are embedded together, at most
PART = 0.1  # seconds: what the gate compares
SMALLEST = 1e-12


def live_tagger(
    captioner: Captioner, labels: Sequence[str] = (), also: Sequence[str] = ()
) -> Tagger:
    """A tagger for these labels, else for the built-in list. also: more labels, of rules.

    Raises RecipeError for labels that cannot be used.
    """
    words = list(labels or label_kinds())
    known = {word.casefold() for word in words}
    more = [word for word in dict.fromkeys(also) if word.casefold() not in known]
    if labels:
        return Tagger(captioner.clap, [*words, *more], PROMPTS)
    embeddings = label_embeddings(captioner.clap)
    if more:
        _, texts = check_labels([*words, *more])
        extra = embed_in_prompts(captioner.clap, texts[len(words) :], PROMPTS)
        embeddings = torch.cat((embeddings, extra))
    return Tagger(captioner.clap, [*words, *more], embeddings=embeddings)


class Listener:
    """Takes blocks of samples at the CLAP's rate and tells what sounds in them.

    >>> listener = Listener(captioner, live_tagger(captioner, ["dog", "rain"]))
    >>> for result in listener.feed(block): ...      # Now or Event

    Memory does not grow. clock: seconds since 1970 at the start of the sound, as far as is known
    now; None for a file.
    """

    def __init__(
        self, captioner: Captioner, tagger: Tagger, options: ListenOptions | None = None
    ) -> None:
        self.captioner, self.tagger, self.options = captioner, tagger, options or ListenOptions()
        self.sample_rate = captioner.clap.sample_rate
        self.clock: float | None = None
        window, hop = self.options.window_seconds, self.options.hop_seconds
        self._memory = max(self.options.longest_clip, CAPTIONED) + 5  # seconds before a window ends
        self._ring = SampleRing(round((self._memory + max(window, AT_ONCE)) * self.sample_rate))
        self._size = round(window * self.sample_rate)
        self._hop = round(hop * self.sample_rate)
        self._step = self._hop * max(1, min(8, int(AT_ONCE / hop)))
        self._next = self._size  # where the next window ends
        self._looked = 0  # where the last one ended that was told of
        self._confirming = Confirming(self.options)
        self._starts: dict[int, tuple[float, str]] = {}  # and times of events under way, by number
        self.listened = 0  # windows that the gate let pass

    @property
    def seconds(self) -> float:
        """Of sound so far."""
        return self._ring.end / self.sample_rate

    def feed(self, block: np.ndarray) -> list[Now | Event]:
        """What is known with these samples ``[T]``."""
        results: list[Now | Event] = []
        for place in range(0, len(block), self._step):  # a long block must not push itself out
            self._ring.add(block[place : place + self._step])
            ends = range(self._next, self._ring.end + 1, self._hop)
            self._next += len(ends) * self._hop
            results += self._look(list(ends))
        return results

    def gap(self) -> list[Event]:
        """The sound is interrupted, or over: events end, and windows begin anew."""
        cut = self._looked / self.sample_rate  # what sounds until here has no end of its own
        candidates = self._confirming.end()
        events = [self._event("ended", c, cut if c.last[1] >= cut else None) for c in candidates]
        self._ring.clear()
        self._next, self._looked = self._ring.end + self._size, self._ring.end
        return events

    def finish(self) -> list[Now | Event]:
        """The sound is over. What is left of it is listened to."""
        results = self._look([self._ring.end]) if self._ring.end > self._looked else []
        return [*results, *self.gap()]

    def _look(self, ends: list[int]) -> list[Now | Event]:
        """Listen to the windows that end at these places."""
        windows = [self._ring.part(end - self._size, end) for end in ends]
        audible = [index for index, samples in enumerate(windows) if self._audible(samples)]
        self.listened += len(audible)
        rows = {}
        if audible:
            sounds = [torch.from_numpy(windows[index]) for index in audible]
            embeddings = self.captioner.clap.embed_audio(sounds)
            embedded = [AudioEmbedding(embedding, 0.0, 0.0) for embedding in embeddings]
            rows = dict(zip(audible, self.tagger.tag_embeddings(embedded), strict=True))
        results: list[Now | Event] = []
        for index, (samples, end) in enumerate(zip(windows, ends, strict=True)):
            results += self._tell(samples, end, rows.get(index, []))
        return results

    def _tell(self, samples: np.ndarray, end: int, tags: list) -> Iterator[Now | Event]:
        power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
        self._looked, over = end, end / self.sample_rate
        window = (over - len(samples) / self.sample_rate, over)
        none = self.tagger.none_of(tags)
        yield Now(over, _decibels(power), tuple(tags[:LIKELIEST]), none)
        probabilities = {tag.label: tag.probability for tag in tags}
        for state, candidate in self._confirming.step(window, probabilities, power):
            yield self._event(state, candidate)

    def _event(self, state: State, candidate: Candidate, cut: float | None = None) -> Event:
        """cut: where it ends, if that is known."""
        number, end = candidate.number, None
        if state == "begins":
            edge = self._edge(*candidate.first, rising=True)
            self._starts[number] = edge, self._time_of(edge)
        if number not in self._starts:  # Ctrl-C came first
            self._starts[number] = candidate.first[0], self._time_of(candidate.first[0])
        start, time = self._starts[number]
        if state == "ended":
            del self._starts[number]
            edge = self._edge(*candidate.last, rising=False) if cut is None else cut
            end = max(edge, start + PART)
        loudness = _decibels(candidate.energy / max(1, candidate.windows))
        event = Event(
            state, number, candidate.label, start, end, candidate.best, loudness, time=time
        )
        return self._described(event) if state == "ended" else event

    def _time_of(self, start: float) -> str:
        if self.clock is None:
            return ""
        return datetime.fromtimestamp(self.clock + start).astimezone().isoformat("T", "seconds")

    def _edge(self, start: float, end: float, *, rising: bool) -> float:
        """Where in a window something begins or ends; its own edge where that is not known."""
        start, end = (start - PART, end) if rising else (start, end + PART)
        samples = self._part(start, end)
        if not len(samples):
            return start if rising else end
        begin = max(start, self._ring.first / self.sample_rate)
        return begin + change_point(samples, self.sample_rate, rising=rising)

    def _described(self, event: Event) -> Event:
        """With its caption, and its sound where that is wanted; of a long event, whose start is
        out of memory, from the first sample that is not."""
        options, end = self.options, event.end or event.start
        held = self._looked / self.sample_rate - self._memory
        if options.clips:
            begin = max(event.start - options.before, held)
            until = min(end + options.after, begin + options.longest_clip)
            event = replace(event, sound=self._part(begin, until))
        start = max(event.start, held)
        samples = self._part(start, min(end, start + CAPTIONED))
        if len(samples):
            event = replace(event, loudness=_decibels(float(np.square(samples).mean())))
        if not self._audible(samples):
            return event
        embedding = self.captioner.clap.embed_audio([torch.from_numpy(samples)])
        caption = self.captioner.caption_embeddings(embedding)[0]
        return replace(event, caption=caption.text, caption_confidence=caption.confidence)

    def _part(self, start: float, end: float) -> np.ndarray:
        first, last = (max(0, round(x * self.sample_rate)) for x in (start, end))
        return self._ring.part(first, last)

    def _audible(self, samples: np.ndarray) -> bool:
        """Whether any tenth of a second is above the gate."""
        size = round(PART * self.sample_rate)
        parts = samples[: len(samples) // size * size].reshape(-1, size)
        loudest = float(np.square(parts).mean(axis=1).max(initial=0.0))
        return len(parts) > 0 and _decibels(loudest) > self.options.gate


def _decibels(power: float) -> float:
    return 10 * math.log10(power + SMALLEST)
