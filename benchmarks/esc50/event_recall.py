"""Event recall on ESC-50: the share of captions that contain a word of their clip's class.

The words are in esc50_synonyms.json, which states its rule; they were written before any caption
was seen.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

SYNONYMS = Path(__file__).with_name("esc50_synonyms.json")


def event_recall(pairs: Iterable[tuple[str, str]]) -> float:
    """Return the share of `(caption, esc50_class)` pairs whose caption names the event, in [0, 1].

    Raises ValueError when there are no pairs.
    """
    hits = [names_event(caption, esc50_class) for caption, esc50_class in pairs]
    if not hits:
        raise ValueError("event recall needs at least one (caption, esc50_class) pair")
    return sum(hits) / len(hits)


def event_recall_per_class(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Return the event recall of each class that occurs in `pairs`, by name."""
    by_class: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for caption, esc50_class in pairs:
        by_class[esc50_class].append((caption, esc50_class))
    return {esc50_class: event_recall(group) for esc50_class, group in sorted(by_class.items())}


def names_event(caption: str, esc50_class: str) -> bool:
    """Tell whether a word, or two neighbouring words, of the caption names the class."""
    synonyms = load_synonyms()
    if esc50_class not in synonyms:
        raise ValueError(
            f"{esc50_class!r} is no ESC-50 class; use the manifest's esc50_class, such as 'dog'"
        )
    wanted = synonyms[esc50_class]
    other = frozenset(_table()["_not"].get(esc50_class, ()))
    ignored = frozenset(_table()["_ignored"])
    words = [word for word in re.findall(r"[a-z]+", caption.lower()) if word not in ignored]
    neighbours = [f"{first} {second}" for first, second in pairwise(words)]
    if wanted.intersection(neighbours):
        return True
    # "jet engine" is an airplane, not the class engine: neither of its words counts
    taken = {
        place for i, phrase in enumerate(neighbours) if phrase in other for place in (i, i + 1)
    }
    return any(word in wanted for i, word in enumerate(words) if i not in taken)


def load_synonyms() -> dict[str, frozenset[str]]:
    """Return the words and two-word phrases that name each of the 50 classes."""
    return {name: frozenset(words) for name, words in _table().items() if not name.startswith("_")}


@lru_cache(maxsize=1)
def _table() -> dict:
    return json.loads(SYNONYMS.read_text(encoding="utf-8"))
