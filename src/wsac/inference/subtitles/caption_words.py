"""Words of captions by what they do in a sentence, of caption_words.toml, and the forms of their
verbs: bark, barks, barking, barked."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

_LISTS = tomllib.loads(files(__package__).joinpath("caption_words.toml").read_text("utf-8"))


def words(name: str) -> list[str]:
    """A list of the file."""
    return str(_LISTS[name]).split()


# what stands before the event: "In the background there is the sound of …"
LEADS = re.compile(
    r"^(?:(?:in|at|from) the (?:\w+ )?(?:background|distance|foreground|beginning|start),? "
    r"|there(?:'s| is| are| was| were) |it (?:is|was|sounds like) "
    r"|(?:this|that|these|those) (?:is|are) "
    r"|(?:i|we|you|someone) (?:can )?hears? |what sounds like |sounds like "
    r"|(?:[\w-]+ ){0,3}(?:sounds?|noises?) "
    r"(?:of|from|made by|like|coming from|being made by|as) "
    r"|(?:and|then|followed by|followed|with|of|also|but|by|to|is|are) "
    r"|(?:a|an|the|some|this|that|his|her|its|their|my|your|our|very|different|various) )"
)
BOUNDARIES = frozenset(words("boundaries"))
PREPOSITIONS = frozenset(words("prepositions"))
PARTICLES = frozenset(words("particles"))
DETERMINERS = frozenset(words("determiners"))
COLLECTIVES = frozenset(words("collectives"))
PLURALS = frozenset(words("plurals"))
ADJECTIVES = frozenset(words("adjectives"))
STATES = frozenset(words("states"))
TRANSITIVE = frozenset(words("transitive"))
AUXILIARIES = frozenset(words("auxiliaries"))
CATENATIVES = frozenset(words("catenatives"))
LIGHT = frozenset(words("light"))
EMPTY = frozenset(words("empty"))
NOISES = frozenset(words("noises"))
SKIPPED = AUXILIARIES | set(words("skipped"))
PROPER = {word.lower(): word for word in words("proper")}
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
