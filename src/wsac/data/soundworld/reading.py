"""The way back from a sentence to what it says is heard: kinds of sound in their order, for sentences of this grammar.

It measures captioners that were trained on the grammar's sentences; people write more freely than it can read.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .words import WORDS

_PARTS = re.compile(
    r",? (?:and )?then | followed by |,? and finally |,? and after that |,? before (?:and after )?|,? while |,? as "
    r"|,? with |,? over |,? together with |,? and |, |\bfirst |\bfinally |^after |^while |^as |^with |^over "
)
_FUNCTION = {
    "a",
    "an",
    "the",
    "of",
    "on",
    "in",
    "its",
    "their",
    "at",
    "to",
    "by",
    "into",
    "someone",
    "sound",
    "is",
}
_LEAST = 0.5  # of the weight of a word that only one kind has


def read_kinds(caption: str) -> list[str]:
    """Kinds in the order in which they begin, each once; what cannot be read is passed over."""
    text = caption.lower().strip().rstrip(".")
    halves = re.split(r" after (?!that)", text)
    if len(halves) == 2 and not text.startswith("after "):  # "B after A": A comes first
        text = f"{halves[1]}, {halves[0]}" if " before and" not in text else text
    found: dict[str, None] = {}
    for part in _PARTS.split(text):
        kind = _kind(part)
        if kind is not None:
            found.setdefault(kind)
    return list(found)


def _kind(part: str) -> str | None:
    """The kind whose words a part of a sentence has, words of few kinds counting more; None where none is clear."""
    scores: dict[str, float] = {}
    for word in set(re.findall(r"[a-z]+", part)):
        owners = _owners().get(word, ())
        for kind in owners:
            scores[kind] = scores.get(kind, 0.0) + 1 / len(owners)
    if not scores:
        return None
    (best, top), *others = sorted(scores.items(), key=lambda item: -item[1])
    return best if top >= _LEAST and (not others or top > others[0][1]) else None


@lru_cache(maxsize=1)
def _owners() -> dict[str, tuple[str, ...]]:
    """The kinds that each word belongs to."""
    owners: dict[str, set[str]] = {}
    for kind, words in WORDS.items():
        texts = list(words.nouns)
        for clause in words.clauses:
            texts += [clause.subject, clause.verb, clause.ing, clause.rest]
        texts += words.stroke or ()
        for word in re.findall(r"[a-z]+", " ".join(texts).lower()):
            if word not in _FUNCTION:
                owners.setdefault(word, set()).add(kind)
    return {word: tuple(sorted(kinds)) for word, kinds in owners.items()}
