"""From a caption to its event: who or what sounds, and how.

"A dog barks in the distance as a man speaks" is "dog" + bark + "in distance". The rules are those
of short captions of sounds: the first clause counts, and its first verb.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from .caption_words import (
    ADJECTIVES,
    AUXILIARIES,
    BASE,
    BOUNDARIES,
    CATENATIVES,
    COLLECTIVES,
    DETERMINERS,
    EMPTY,
    LEADS,
    LIGHT,
    NOISES,
    OF_PAST,
    OF_THIRD_PERSON,
    PARTICLES,
    PAST_ONLY,
    PLURALS,
    PREPOSITIONS,
    PROPER,
    SKIPPED,
    STATES,
    TRANSITIVE,
    participle,
    third_person,
    verb_of_participle,
)

LONGEST_REST = 5  # words after the verb
COUNTS = frozenset(("few", "bit", "couple", "little"))  # without their article they say less
NOTHING = "sound"  # what a caption without words becomes


@dataclass(frozen=True, slots=True)
class EventPhrase:
    """subject: words without articles. verb: its base form, "" for none. doing: its participle, ""
    for none. rest: words after the verb. plural: whether the subject is several things."""

    subject: tuple[str, ...]
    verb: str = ""
    doing: str = ""
    rest: tuple[str, ...] = ()
    plural: bool = False

    def words(self, *, sustained: bool) -> list[list[str]]:
        """The phrase in words, the fullest first: with a participle if sustained, else finite."""
        verb = [self.doing] if sustained or not self.verb else [self.finite]
        rest = [word for word in self.rest if not sustained or word not in ("once", "twice")]
        near = rest[:1] if rest and (rest[0] in PARTICLES or rest[0].endswith("ly")) else []
        core = self.core
        forms = [
            (self.subject, rest),
            (self.subject, near),
            (core, near),
            (core, ()),
            (core[-1:], ()),
        ]
        texts = [[*subject, *filter(None, verb), *_ended(end)] for subject, end in forms]
        return [text for i, text in enumerate(texts) if text not in texts[:i]]

    @property
    def finite(self) -> str:
        return third_person(self.verb, plural=self.plural) if self.verb else ""

    @property
    def core(self) -> tuple[str, ...]:
        """The subject without adjectives and without what follows a preposition."""
        stop = next((i for i, w in enumerate(self.subject) if i and w in PREPOSITIONS), None)
        core = tuple(word for word in self.subject[:stop] if word not in ADJECTIVES)
        return core or self.subject[:stop]


@lru_cache(4096)
def event_phrase(caption: str) -> EventPhrase:
    """The event of a caption. Without a verb the subject is all there is; it is never empty."""
    words = _first_clause(_tokens(caption))
    place = _finite_verb(words) or _gerund(words)
    if place is None:
        subject, rest = _split(words)
        return _phrase(subject, "", "", rest, None)
    return _phrase(*place)


def _tokens(caption: str) -> list[str]:
    caption = re.sub(r"\bat the same time\b", " ", caption, flags=re.IGNORECASE)
    text = re.sub(r"[^\w\s',;:.()-]|_", " ", caption.replace("\u2019", "'").lower()).strip()
    for _ in range(8):
        shorter = LEADS.sub("", text.lstrip(" ,;:.'-"))
        if shorter == text or not shorter.strip(" .,"):
            break
        text = shorter
    return [w.strip("'-") or "-" for w in re.findall(r"\w[\w'-]*|[,;:.()]", text)]


def _first_clause(words: list[str]) -> list[str]:
    """The words before the first boundary; a comma between adjectives is none."""
    while words and words[0] in BOUNDARIES:
        words = words[1:]
    clause: list[str] = []
    for i, word in enumerate(words):
        if word in BOUNDARIES:
            describing = all(w in ADJECTIVES or w in DETERMINERS or _is_adverb(w) for w in clause)
            if word == "," and describing and i + 1 < len(words):
                continue
            break
        clause.append(word)
    return clause


def _finite_verb(words: list[str]) -> tuple[list[str], str, str, list[str], bool | None] | None:
    """(subject, verb, participle, rest, plural) of the first verb that has a subject before it."""
    has_noun, several = False, False
    for i, word in enumerate(words):
        before = words[i - 1] if i else ""
        after = words[i + 1] if i + 1 < len(words) else ""
        if word in ("and", "or"):
            if not has_noun or before in BASE or before in OF_THIRD_PERSON:
                return None
            several |= before not in ADJECTIVES
            continue
        verb = verb_of_participle(word)
        if verb is not None and _is_gerund(words[0]) and set(words[:i]) & (PREPOSITIONS - {"of"}):
            return None
        noun_before = has_noun and before not in DETERMINERS | PREPOSITIONS | ADJECTIVES
        if word in AUXILIARIES and (has_noun or any(map(_is_gerund, words[:i]))):
            number = {"is": False, "was": False, "are": True, "were": True}.get(word)
            return _after_auxiliary(words, i, several or number)
        if verb is not None and has_noun and before not in DETERMINERS | PREPOSITIONS:
            return _verb_at(words, i, i, verb, word, several or None)
        ends = after not in AUXILIARIES and not _is_gerund(after)
        if noun_before and ends:
            if word in OF_THIRD_PERSON:
                return _verb_at(words, i, i, OF_THIRD_PERSON[word], "", several)
            if word in BASE and (several or _is_plural(before)):
                return _verb_at(words, i, i, word, "", True)
            if word in OF_PAST and word not in STATES:
                return _verb_at(words, i, i, OF_PAST[word], "", several or None)
        if _is_gerund(word) and (not after or after in PREPOSITIONS or _is_adverb(after)):
            return None
        has_noun |= not (
            word in DETERMINERS | ADJECTIVES | PREPOSITIONS | STATES | AUXILIARIES
            or verb is not None
            or _is_adverb(word)
            or _is_past(word)
        )
    return None


def _after_auxiliary(
    words: list[str], i: int, plural: bool | None
) -> tuple[list[str], str, str, list[str], bool | None]:
    """The same where an auxiliary stands at ``i``: "is barking", "is rung"."""
    j = i
    while j < len(words) and (words[j] in SKIPPED or _is_adverb(words[j])):
        j += 1
    word = words[j] if j < len(words) else ""
    verb = verb_of_participle(word)
    if verb is not None:
        return _verb_at(words, i, j, verb, word, plural)
    if base := OF_PAST.get(word) or (word if word in BASE else ""):
        return _verb_at(words, i, j, base, "", plural)
    return words[:i], "", "", words[j:], plural


def _verb_at(
    words: list[str], end: int, i: int, verb: str, doing: str, plural: bool | None
) -> tuple[list[str], str, str, list[str], bool | None]:
    """The same where the verb stands at ``i`` and the subject ends at ``end``."""
    rest = words[i + 1 :]
    if verb in CATENATIVES and rest:
        next_verb = rest[1] if rest[0] == "to" and rest[1:2] and rest[1] in BASE else ""
        next_verb = next_verb or verb_of_participle(rest[0]) or ""
        if next_verb:
            return words[:end], next_verb, "", rest[2 if rest[0] == "to" else 1 :], plural
    if verb in LIGHT:
        return words[:end], "", "", rest, plural
    return words[:end], verb, doing if not verb else "", rest, plural


def _gerund(words: list[str]) -> tuple[list[str], str, str, list[str], bool | None] | None:
    """The same of captions that begin with what is done: "Barking of dogs", "A barking dog"."""
    i = next((i for i, word in enumerate(words) if _is_gerund(word)), None)
    if i is None or any(word in PREPOSITIONS for word in words[:i]):
        return None
    before, doing, after = words[:i], words[i], words[i + 1 :]
    verb = verb_of_participle(doing) or ""
    if "and" in after:
        after = after[: after.index("and")]
    if after[:1] in (["of"], ["by"]) and len(after) > 1:
        subject, rest = _split(after[1:])
        return [*before, *subject], verb, doing, rest, None
    if not after or after[0] in PREPOSITIONS | DETERMINERS or _is_adverb(after[0]):
        return [*before, doing], "", "", after, None
    if verb in TRANSITIVE or _is_gerund(after[0]) or after[0] in NOISES:
        return [*before, doing], "", "", after, None
    if after[0] in OF_THIRD_PERSON:
        return [*before, doing], OF_THIRD_PERSON[after[0]], "", after[1:], False
    subject, rest = _split(after)
    return [*before, *subject], verb, doing, rest, None


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """A noun with what belongs to it, and the rest from the first preposition on, but for "of"."""
    places = (i for i, w in enumerate(words) if i and w in PREPOSITIONS and w != "of")
    stop = next(places, len(words))
    return words[:stop], words[stop:]


def _phrase(
    subject: list[str], verb: str, doing: str, rest: list[str], plural: bool | None
) -> EventPhrase:
    """Without articles, collectives and past forms; the number is guessed where it is unknown."""
    single = bool(subject) and subject[0] in ("a", "an", "one")
    if "of" in subject[1:] and subject[subject.index("of") - 1] in COLLECTIVES:
        subject, single = subject[subject.index("of") + 1 :] or subject, False
    end = [i for i, word in enumerate(rest) if _ends_rest(word)]
    rest = rest[: end[0]] if end else rest
    subject = _cleaned(subject)
    if subject[:1] == ["few"] and subject[1:]:
        subject = subject[1:]
    rest = _ended(_cleaned(rest)[:LONGEST_REST])
    if not subject:
        subject, rest = (rest, []) if rest else ([NOTHING], [])
    subject = _ended(subject) or subject
    if plural is None:
        head = EventPhrase(tuple(subject)).core[-1]
        plural = not single and ("and" in subject or _is_plural(head))
    proper = [tuple(PROPER.get(word, word) for word in part) for part in (subject, rest)]
    doing = participle(verb) if verb else doing
    return EventPhrase(proper[0], verb, doing, proper[1], plural)


def _cleaned(words: list[str]) -> list[str]:
    dropped = DETERMINERS | AUXILIARIES | BOUNDARIES | EMPTY
    return [
        word
        for word, following in pairwise([*words, ""])
        if (word == "a" and following in COUNTS) or (word not in dropped and not _is_past(word))
    ]


def _ended(words: Sequence[str]) -> list[str]:
    """Without words at the end that want another."""
    words = list(words)
    wanting = (PREPOSITIONS - PARTICLES - {"nearby", "outside", "inside", "together"}) | {
        "and",
        "or",
        "very",
    }
    while words and (
        words[-1] in wanting or (len(words) > 1 and words[-1] in ADJECTIVES - {"loud"})
    ):
        words.pop()
    return words


def _ends_rest(word: str) -> bool:
    return word in AUXILIARIES or word in ("and", "or", "with") or _is_gerund(word)


def _is_gerund(word: str) -> bool:
    return verb_of_participle(word) is not None


def _is_adverb(word: str) -> bool:
    return word.endswith("ly") and word not in ("fly", "family", "belly", "jelly", "bully")


def _is_past(word: str) -> bool:
    return word not in STATES and (word in PAST_ONLY or word.endswith("ed"))


def _is_plural(word: str) -> bool:
    return word in PLURALS or (word.endswith("s") and not word.endswith(("ss", "us", "is")))
