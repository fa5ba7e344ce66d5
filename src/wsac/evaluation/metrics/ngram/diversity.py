"""How varied captions are: vocabulary, length, shares of different n-grams and new captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .counts import Words, count_grams
from .ptb import tokenize


def vocabulary(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """vocabulary: how many different words all candidates use. It grows with their number."""
    words = (words or Words.of(items)).candidates()
    return [Score("vocabulary", float(len(np.unique(words.ids))))]


def length(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """length: the mean number of words of a candidate."""
    words = words or Words.of(items)
    per_item = words.lengths[: words.size].astype(float)
    return [Score("length", float(per_item.mean()), per_item)]


def distinct(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """distinct_1, distinct_2: different words (pairs of words) of all candidates, over all of them.

    In [0, 1]; falls as the number of candidates grows. Source: Li et al. 2016 (arXiv 1510.03055).
    """
    grams = count_grams((words or Words.of(items)).candidates(), 2)
    shares = [len(np.unique(n.gram)) / max(1, int(n.count.sum())) for n in grams]
    return [Score(f"distinct_{n}", share) for n, share in enumerate(shares, 1)]


def novelty(items: Sequence[Item], training: Iterable[str]) -> list[Score]:
    """novelty: the share of candidates that are not among the training captions; 1 or 0 an item.

    training: captions, read once. Case and punctuation do not count.
    """
    keys = [" ".join(tokenize(item.candidate)) for item in items]
    unseen = set(keys)
    for caption in training:
        unseen.discard(" ".join(tokenize(caption)))
    per_item = np.array([float(key in unseen) for key in keys])
    return [Score("novelty", float(per_item.mean()), per_item)]
