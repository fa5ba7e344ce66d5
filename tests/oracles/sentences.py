"""What a sentence of the sound world says: which kinds, in which order, with which parameters."""

from __future__ import annotations

import re

from wsac.data.soundworld import Scene
from wsac.data.soundworld.words import WORDS

# how a level of a parameter can be expressed
EXPRESSIONS = {
    ("count", 1): r"\bonce\b(?! more)|\ba single\b",
    ("count", 2): r"\btwice\b|\btwo\b",
    ("count", 3): r"\bthree\b",
    ("count", 4): r"\bfour\b",
    ("pitch", -1): r"low-pitched|low pitch|deep voice|\blarge\b",
    ("pitch", 1): r"high-pitched|high pitch|high voice|\bsmall\b",
    ("rate", -1): r"\bslow",
    ("rate", 1): r"\bfast\b|\brapid|\bquick",
    ("loudness", -1): r"\bfaint|\bsoft|\bquiet",
    ("loudness", 1): r"\bloud",
    ("distance", -1): r"\bnearby\b|\bclose by\b",
    ("distance", 1): r"\bdistant\b|\bdistance\b|\bfaraway\b|\bfar away\b",
    ("length", -1): r"\bbrief|\bshort\b|\bfor a moment\b",
    ("length", 1): r"\blong\b|\bprolonged\b|\bfor a while\b",
}


def position(caption: str, kind: str) -> int:
    """Where a caption first names a kind; -1: nowhere."""

    def core(phrase: str) -> str:
        return re.sub(r"^(a|an|the) ", "", phrase)

    words = WORDS[kind]
    names = [
        f"{core(clause.subject)} {verb}"
        for clause in words.clauses
        for verb in (clause.verb, clause.gerund_verb)
    ]
    names += [core(noun) for noun in words.nouns]
    if words.stroke:
        singular, plural, rest = words.stroke
        names += [f"{singular} {rest}".strip(), f"{plural} {rest}".strip()]
    places = [
        match.start()
        for phrase in names
        for match in re.finditer(rf"\b{phrase}\b", caption.lower())
    ]
    return min(places, default=-1)


def order_of(caption: str, scene: Scene) -> list[str]:
    """The kinds of the steps in the order in which a caption has them happen."""
    behind = scene.background.event.kind if scene.background else None
    kinds = sorted(
        (kind for kind in scene.events if kind != behind), key=lambda kind: position(caption, kind)
    )
    backwards = re.search(r"\w (?<!before and )after (?!that)", caption)
    return kinds[::-1] if backwards else kinds
