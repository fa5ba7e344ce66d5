"""ROUGE-L: the longest run of words, in order but not always adjacent, shared with a reference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .counts import Words

BETA = 1.2  # weight of recall against precision


def rouge_l(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """rouge_l as coco-caption computes it, in [0, 1]: the F-score of the best precision and recall.

    The two may come from different references. The corpus figure is the mean over the items.
    Source: Lin 2004 (ROUGE); beta as in coco-caption (Chen et al. 2015, arXiv 1504.00325).
    """
    words = words or Words.of(items)
    references, counts = words.sentences(words.size), words.references().tolist()
    per_item = np.zeros(words.size)
    for i, candidate in enumerate(words.sentences(0, words.size)):
        masks: dict[int, int] = {}  # for each word the places where it stands, as bits
        for place, word in enumerate(candidate):
            masks[word] = masks.get(word, 0) | 1 << place
        precision = recall = 0.0
        for reference in islice(references, counts[i]):
            if candidate and reference:
                common = _common(masks, len(candidate), reference)
                precision = max(precision, common / len(candidate))
                recall = max(recall, common / len(reference))
        if precision and recall:
            per_item[i] = (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
    return [Score("rouge_l", float(per_item.mean()), per_item)]


def _common(masks: dict[int, int], length: int, reference: Sequence[int]) -> int:
    """The length of the longest common subsequence, a whole row of the usual table at once.

    A zero bit marks a place of the candidate where the length grows by one.
    Source: Hyyrö 2004, bit-parallel LCS.
    """
    row = full = (1 << length) - 1
    for word in reference:
        shared = row & masks.get(word, 0)
        row = ((row + shared) | (row - shared)) & full
    return length - row.bit_count()
