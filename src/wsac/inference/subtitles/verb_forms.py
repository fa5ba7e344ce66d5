"""The forms of the verbs that captions of sounds use: bark, barks, barking, barked."""

from __future__ import annotations

import re

from .caption_words import words

VERBS = words("verbs")
DOUBLED_AT_THE_END = ("begin", "emit", "outrun")  # stressed on the last of several syllables
NOUNS_IN_ING = frozenset(words("nouns_in_ing"))


def participle(verb: str) -> str:
    """The present participle: barking, running, dying."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and verb[-2] not in "eoy":
        return verb[:-1] + "ing"
    return _doubled(verb) + "ing"


def third_person(verb: str, *, plural: bool = False) -> str:
    """The present: "barks" of one, "bark" of several."""
    if plural:
        return verb
    if verb == "have":
        return "has"
    if re.search("(s|x|z|ch|sh|[^aeiou]o)$", verb) or verb in ("go", "do"):
        return verb + "es"
    return verb[:-1] + "ies" if re.search("[^aeiou]y$", verb) else verb + "s"


def _doubled(verb: str) -> str:
    """With its last consonant twice, where endings want that: stop, stopp-ing."""
    short = re.fullmatch("(?:[^aeiou]|qu)*[aeiouy][^aeiouwxy]", verb)
    return verb + verb[-1] if short or verb in DOUBLED_AT_THE_END else verb


def _past(verb: str) -> tuple[str, ...]:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e"):
        return (verb + "d",)
    return (verb[:-1] + "ied" if re.search("[^aeiou]y$", verb) else _doubled(verb) + "ed",)


_IRREGULAR = {
    verb: tuple(forms.split(",")) for verb, forms in (row.split(":") for row in words("irregular"))
}
BASE = frozenset(VERBS)
OF_PARTICIPLE = {participle(verb): verb for verb in VERBS} | {"vocalising": "vocalize"}
OF_THIRD_PERSON = {third_person(verb): verb for verb in VERBS}
OF_PAST = {form: verb for verb in VERBS for form in _past(verb)}
PAST_ONLY = frozenset(OF_PAST) - BASE - set(words("ambiguous_past")) | set(words("other_past"))


def verb_of_participle(word: str) -> str | None:
    """The verb of "barking"; of an unknown participle its stem, None of other words."""
    if word in NOUNS_IN_ING or not word.endswith("ing"):
        return None
    return OF_PARTICIPLE.get(word, "")
