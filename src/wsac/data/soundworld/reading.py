"""The way back from a sentence of this grammar to the kinds of sound that it names, in order.

It measures captioners that were trained on the grammar. People write more freely than it can read.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .words import WORDS

_PARTS = re.compile(
    r",? (?:and )?then | followed by |,? and finally |,? and after that "
    r"|,? before (?:and after )?|,? while |,? as |,? with |,? over |,? together with |,? and |, "
    r"|\bfirst |\bfinally |^after |^while |^as |^with |^over "
)
_FUNCTION_WORDS = frozenset(
    re.findall(r"\w+", "a an the of on in its their at to by into someone sound is")
)
_THRESHOLD = 0.5  # relative to the weight of a word that only one kind has


def read_kinds(caption: str) -> list[str]:
    """Kinds in the order in which they begin, each once. What cannot be read is passed over."""
    text = caption.lower().strip().rstrip(".")
    halves = re.split(r" after (?!that)", text)
    if len(halves) == 2 and not text.startswith("after ") and " before and" not in text:
        text = f"{halves[1]}, {halves[0]}"  # "B after A": A comes first
    kinds = (_kind(part) for part in _PARTS.split(text))
    return list(dict.fromkeys(kind for kind in kinds if kind))


def _kind(part: str) -> str | None:
    """The kind that a part names, or None where none is clear. Rare words count more."""
    scores: dict[str, float] = {}
    for word in set(re.findall(r"[a-z]+", part)):
        kinds = _owners().get(word, ())
        for kind in kinds:
            scores[kind] = scores.get(kind, 0.0) + 1 / len(kinds)
    if not scores:
        return None
    (best, top), *others = sorted(scores.items(), key=lambda item: -item[1])
    return best if top >= _THRESHOLD and (not others or top > others[0][1]) else None


@lru_cache(maxsize=1)
def _owners() -> dict[str, tuple[str, ...]]:
    """The kinds that each word belongs to."""
    owners: dict[str, set[str]] = {}
    for kind, words in WORDS.items():
        texts = [*words.nouns, *words.stroke]
        for clause in words.clauses:
            texts += [clause.subject, clause.verb, clause.gerund_verb, clause.rest]
        for word in re.findall(r"[a-z]+", " ".join(texts).lower()):
            if word not in _FUNCTION_WORDS:
                owners.setdefault(word, set()).add(kind)
    return {word: tuple(sorted(kinds)) for word, kinds in owners.items()}
