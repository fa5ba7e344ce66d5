"""BLEU-1 to 4, and Self-BLEU.

BLEU is the share of a caption's n-grams that a reference has, less for short captions. Self-BLEU
takes the other candidates as references: lower is more varied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .counts import Grams, Words, count_grams, lookup

# coco-caption's: no division by zero, and a logarithm for captions without a match
_TINY, _SMALL = 1e-15, 1e-9
LONGEST = 4
SAMPLE = 1000  # candidates of Self-BLEU


def bleu(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """bleu_1, bleu_2, bleu_3, bleu_4 as coco-caption computes them, in [0, 1].

    An n-gram counts at most as often as in the reference that has it most often. The reference
    length is the one closest to the candidate's, the shorter of two. The corpus figure comes
    from the counts of all items together; it is not the mean over the items.
    Source: Papineni et al. 2002 (BLEU); the constants of coco-caption (Chen et al. 2015,
    arXiv 1504.00325).
    """
    words = words or Words.of(items)
    blocks = []
    for block, _ in words.blocks():
        matches = [_matches(block, grams) for grams in count_grams(block, LONGEST)]
        blocks.append(_columns(block.lengths[: block.size], _closest(block), matches))
    counts = np.concatenate(blocks)
    corpus, per_item = bleu_from_counts(counts.sum(axis=0)).tolist(), bleu_from_counts(counts).T
    figures = zip(corpus, per_item, strict=True)
    return [Score(f"bleu_{n}", *figure, pooled=counts) for n, figure in enumerate(figures, 1)]


def _columns(lengths: np.ndarray, closest: np.ndarray, matches: list[np.ndarray]) -> np.ndarray:
    """int64 [N, 10]: length, reference length, n-grams of the candidate, and those that match."""
    ngrams = [np.maximum(lengths - n, 0) for n in range(LONGEST)]
    return np.stack([lengths, closest, *ngrams, *matches], axis=1)


def bleu_from_counts(counts: np.ndarray) -> np.ndarray:
    """BLEU-1 to 4 [..., 4] from counts [..., 10] of an item, or summed over items."""
    parts = np.split(np.asarray(counts, float), [1, 2, 2 + LONGEST], axis=-1)
    length, reference, guesses, matches = parts
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
    """How many n-grams of each candidate a reference has, int64 [N]."""
    split, of_item = grams.split(words)
    known, place = np.unique(of_item[split:], return_inverse=True)
    most = np.zeros(len(known) + 1, np.int64)  # the last entry: of grams that no reference has
    np.maximum.at(most, place, grams.count[split:])
    matches = np.minimum(grams.count[:split], most[lookup(known, of_item[:split])])
    return np.bincount(grams.sentence[:split], matches, minlength=words.size).astype(np.int64)


def self_bleu(
    items: Sequence[Item], words: Words | None = None, *, sample: int = SAMPLE, seed: int = 0
) -> list[Score]:
    """self_bleu: the mean BLEU-4 of a candidate with all others as its references, in [0, 1].

    The value grows with the number of candidates, so at most ``sample`` are drawn, without
    replacement; compare only values of equally many. Undefined (nan) for fewer than two.
    Source: Zhu et al. 2018 (Texygen, arXiv 1802.01886), there without a fixed sample.
    """
    words = (words or Words.of(items)).candidates()
    if words.size > sample:
        rng = np.random.default_rng(seed)
        words = words.subset(np.sort(rng.choice(words.size, sample, replace=False)))
    note = f"among {words.size:,} candidates"
    if words.size < 2:
        return [Score("self_bleu", float("nan"), note=note)]
    matches = [_matches_of_others(words, grams) for grams in count_grams(words, LONGEST)]
    counts = _columns(words.lengths, _closest_other(words.lengths), matches)
    return [Score("self_bleu", float(bleu_from_counts(counts)[:, -1].mean()), note=note)]


def _matches_of_others(words: Words, grams: Grams) -> np.ndarray:
    """How many n-grams of each candidate another one has, [N]; each as often as the other does."""
    best, second = np.zeros((2, grams.kinds), np.int64)
    np.maximum.at(best, grams.gram, grams.count)
    most = grams.count == best[grams.gram]
    holders = np.bincount(grams.gram[most], minlength=grams.kinds)
    np.maximum.at(second, grams.gram[~most], grams.count[~most])
    others = np.where(most & (holders[grams.gram] == 1), second[grams.gram], best[grams.gram])
    return np.bincount(grams.sentence, np.minimum(grams.count, others), minlength=words.size)


def _closest_other(lengths: np.ndarray) -> np.ndarray:
    """For each sentence the length of the other that is nearest in length, the shorter of two."""
    order = np.argsort(lengths, kind="stable")
    ranked = lengths[order].astype(float)
    below, above = np.append(-np.inf, ranked[:-1]), np.append(ranked[1:], np.inf)
    out = np.empty(len(lengths), np.int64)
    out[order] = np.where(ranked - below <= above - ranked, below, above)
    return out
