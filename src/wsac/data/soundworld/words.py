"""The words for each kind of sound: clauses, nouns, and the names of its counted strokes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .kinds import TABLE

MARKS = {"~": "any", "-": "none"}  # before a subject in kinds.toml
PREPOSITIONS = ("on", "in", "over", "at", "into")


@dataclass(frozen=True, slots=True)
class Clause:
    """A sound as subject, verb and rest: "a dog" + "barks" or "barking" + "". All lower case.

    takes: adjectives that fit the subject: "any", "place" ("a distant dog") or "none" ("someone").
    """

    subject: str
    verb: str
    gerund_verb: str
    rest: str = ""
    takes: str = "place"

    def finite(self, subject: str, *adverbs: str) -> str:
        """A whole clause: "a dog barks"."""
        return self._join(subject, self.verb, adverbs)

    def gerund(self, subject: str, *adverbs: str) -> str:
        """A noun phrase: "a dog barking"."""
        return self._join(subject, self.gerund_verb, adverbs)

    def _join(self, subject: str, verb: str, adverbs: tuple[str, ...]) -> str:
        """Place adverbs: "waves crash loudly on the shore", "a car honks its horn loudly"."""
        preposition, _, place = self.rest.partition(" ")
        splits = bool(place) and preposition in PREPOSITIONS
        inner = [word for word in adverbs if splits and word.endswith("ly")]
        outer = [word for word in adverbs if word not in inner]
        words = (subject, verb, *inner, self.rest, *outer)
        return " ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Words:
    """The words for one kind of sound.

    nouns: names of the sound without a verb ("the barking of a dog"), to which any adjective fits.
    stroke: ("bark", "barks", "of a dog"), for kinds that are counted. body: adjectives of the
    subject for a low and a high pitch ("large", "small"), where those of a sound do not fit.
    voice: adverbs for a low and a high pitch ("in a deep voice").
    """

    clauses: tuple[Clause, ...]
    nouns: tuple[str, ...]
    stroke: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    voice: tuple[str, ...] = ("at a low pitch", "at a high pitch")


def _clause(text: str) -> Clause:
    """Read "subject|verb|gerund|rest" with a mark before the subject."""
    subject, verb, gerund, *rest = text.lstrip("~-").split("|")
    return Clause(subject, verb, gerund, "".join(rest), MARKS.get(text[0], "place"))


def _words(row: dict[str, Any]) -> Words:
    fields = {key: tuple(row[key]) for key in ("nouns", "stroke", "body", "voice") if key in row}
    return Words(tuple(_clause(text) for text in row["clauses"]), **fields)


WORDS: dict[str, Words] = {
    name: _words(row) for rows in TABLE.values() for name, row in rows.items()
}
