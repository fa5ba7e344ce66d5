"""Cues in time: how long each is shown, and what becomes of two sounds at once.

The laws of the trade, true of every cue: at most 2 lines of 42 characters, 5/6 s to 7 s, at most 17
characters a second, and 2 frames between cues (Netflix Timed Text Style Guide, General
Requirements). Times are whole hundredths of a second, so that they hold in every format.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from wsac.inference.spans.span import Span
from wsac.io.console import count_of
from wsac.types import RecipeError, did_you_mean

from .wording import same_sound

SHORTEST, LONGEST = 84, 700  # hundredths of a second; 84 is the first above 5/6 s
SPEED = 17  # characters a second
LATE = 100  # hundredths by which the cue of an abrupt sound may come after it
TOGETHER = 100  # hundredths between the starts of two sounds that share a cue
NEVER = 1 << 60

# why a sound has no cue
UNSURE, REPEATED, SURROUNDINGS = "unsure", "repeated", "like their surroundings"
NO_ROOM, SKIPPED = "without room", "speech or music"
SHOWN_AT_ONE = (UNSURE, REPEATED, SURROUNDINGS)  # by the highest sensitivity
REASONS = (*SHOWN_AT_ONE, NO_ROOM, SKIPPED)

Interval = tuple[int, int]
Place = Literal["gaps", "line"]


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from start to end, in seconds. text: 1 or 2 lines. spans: what it is about.

    aside: not where speech stands, which is shown then or two frames before or after.
    """

    start: float
    end: float
    text: str
    spans: tuple[Span, ...] = ()
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """A cue to place. texts: its wordings, the fullest first. start: seconds. span: its sound."""

    start: float
    texts: Sequence[str]
    span: Span


@dataclass(frozen=True, slots=True)
class _Draft:
    """A cue that the next one may still shorten. All times in hundredths.

    until: when the sound ends. limit: the end of the gap between speech that it lies in.
    """

    start: int
    end: int
    texts: tuple[str, ...]
    spans: tuple[Span, ...]
    limit: int

    def ended_by(self, end: int) -> _Draft | None:
        """The same ending by ``end``, with a shorter text if need be; None if none is so short."""
        for i, text in enumerate(self.texts):
            if self.start + time_to_read(text) <= end:
                return replace(self, end=min(self.end, end), texts=self.texts[i:])
        return None


def check_place(place: str) -> None:
    """Raises RecipeError for what is no Place."""
    if place not in get_args(Place):
        hint = did_you_mean(place, get_args(Place))
        raise RecipeError(f"place {place!r}: {hint}there are {', '.join(get_args(Place))}")


def time_to_read(text: str) -> int:
    """Hundredths of a second that a text must be shown."""
    return max(SHORTEST, math.ceil(100 * len(text.replace("\n", "")) / SPEED))


class CueLayout:
    """Places wishes, in the order of their starts, and yields cues as soon as they are settled.

    busy: seconds [start, end] of speech. place: "gaps" between speech only, or also on a "line" of
    its own, where there is none. frame_rate: of the video. left_out: counts wishes without room.
    """

    def __init__(
        self,
        busy: Iterable[tuple[float, float]] = (),
        frame_rate: float = 24.0,
        place: Place = "gaps",
    ) -> None:
        check_place(place)
        if not 1 <= frame_rate <= 1000:
            raise RecipeError(f"frame rate {frame_rate:g}: give frames a second, such as 25")
        self.gap = math.ceil(200 / frame_rate)
        self.left_out: Counter[str] = Counter()
        self._free = _free(busy, self.gap)
        self._ends = [end for _, end in self._free]
        self._starts = [start for start, _ in self._free]
        self._aside = [(0, NEVER)] if place == "line" else []

    def place(self, wishes: Iterable[Wish]) -> Iterator[Cue]:
        """Cues of the wishes, in order, none overlapping another, nor speech unless ``aside``."""
        draft: _Draft | None = None
        for wish in wishes:
            before, draft = self._next(draft, wish)
            if before is not None:
                yield self._cue(before)
        if draft is not None:
            yield self._cue(draft)

    def _cue(self, draft: _Draft) -> Cue:
        low, high = self._free[bisect_left(self._ends, draft.end)]
        aside = not low <= draft.start <= draft.end <= high
        return Cue(draft.start / 100, draft.end / 100, draft.texts[0], draft.spans, aside)

    def _next(self, draft: _Draft | None, wish: Wish) -> tuple[_Draft | None, _Draft | None]:
        """(the cue before, now settled; the cue that is open now)."""
        start = max(0, round(100 * wish.start))
        if draft is None or draft.end + self.gap <= start:
            if placed := self._placed(wish, start):
                return draft, placed
            self.left_out[NO_ROOM] += 1
            return None, draft
        if same_sound(wish.span.text) in map(same_sound, (span.text for span in draft.spans)):
            until = min(round(100 * wish.span.end), draft.start + LONGEST, draft.limit)
            spans = (*draft.spans, wish.span)
            return None, replace(draft, end=max(draft.end, until), spans=spans)
        ended = draft.ended_by(start - self.gap)
        if ended and (placed := self._placed(wish, start)):
            return ended, placed
        if both := self._both(draft, wish, start):
            return None, both
        shortest = draft.ended_by(draft.start + min(map(time_to_read, draft.texts)))
        assert shortest is not None
        for ended in (draft.ended_by(draft.start + time_to_read(draft.texts[0])), shortest):
            if ended and (placed := self._placed(wish, max(start, ended.end + self.gap))):
                return ended, placed
        self.left_out[NO_ROOM] += 1
        return None, draft

    def _placed(self, wish: Wish, earliest: int) -> _Draft | None:
        """The wish in the first gap that has room, while its sound lasts or just after; with a
        line of its own, it waits for a gap no longer than LATE."""
        until = round(100 * wish.span.end)
        soon = round(100 * wish.start) + LATE
        latest = max(soon, until - SHORTEST)
        first = bisect_left(self._ends, earliest)
        last = bisect_right(self._starts, soon if self._aside else latest)
        for low, limit in (*self._free[first:last], *self._aside):
            start = max(low, earliest)
            if start > latest:
                return None
            end = min(max(until, start + time_to_read(wish.texts[0])), start + LONGEST, limit)
            draft = _Draft(start, end, tuple(wish.texts), (wish.span,), limit)
            if fitting := draft.ended_by(end):
                return fitting
        return None

    def _both(self, draft: _Draft, wish: Wish, start: int) -> _Draft | None:
        """Two sounds that begin together, a line each."""
        single = [[t for t in texts if "\n" not in t] for texts in (draft.texts, wish.texts)]
        if not all(single) or start - draft.start > TOGETHER or single[0][0] == single[1][0]:
            return None
        until = max(round(100 * span.end) for span in (*draft.spans, wish.span))
        texts = tuple(dict.fromkeys((f"{a}\n{b}") for a in single[0] for b in single[1]))
        texts = tuple(sorted(texts, key=len, reverse=True))
        end = min(max(until, draft.start + time_to_read(texts[0])), draft.start + LONGEST)
        end = min(end, draft.limit)
        both = replace(draft, texts=texts, spans=(*draft.spans, wish.span), end=end)
        return both.ended_by(end)


def _free(busy: Iterable[tuple[float, float]], gap: int) -> list[Interval]:
    """The gaps between speech, in hundredths, ``gap`` away from it. The last has no end."""
    free, start = list[Interval](), 0
    for low, high in sorted((min(pair), max(pair)) for pair in busy):
        end = math.floor(100 * low) - gap
        if end - start >= SHORTEST:
            free.append((start, end))
        start = max(start, math.ceil(100 * high) + gap)
    return [*free, (start, NEVER)]


def left_out_words(left_out: Mapping[str, int], sensitivity: float = 1.0) -> str:
    """ "3 sounds left out: 2 unsure, 1 repeated (--sensitivity 1 shows these)"; "" for none.

    left_out: counts by reason, of REASONS. sensitivity: with which they were left out.
    """
    counts = [(left_out[reason], reason) for reason in REASONS if left_out.get(reason)]
    if not counts:
        return ""
    words, others = (
        ", ".join(f"{n:,} {reason}" for n, reason in counts if (reason in SHOWN_AT_ONE) is wanted)
        for wanted in (True, False)
    )
    if words and sensitivity < 1:
        words += " (--sensitivity 1 shows these)"
    rest = ", ".join(filter(None, (words, others)))
    return f"{count_of(sum(n for n, _ in counts), 'sound')} left out: {rest}"
