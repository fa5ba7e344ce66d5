"""What is searched for: words, a sound, and what must not be there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsac.types import RecipeError

WITHOUT = re.compile(r"\s*\b(?:without|but not|but no)\b\s*", re.IGNORECASE)
BETWEEN = re.compile(r"\s*(?:,|\band\b|\bor\b)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """text: as the user wrote it. wanted: what to find; "" for a sound. without: what must not be
    there. like: a sound file to resemble."""

    text: str
    wanted: str
    without: tuple[str, ...] = ()
    like: str = ""


def parse_query(text: str, without: Iterable[str] = ()) -> Query:
    """The query of a text such as "a dog barking without speech or music".

    without: more of what must not be there. Raises RecipeError where nothing is wanted.
    """
    wanted, *unwanted = WITHOUT.split(text.strip())
    if not wanted:
        raise RecipeError(f"query {text!r}: says nothing to find; give words such as 'dog barking'")
    words = [word for part in unwanted for word in BETWEEN.split(part) if word]
    return Query(text.strip(), wanted, (*words, *_words(without)))


def all_queries(
    texts: str | Sequence[str], like: str | Path | None = None, without: Iterable[str] = ()
) -> list[Query]:
    """The queries of texts, each once, and of a sound. Raises RecipeError where there is none."""
    without = tuple(without)
    texts = [texts] if isinstance(texts, str) else list(dict.fromkeys(texts))
    queries = [parse_query(text, without) for text in texts]
    if like is not None:
        queries.append(Query(f"like {like}", "", _words(without), str(like)))
    if not queries:
        raise RecipeError("nothing to find; give words such as 'glass breaking', or a sound")
    return queries


def _words(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.strip() for word in words if word.strip())
