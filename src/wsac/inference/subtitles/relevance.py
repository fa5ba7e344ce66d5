"""Which sounds get a cue, and when one that goes on is mentioned again."""

from __future__ import annotations

import math
import re
from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from wsac.inference.spans.span import Span
from wsac.inference.spans.thresholds import DEFAULT
from wsac.types import RecipeError

from .cues import LONGEST, REPEATED, SKIPPED, SURROUNDINGS, UNSURE, Wish
from .event_phrase import event_phrase
from .video_facts import NoCut
from .wording import STYLES, same_sound, style_named, wordings

SALIENT = 12.0  # dB above what is around: certainly noticed
FORGOTTEN = 60.0  # seconds after which a sound counts as new by 1/e
RECURRING = 2  # times that an event of the background counts
SAME = 10.0  # seconds between two spans of one sound that goes on
REMIND = 60.0  # seconds before "[rain continues]"
BETWEEN = re.compile(
    r"[,;.]|\b(?:as|while|whilst|when|before|after|then|and|with|followed by|accompanied by)\b",
    re.IGNORECASE,
)
OF_KIND = {
    "speech": r"sp(?:ea|o)k\w*|speech|talk\w*|sa(?:ys?|id)|convers\w+|narrat\w+|announc\w+|voices?",
    "music": r"music\w*|s[aiu]ngs?|singing|songs?|melod\w+|guitars?|pianos?|violins?|flutes?",
}


@dataclass(frozen=True, slots=True)
class CueOptions:
    """What becomes a cue, and how it is written.

    style: one of STYLES. sensitivity: 0 to 1; at 1 every event, however unsure, and a steady sound
    once. skip: kinds that are left out, "speech" or "music". min_confidence: for sounds whose
    confidence is known. onomatopoeia: with a second line such as "woof, woof". Raises RecipeError
    for impossible values.
    """

    style: str = "sdh"
    sensitivity: float = 0.5
    skip: Sequence[str] = ()
    min_confidence: float = 0.0
    onomatopoeia: bool = False

    @property
    def least(self) -> float:
        """The confidence below which a sound has no cue."""
        return max(self.min_confidence, DEFAULT.confidence if self.sensitivity < 1 else 0.0)

    def __post_init__(self) -> None:
        style_named(self.style)
        for name in ("sensitivity", "min_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name.replace('_', ' ')} {getattr(self, name):g}: give 0 to 1")
        for kind in self.skip:
            if kind not in OF_KIND:
                raise RecipeError(f"skip {kind!r}: give {' or '.join(OF_KIND)}")


class Relevance:
    """How much a sound matters, by what came before it in the file.

    1 for the first of its kind; less the more often it came of late, unless it stands out. What
    comes again and again in the background does not stand out, and counts more.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}  # to (count that fades, seconds)

    def __call__(self, span: Span, sound: str) -> float:
        count, when = self._seen.get(sound, (0.0, span.start))
        count *= math.exp(-max(0.0, span.start - when) / FORGOTTEN)
        self._seen[sound] = count + (RECURRING if span.background else 1), span.start
        salience = 0.0 if span.background else min(max(span.prominence / SALIENT, 0.0), 1.0)
        return 1 - (1 - salience) * (1 - 1 / (1 + count))


@dataclass(slots=True)
class _Ongoing:
    """A sustained sound: its span that ends last. shown: when its last cue came. changed: when
    something else came after that; None for never."""

    span: Span
    shown: float
    changed: float | None = None

    def due(self, seconds: float) -> bool:
        """Whether it should be mentioned again at a time."""
        return self.changed is not None and seconds - self.shown >= REMIND


def wishes(
    spans: Iterable[Span],
    options: CueOptions,
    cuts: Iterable[float] = (),
    left_out: Counter[str] | None = None,
) -> Iterator[Wish]:
    """The cues that spans should get, in the order of their starts; spans come in that order.

    cuts: seconds of cuts of the video; an iterator gives them in order, and only when it is asked.
    A sustained sound gets one cue. Another, "[rain continues]", comes REMIND seconds later or more,
    once something changed: a cut of the video, or another cue. left_out: counts what gets none, by
    its reason.
    """
    left_out = Counter() if left_out is None else left_out
    style, relevance = STYLES[options.style], Relevance()
    ongoing: dict[str, _Ongoing] = {}
    ahead = iter(sorted(cuts) if isinstance(cuts, Collection) else cuts)
    changes: list[tuple[float, str]] = []  # with the sound that changes nothing
    seen = 0.0  # seconds of the last cut

    def reminders(until: float) -> Iterator[Wish]:
        nonlocal seen
        while seen < until and (cut := next(ahead, None)) is not None:
            seen = max(seen, cut)
            if not isinstance(cut, NoCut):
                insort(changes, (seen, ""))
        while changes and changes[0][0] < until:
            seconds, name = changes.pop(0)
            for sound, state in ongoing.items():
                if sound == name or seconds <= state.shown:
                    continue
                state.changed = seconds
                if state.due(seconds) and seconds < state.span.end - LONGEST / 100:
                    state.shown, state.changed = seconds, None
                    words = without_kinds(state.span.text, options.skip)
                    texts = wordings(words, style, sustained=True, again=True)
                    yield Wish(seconds, texts, state.span)

    for span in spans:
        text = "" if span.kind in options.skip else without_kinds(span.text, options.skip)
        if span.text and not text:
            left_out[SKIPPED] += 1
            continue
        unsure = span.confidence is not None and span.confidence < options.least
        if unsure or not text.strip():
            left_out[UNSURE] += 1
            continue
        yield from reminders(span.start)
        name = same_sound(text)
        known = ongoing.get(name)
        before = known is not None and span.background < known.span.background
        part = known is not None and (before or not span.sustained) and span.start < known.span.end
        part = part and (span.background or span.sustained or span.prominence < SALIENT)
        if part and options.sensitivity < 1:
            left_out[SURROUNDINGS] += 1
            continue
        again = known is not None and span.sustained and span.start - known.span.end <= SAME
        matters = relevance(span, name) >= 1 - options.sensitivity
        if again and not part and known is not None:
            known.span = max(known.span, span, key=lambda part: part.end)
            if not known.due(span.start):
                continue  # its first cue stands for it
        elif not matters:
            left_out[REPEATED] += 1
            continue
        if span.sustained and not part:
            ongoing[name] = _Ongoing(known.span if again and known else span, span.start)
        insort(changes, (span.end, name))
        texts = wordings(
            text,
            style,
            sustained=span.sustained or span.background,
            onomatopoeia=options.onomatopoeia,
            again=again and not part,
        )
        yield Wish(span.start, texts, span)
    yield from reminders(math.inf)


def without_kinds(caption: str, kinds: Collection[str]) -> str:
    """What a caption tells besides speech or music: "a cat is crying" of "A man speaking while a
    cat is crying". "" when nothing else is there; a caption of other sounds stays as it is.

    kinds: "speech" or "music", as in CueOptions.skip.
    """
    words = "|".join(OF_KIND[kind] for kind in kinds if kind in OF_KIND)
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    if not words or not pattern.search(caption):
        return caption
    for clause in BETWEEN.split(caption):
        if clause and clause.strip() and not pattern.search(clause):
            phrase = event_phrase(clause)
            if phrase.verb or phrase.doing:
                return clause.strip()
    return ""
