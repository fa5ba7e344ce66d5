"""BLEU-1 to 4: the share of a caption's n-grams that a reference has too, cut down when the caption is too short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .counts import Grams, Words, count_grams, lookup

_TINY, _SMALL = (
    1e-15,
    1e-9,
)  # coco-caption's: no division by zero, and a logarithm for captions without a match
LONGEST = 4


def bleu(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """bleu_1, bleu_2, bleu_3, bleu_4 as coco-caption computes them, in [0, 1].

    An n-gram counts at most as often as it does in the reference that has it most often. The length of the references
    is that of the one closest to the candidate's, the shorter of two. The corpus figure comes from the counts of all
    items together; it is not the mean over the items.
    Source: Papineni et al. 2002 (BLEU); the constants of coco-caption (Chen et al. 2015, arXiv 1504.00325).
    """
    counts = np.concatenate(
        [bleu_counts(block.words) for block in (words or Words.of(items)).blocks()]
    )
    per_item = bleu_from_counts(counts)
    corpus = bleu_from_counts(counts.sum(axis=0))
    return [
        Score(f"bleu_{n}", float(corpus[n - 1]), per_item[:, n - 1], pooled=counts)
        for n in range(1, LONGEST + 1)
    ]


def bleu_counts(words: Words) -> np.ndarray:
    """What BLEU adds up: int64 [N, 10], length, reference length, n-grams of the candidate, and those that match."""
    lengths = words.lengths[: words.size]
    columns = [lengths, _closest(words)]
    columns += [np.maximum(lengths - n, 0) for n in range(LONGEST)]
    columns += [_matches(words, grams) for grams in count_grams(words, LONGEST)]
    return np.stack(columns, axis=1)


def bleu_from_counts(counts: np.ndarray) -> np.ndarray:
    """counts: [..., 10], of an item or summed over items. Returns BLEU-1 to 4, [..., 4]."""
    length, reference, guesses, matches = np.split(
        np.asarray(counts, float), [1, 2, 2 + LONGEST], axis=-1
    )
    precision = np.cumprod((matches + _TINY) / (guesses + _SMALL), axis=-1)
    ratio = (length + _TINY) / (reference + _SMALL)
    with np.errstate(over="ignore"):
        brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return precision ** (1 / np.arange(1, LONGEST + 1)) * brevity


def _closest(words: Words) -> np.ndarray:
    """The reference length nearest to each candidate's, [N]."""
    item, lengths = words.item[words.size :], words.lengths[words.size :]
    order = np.lexsort((lengths, np.abs(lengths - words.lengths[item]), item))
    return lengths[order][np.searchsorted(item[order], np.arange(words.size))]


def _matches(words: Words, grams: Grams) -> np.ndarray:
    """How many n-grams of each candidate a reference has, [N]."""
    split = np.searchsorted(grams.sentence, words.size)
    of_item = words.item[grams.sentence] * grams.kinds + grams.gram
    known, place = np.unique(of_item[split:], return_inverse=True)
    most = np.zeros(len(known) + 1, np.int64)  # the last entry: of grams that no reference has
    np.maximum.at(most, place, grams.count[split:])
    found = np.minimum(grams.count[:split], most[lookup(known, of_item[:split])])
    return np.bincount(grams.sentence[:split], found, minlength=words.size).astype(np.int64)
