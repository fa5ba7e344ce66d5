"""Self-BLEU: how alike the candidates are among themselves; lower is more varied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .bleu import LONGEST, bleu_from_counts
from .counts import Words, count_grams

SAMPLE = 1000


def self_bleu(
    items: Sequence[Item], words: Words | None = None, *, sample: int = SAMPLE, seed: int = 0
) -> list[Score]:
    """self_bleu: the mean BLEU-4 of a candidate with all other candidates as its references, in [0, 1].

    Over a sample of ``sample`` candidates at most, drawn without replacement, as the value grows with their number;
    compare only values of equally many. Undefined (nan) for fewer than two. An n-gram of a candidate counts at most as
    often as in the other candidate that has it most often, the length is that of the other closest in length; the
    rest is as in bleu.py. Source: Zhu et al. 2018 (Texygen, arXiv 1802.01886), there without a fixed sample.
    """
    words = (words or Words.of(items)).candidates()
    if words.size > sample:
        chosen = np.sort(np.random.default_rng(seed).choice(words.size, sample, replace=False))
        words = words.subset(chosen)
    note = f"among {words.size:,} candidates"
    if words.size < 2:
        return [Score("self_bleu", float("nan"), note=note)]
    columns = [words.lengths, _closest_other(words.lengths)]
    columns += [np.maximum(words.lengths - n, 0) for n in range(LONGEST)]
    for grams in count_grams(words, LONGEST):
        best = np.zeros(grams.kinds, np.int64)
        np.maximum.at(best, grams.gram, grams.count)
        most = grams.count == best[grams.gram]
        holders = np.bincount(grams.gram[most], minlength=grams.kinds)
        second = np.zeros(grams.kinds, np.int64)
        np.maximum.at(second, grams.gram[~most], grams.count[~most])
        others = np.where(most & (holders[grams.gram] == 1), second[grams.gram], best[grams.gram])
        columns.append(
            np.bincount(grams.sentence, np.minimum(grams.count, others), minlength=words.size)
        )
    return [
        Score(
            "self_bleu", float(bleu_from_counts(np.stack(columns, axis=1))[:, -1].mean()), note=note
        )
    ]


def _closest_other(lengths: np.ndarray) -> np.ndarray:
    """For each sentence the length of the other that is nearest in length, the shorter of two."""
    order = np.argsort(lengths, kind="stable")
    ranked = lengths[order].astype(float)
    below, above = np.append(-np.inf, ranked[:-1]), np.append(ranked[1:], np.inf)
    nearest = np.where(ranked - below <= above - ranked, below, above)
    out = np.empty(len(lengths), np.int64)
    out[order] = nearest
    return out
