"""From an event to words: which of its heard parameters are said, and how, in a clause, a gerund or a noun phrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .events import LEVELS, Event
from .kinds import KINDS
from .words import WORDS, Clause, Words

T = TypeVar("T")
ADJECTIVES = {
    ("pitch", -1): ("low-pitched",),
    ("pitch", 1): ("high-pitched",),
    ("rate", -1): ("slow",),
    ("rate", 1): ("rapid", "fast"),
    ("loudness", -1): ("faint", "quiet", "soft"),
    ("loudness", 1): ("loud",),
    ("distance", -1): ("nearby",),
    ("distance", 1): ("distant", "faraway"),
    ("length", -1): ("brief", "short"),
    ("length", 1): ("long", "prolonged"),
}
ADVERBS = {
    ("rate", -1): ("slowly", "at a slow pace"),
    ("rate", 1): ("quickly", "rapidly", "at a fast pace"),
    ("loudness", -1): ("faintly", "softly", "quietly"),
    ("loudness", 1): ("loudly",),
    ("distance", -1): ("nearby", "close by"),
    ("distance", 1): ("in the distance", "far away"),
    ("length", -1): ("briefly", "for a moment"),
    ("length", 1): ("for a long time", "for a while"),
}
SUBJECTS = ADJECTIVES | {("loudness", -1): ("faint", "quiet")}  # a person or a thing is not "soft"
TIMES = {1: "once", 2: "twice", 3: "three times", 4: "four times"}
NUMBERS = {1: "a single", 2: "two", 3: "three", 4: "four"}
PLACES = ("nearby", "close by", "in the distance", "far away")


@dataclass(frozen=True, slots=True)
class Phrase:
    """One event in words. again, again_gerund: the same once more ("the dog barks"), without its parameters."""

    finite: str
    gerund: str
    noun: str
    again: str
    again_gerund: str
    again_noun: str


def say_event(
    event: Event,
    rng: np.random.Generator,
    must: str | None = None,
    chance: float = 0.6,
    ongoing: bool = False,
) -> Phrase:
    """Put an event into words that are true of it.

    must: a parameter that is said in any case; the others that are heard are said with this chance, two at most.
    ongoing: allow "is barking", which does not go with what comes before or after it.
    """
    words = WORDS[event.kind]
    facts = [name for name in heard(event) if name != must and rng.random() < chance]
    facts = [facts[i] for i in rng.permutation(len(facts))][: 1 if must else 2]
    facts += [must] if must else []
    ongoing = ongoing and "count" not in facts
    clause = pick(
        rng, [row for row in words.clauses if ongoing or not row.verb.startswith(("is ", "are "))]
    )
    noun = pick(rng, words.nouns)
    plain = definite(clause.subject)
    subject, adverbs = _clause_parts(event, rng, facts, words, clause)
    return Phrase(
        clause.finite(*adverbs, subject=subject),
        clause.gerund(*adverbs, subject=subject),
        _noun(event, rng, facts, words, noun),
        clause.finite(subject=plain),
        clause.gerund(subject=plain),
        noun,
    )


def heard(event: Event) -> list[str]:
    """The parameters of an event that can be said, as they are not unremarkable."""
    names = [name for name in LEVELS if getattr(event, name)]
    return (
        [*names, "count"]
        if event.count is not None and "count" in KINDS[event.kind].parameters
        else names
    )


def _clause_parts(
    event: Event, rng: np.random.Generator, facts: list[str], words: Words, clause: Clause
) -> tuple[str, list[str]]:
    """The subject with at most one adjective, and the adverbs: manner first, then number, then place."""
    subject, adverbs = clause.subject, {}
    for name in facts:
        if name == "count":
            adverbs[2] = TIMES[event.count or 1]
            continue
        level = getattr(event, name)
        modest = subject == clause.subject and rng.random() < 0.5
        if name == "pitch":
            index = 0 if level < 0 else 1
            if words.body and subject == clause.subject and (modest or clause.takes == "none"):
                subject = with_adjective(subject, words.body[index])
            elif clause.takes == "any" and modest:
                subject = with_adjective(subject, pick(rng, SUBJECTS[name, level]))
            else:
                adverbs[3] = words.voice[index]
        elif modest and (
            (name == "loudness" and clause.takes == "any")
            or (name == "distance" and clause.takes != "none")
        ):
            subject = with_adjective(subject, pick(rng, SUBJECTS[name, level]))
        else:
            quick = name == "rate" and level > 0 and "count" in facts
            said = "in quick succession" if quick else pick(rng, ADVERBS[name, level])
            adverbs[1 if said.endswith("ly") else 4 if said in PLACES else 3] = said
    return subject, [adverbs[place] for place in sorted(adverbs)]


def _noun(event: Event, rng: np.random.Generator, facts: list[str], words: Words, noun: str) -> str:
    """A noun phrase with the same facts; a count turns it into strokes ("three slow knocks on a door")."""
    said = [pick(rng, ADJECTIVES[name, getattr(event, name)]) for name in facts if name != "count"]
    if "count" in facts and words.stroke:
        one, many, rest = words.stroke
        count = event.count or 1
        return " ".join(filter(None, (NUMBERS[count], *said, one if count == 1 else many, rest)))
    for adjective in said:
        noun = with_adjective(noun, adjective)
    return noun


def with_adjective(phrase: str, adjective: str) -> str:
    """ "a siren" and "emergency" to "an emergency siren"; "rain" and "faint" to "faint rain"."""
    first, _, rest = phrase.partition(" ")
    if first in ("a", "an"):
        return f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective} {rest}"
    return f"the {adjective} {rest}" if first == "the" else f"{adjective} {phrase}"


def definite(subject: str) -> str:
    """A subject that was spoken of before: "a dog" to "the dog"."""
    first, _, rest = subject.partition(" ")
    return f"the {rest}" if first in ("a", "an") else subject


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]
