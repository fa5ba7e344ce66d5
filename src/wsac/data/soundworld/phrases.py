"""From an event to words: which of its parameters are mentioned, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from .kinds import KINDS
from .scene import LEVELS, Event, read_table
from .words import WORDS, Clause, Words

T = TypeVar("T")
_TABLE = read_table("phrases")
# parameter → words for the lower and the higher level
ADJECTIVES: dict[str, list[list[str]]] = _TABLE["adjectives"]
SUBJECT_ADJECTIVES = ADJECTIVES | _TABLE["subject_adjectives"]
ADVERBS: dict[str, list[list[str]]] = _TABLE["adverbs"]
TIMES, NUMBERS = _TABLE["counts"]["adverbs"], _TABLE["counts"]["adjectives"]
PLACES = {word for words in ADVERBS["distance"] for word in words}


class Phrase(NamedTuple):
    """One event in words, in three forms, and the same repeated ("the dog barks")."""

    clause: str
    gerund: str
    noun: str
    clause_again: str
    gerund_again: str
    noun_again: str


def say_event(
    event: Event,
    rng: np.random.Generator,
    must: str | None = None,
    chance: float = 0.6,
    ongoing: bool = False,
) -> Phrase:
    """Put an event into words that are true of it.

    must: a parameter to mention in any case. chance: of every other notable parameter; at most two
    are mentioned. ongoing: allow "is barking", which does not fit before or after another event.
    """
    words = WORDS[event.kind]
    facts = [name for name in notable(event) if name != must and rng.random() < chance]
    facts = [facts[i] for i in rng.permutation(len(facts))][: 1 if must else 2]
    facts += [must] if must else []
    progressive = ("is ", "are ") if not ongoing or "count" in facts else ()
    clause = pick(rng, [row for row in words.clauses if not row.verb.startswith(progressive)])
    noun, plain = pick(rng, words.nouns), definite(clause.subject)
    subject, adverbs = _clause_parts(event, rng, facts, words, clause)
    finite, gerund = (clause.finite(subject, *adverbs), clause.gerund(subject, *adverbs))
    again = clause.finite(plain), clause.gerund(plain), noun
    return Phrase(finite, gerund, _noun(event, rng, facts, words, noun), *again)


def notable(event: Event) -> list[str]:
    """The parameters of an event that can be mentioned because they are not unremarkable."""
    names = [name for name in LEVELS if getattr(event, name)]
    counted = event.count is not None and "count" in KINDS[event.kind].parameters
    return [*names, "count"] if counted else names


def _clause_parts(
    event: Event, rng: np.random.Generator, facts: list[str], words: Words, clause: Clause
) -> tuple[str, list[str]]:
    """The subject with at most one adjective, and the adverbs: manner, then number, then place."""
    subject, adverbs = clause.subject, {}
    for name in facts:
        if name == "count":
            adverbs[2] = TIMES[(event.count or 1) - 1]
            continue
        high = getattr(event, name) > 0
        bare = subject == clause.subject
        modest = bare and rng.random() < 0.5
        if name == "pitch" and words.body and bare and (modest or clause.takes == "none"):
            subject = with_adjective(subject, words.body[high])
        elif modest and _fits(name, clause.takes):
            subject = with_adjective(subject, pick(rng, SUBJECT_ADJECTIVES[name][high]))
        elif name == "pitch":
            adverbs[3] = words.voice[high]
        else:
            quick = name == "rate" and high and "count" in facts
            adverb = "in quick succession" if quick else pick(rng, ADVERBS[name][high])
            adverbs[1 if adverb.endswith("ly") else 4 if adverb in PLACES else 3] = adverb
    return subject, [adverbs[place] for place in sorted(adverbs)]


def _fits(parameter: str, takes: str) -> bool:
    """Whether an adjective of a parameter fits a subject that takes such adjectives."""
    if parameter == "distance":
        return takes != "none"
    return parameter in ("pitch", "loudness") and takes == "any"


def _noun(event: Event, rng: np.random.Generator, facts: list[str], words: Words, noun: str) -> str:
    """A noun phrase with the same facts. A count makes it strokes: "three knocks on a door"."""
    levels = [name for name in facts if name != "count"]
    adjectives = [pick(rng, ADJECTIVES[name][getattr(event, name) > 0]) for name in levels]
    if "count" in facts and words.stroke:
        singular, plural, rest = words.stroke
        count = event.count or 1
        parts = (NUMBERS[count - 1], *adjectives, singular if count == 1 else plural, rest)
        return " ".join(filter(None, parts))
    for adjective in adjectives:
        noun = with_adjective(noun, adjective)
    return noun


def with_adjective(phrase: str, adjective: str) -> str:
    """Add an adjective: "a siren", "emergency" to "an emergency siren"; "rain" to "faint rain"."""
    article, _, rest = phrase.partition(" ")
    if article in ("a", "an"):
        return f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective} {rest}"
    return f"the {adjective} {rest}" if article == "the" else f"{adjective} {phrase}"


def definite(subject: str) -> str:
    """A subject that is mentioned again: "a dog" to "the dog"."""
    article, _, rest = subject.partition(" ")
    return f"the {rest}" if article in ("a", "an") else subject


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of these choices at random."""
    return choices[int(rng.integers(len(choices)))]
