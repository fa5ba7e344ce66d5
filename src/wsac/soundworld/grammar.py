"""A small grammar of sound captions: one or two sounds, how and where they are heard, and how they relate.

The sentences read like those people write for short recordings ("A dog barks in the distance while rain falls").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from .vocabulary import OUTSIDE, WORDS, Clause

T = TypeVar("T")
RELATIONS = ("single", "while", "then")


def write_captions(rng: np.random.Generator, count: int) -> list[str]:
    """Write ``count`` distinct captions about one or two kinds of sound: sentence case, no final period.

    Raises ValueError when the grammar does not yield so many.
    """
    captions: dict[str, None] = {}
    names = list(WORDS)
    for _ in range(20 * count):
        if len(captions) >= count:
            break
        relation = str(rng.choice(RELATIONS, p=(0.4, 0.4, 0.2)))
        picked = rng.choice(len(names), 1 if relation == "single" else 2, replace=False)
        captions.setdefault(write_caption(rng, tuple(names[i] for i in picked), relation))
    if len(captions) < count:
        raise ValueError(f"the grammar wrote only {len(captions)} of {count} distinct captions; ask for fewer")
    return list(captions)


def write_caption(rng: np.random.Generator, events: tuple[str, ...], relation: str, *, manner: bool = True) -> str:
    """Write one caption about these kinds of sound: sentence case, no final period.

    events: one name for "single", two for "while" (together, the first in front) and "then" (in this order).
    manner: allow adverbs and places ("loudly", "outdoors"), which a recording may not bear out.
    Raises ValueError when the number of events does not fit the relation.
    """
    if relation not in RELATIONS or len(events) != (1 if relation == "single" else 2):
        raise ValueError(f"{len(events)} events do not fit {relation!r}: one for 'single', two for 'while' and 'then'")
    match relation:
        case "single":
            text = _single(rng, events[0], manner)
        case "while":
            text = _together(rng, events[0], events[1], manner)
        case _:
            text = _in_turn(rng, events[0], events[1], manner)
    return text[0].upper() + text[1:]


def _single(rng: np.random.Generator, event: str, manner: bool) -> str:
    clause, adverb = _clause(rng, event), _adverb(rng, event, 0.6 if manner else 0)
    noun = _pick(rng, WORDS[event].nouns)
    forms = [
        clause.finite(adverb),
        clause.finite(adverb),
        clause.gerund(adverb),
        f"the sound of {clause.gerund(adverb)}",
        f"{noun} can be heard" + (f" {_place(rng, event)}" if manner else ""),
        f"there is {clause.gerund(adverb)}" if clause.subject.startswith(("a ", "an ")) else clause.finite(adverb),
    ]
    return _pick(rng, forms).strip()


def _together(rng: np.random.Generator, front: str, back: str, manner: bool) -> str:
    a, b = _clause(rng, front), _clause(rng, back)
    chance = 0.35 if manner else 0
    first, second = _adverb(rng, front, chance), _adverb(rng, back, chance)
    noun_a, noun_b = _pick(rng, WORDS[front].nouns), _pick(rng, WORDS[back].nouns)
    forms = [
        f"{a.finite(first)} while {b.finite(second)}",
        f"{a.finite(first)} as {b.finite(second)}",
        f"{a.finite(first)} and {b.finite(second)}",
        f"{a.finite()} with {b.gerund()} in the background",
        f"{a.finite()} with {noun_b} in the background",
        f"{a.gerund(first)} while {b.finite(second)}",
        f"as {b.finite(second)}, {a.finite(first)}",
        f"{noun_a} over {noun_b}",
        f"{a.gerund()} and {b.gerund()} at the same time",
    ]
    return _pick(rng, forms)


def _in_turn(rng: np.random.Generator, before: str, after: str, manner: bool) -> str:
    a, b = _clause(rng, before), _clause(rng, after)
    chance = 0.35 if manner else 0
    first, second = _adverb(rng, before, chance), _adverb(rng, after, chance)
    forms = [
        f"{a.finite(first)}, then {b.finite(second)}",
        f"{a.finite(first)} and then {b.finite(second)}",
        f"{a.finite(first)}, followed by {b.gerund(second)}",
        f"{a.gerund(first)} followed by {b.gerund(second)}",
        f"{_pick(rng, WORDS[before].nouns)} followed by {_pick(rng, WORDS[after].nouns)}",
        f"first {a.finite(first)}, and after that {b.finite(second)}",
    ]
    return _pick(rng, forms)


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _clause(rng: np.random.Generator, event: str) -> Clause:
    return _pick(rng, WORDS[event].clauses)


def _adverb(rng: np.random.Generator, event: str, chance: float) -> str:
    return _pick(rng, WORDS[event].adverbs) if rng.random() < chance else ""


def _place(rng: np.random.Generator, event: str) -> str:
    """Where a sound is heard: far or near for all, out of doors for those that belong there."""
    outside = OUTSIDE if OUTSIDE[0] in WORDS[event].adverbs else ()
    return _pick(rng, ("", "nearby", "in the distance", "in the background", *outside))
