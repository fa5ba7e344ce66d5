"""Self-BLEU: how alike the candidates are among themselves; lower is more varied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .bleu import LONGEST, bleu_from_counts, count_columns
from .counts import Grams, Words, count_grams

SAMPLE = 1000


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
    matches = [_matches(words, grams) for grams in count_grams(words, LONGEST)]
    counts = count_columns(words.lengths, _closest_other(words.lengths), matches)
    return [Score("self_bleu", float(bleu_from_counts(counts)[:, -1].mean()), note=note)]


def _matches(words: Words, grams: Grams) -> np.ndarray:
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
