"""Words of captions by what they do in a sentence; they stand in caption_words.toml."""

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
